//! What every controller of the Temporal Kubernetes Stack is made of, and what anyone else can make one of.
//!
//! ```text
//!   api         the kinds, and the names that all agree on
//!   component   the trait: what a controller has to say for itself          ── you write this
//!   manifest    one object that a component wants, and how it is made
//!   condition   how a component says what it is about
//!   binding     how others get to use it
//!   login       the application's login, and how it is rotated
//!   shared      the secret that all pods share, and how it is exchanged
//!   workload    what all pods have in common
//!   network     who may connect to them
//!   dns         how long their names may be
//!   published   credentials that an example publishes
//!   volume      the volumes for their data
//!   number      numbers in names, labels and annotations, bounded where they are read
//!   neighbour   other components that one refers to
//!   config      what becomes of the user's configuration, key by key
//!   given       text and Secrets that users have written
//!   claim       for which object a source of a default name counts
//!   panics      panics that cost only what they happened in
//!   address     hosts that users name, and connections to them
//!   http        the client of the products' HTTP APIs
//!   sql         connections to PostgreSQL servers
//!   relay       connections that libraries make themselves, held
//!   world       what a pass may read
//!   driver      the reconcile function, once for all
//!   process     arguments, log, client, admin port, Lease, drain            ── main calls this
//!   testkit     an API server in memory and more, with the feature `test-kit`
//! ```
//!
//! A controller is a struct with [`component::Component`], and a `main` that hands it to [`driver::run`] inside
//! [`process::run`]. `examples/greeting.rs` is a whole one in under a hundred lines.

pub mod address;
pub mod api;
pub mod binding;
pub mod cache;
pub mod claim;
pub mod component;
pub mod condition;
pub mod config;
pub mod dns;
pub mod driver;
pub mod failure;
pub mod given;
pub mod http;
pub mod login;
pub mod manifest;
pub mod message;
pub mod neighbour;
pub mod network;
pub mod number;
pub mod panics;
pub mod process;
pub mod published;
pub mod readiness;
pub mod relay;
mod seen;
pub mod shared;
pub mod sql;
#[cfg(any(test, feature = "test-kit"))]
pub mod testkit;
pub mod volume;
pub mod workload;
pub mod world;

/// The version of the program that this stands in: its package's, or the one that `TEMPORAL_STACK_VERSION` gave the build.
#[macro_export]
macro_rules! version {
    () => {
        match option_env!("TEMPORAL_STACK_VERSION") {
            Some(version) => version,
            None => env!("CARGO_PKG_VERSION"),
        }
    };
}
