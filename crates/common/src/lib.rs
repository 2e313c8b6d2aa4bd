//! The library for controllers of the Temporal Kubernetes Stack, and for any other.
//!
//! ```text
//!   api         the kinds, and the names that all of them share
//!   component   the trait that a controller implements                      ── you write this
//!   watches     what a controller watches, and how a change reaches its objects
//!   manifest    one desired object, and how it is created
//!   condition   how a component reports its state
//!   binding     how applications connect to it
//!   login       the application's login, and how it is rotated
//!   shared      the secret that all pods share, and how it is exchanged
//!   workload    what all pods have in common
//!   network     who may connect to them
//!   names       the names of children that all components have
//!   part        the parts of Temporal, by the roles of its pods
//!   provider    the location of the product: run by the controller, or described by a Secret
//!   dns         how long their names may be
//!   metadata    metadata that clients write and that need not parse
//!   object      objects as JSON, bounded while they are parsed
//!   published   credentials that are published in examples
//!   volume      the volumes for their data
//!   tally       amounts by namespace, for limits
//!   quota       budgets of which one namespace may have a part only
//!   number      numbers in names, labels and annotations, bounded where they are read
//!   neighbour   other components that one refers to
//!   surroundings objects of others, reduced to what is read
//!   hand        single fields of objects of others
//!   config      how the user's configuration is used, key by key
//!   given       text and Secrets of users
//!   default_source  the object that may use a source with the default name
//!   panics      containment of panics
//!   address     hosts that users name, and connections to them
//!   http        the client of the products' HTTP APIs
//!   s3          the client of object storage
//!   sql         connections to PostgreSQL, with the feature `sql`
//!   amqp        connections to RabbitMQ, with the feature `amqp`
//!   world       the reads of a pass
//!   memo        what a component remembers of an object between passes
//!   driver      the only reconcile function
//!   process     arguments, log, client, admin port, Lease, drain            ── main calls this
//!   testkit     an API server in memory and more, with the feature `test-kit`
//! ```
//!
//! A controller is a struct with [`component::Component`], and a `main` that hands it to [`driver::run`] inside
//! [`process::run`]. `examples/greeting.rs` is a whole one in under a hundred lines.

pub mod address;
#[cfg(feature = "amqp")]
pub mod amqp;
pub mod api;
pub mod binding;
pub mod cache;
mod class;
pub mod component;
pub mod condition;
pub mod config;
pub mod default_source;
pub mod dns;
pub mod driver;
pub mod failure;
pub mod given;
pub mod greeting;
pub mod hand;
pub mod http;
pub mod login;
pub mod manifest;
mod memo;
pub mod mesh;
pub mod message;
mod metadata;
pub mod names;
pub mod neighbour;
pub mod network;
pub mod number;
mod object;
mod panics;
pub mod part;
pub mod port;
pub mod process;
pub mod provider;
pub mod published;
pub mod quota;
pub mod readiness;
#[cfg(feature = "amqp")]
mod relay;
pub mod s3;
mod seen;
pub mod shared;
#[cfg(feature = "sql")]
pub mod sql;
pub mod surroundings;
pub mod suspension;
mod tally;
#[cfg(any(test, feature = "test-kit"))]
pub mod testkit;
pub mod volume;
pub mod watches;
pub mod workload;
pub mod world;

/// The version of the calling program: that of its package, or `TEMPORAL_STACK_VERSION` at build time.
#[macro_export]
macro_rules! version {
    () => {
        match option_env!("TEMPORAL_STACK_VERSION") {
            Some(version) => version,
            None => env!("CARGO_PKG_VERSION"),
        }
    };
}
