//! The behaviour of the whole, seen from outside: helpers of the tests on a real API server and on a real node.
//!
//! ```text
//!   cargo xtask test ── starts ──▶ API server, controller manager (and a node) ◀── a client ── Cluster
//!                    ── runs ────▶ the test
//!                                   with_namespace(|space| …)          a namespace of its own, dumped when the test fails
//!                                     Controller::start::<K>(&space)   the real binary of a kind, with exactly the generated rules
//!                                     space.one::<K>().until(…)        waits by watch, never by the clock
//! ```
//!
//! `K` is a [`Subject`]: a kind, and what is to be known of it. What [`Space`] offers by itself is about the `PostgresDatabase`.
//!
//! A test is a user: it writes custom resources, reads conditions and children, and asks the controller for nothing but its
//! metrics and its log. Times are printed, not asserted; [`HANG`] only keeps a test from waiting for ever.

#![expect(clippy::expect_used, clippy::panic, reason = "only tests use this library, and a test fails by a panic")]
#![allow(clippy::disallowed_methods, reason = "tests trust what they ask, and see more of it than a controller would")]

pub mod application;
mod binding;
pub mod broker;
pub mod bucket;
pub mod cluster;
pub mod controller;
pub mod database;
mod dump;
pub mod existing;
pub mod fake;
pub mod follower;
pub mod helm;
pub mod host;
pub mod http;
pub mod installed;
pub mod linkerd;
pub mod load;
pub mod manifests;
pub mod network;
pub mod objects;
pub mod peers;
pub mod pinset;
pub mod plane;
pub mod prepare;
pub mod process;
pub mod program;
pub mod prometheus;
pub mod proxy;
pub mod rbac;
pub mod record;
pub mod s3;
pub mod schema;
pub mod siblings;
pub mod snapshot;
pub mod space;
pub mod sql;
pub mod step;
pub mod stopwatch;
pub mod stranger;
pub mod subject;
pub mod temporal;
pub mod turn;
pub mod wait;
pub mod witness;

pub use binding::Binding;
pub use cluster::Cluster;
pub use controller::{Controller, Identity, built};
pub use existing::in_default;
pub use pinset::Pinset;
pub use record::Record;
pub use space::{Space, with_namespace};
pub use sql::Session;
pub use stopwatch::Stopwatch;
pub use subject::{One, Subject};
pub use turn::Needs;
pub use wait::{HANG, full, seed, turns, until, until_gone};
pub use witness::Witness;

/// Makes a test of each function for each kind that has children of its own.
#[macro_export]
macro_rules! for_each_kind {
    ($($test:ident),+ $(,)?) => {
        $crate::for_each_dependency!($($test),+);
        mod object_storages {
            $(#[tokio::test]
            async fn $test() {
                super::$test::<temporal_stack_common::api::ObjectStorage>().await;
            })+
        }
    };
}

/// The same for each kind that Temporal depends on.
#[macro_export]
macro_rules! for_each_dependency {
    ($($test:ident),+ $(,)?) => {
        mod databases {
            $(#[tokio::test]
            async fn $test() {
                super::$test::<temporal_stack_common::api::PostgresDatabase>().await;
            })+
        }
        mod queues {
            $(#[tokio::test]
            async fn $test() {
                super::$test::<temporal_stack_common::api::MessageQueue>().await;
            })+
        }
        mod ipfs_clusters {
            $(#[tokio::test]
            async fn $test() {
                super::$test::<temporal_stack_common::api::IpfsCluster>().await;
            })+
        }
    };
}
