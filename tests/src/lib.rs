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
pub mod cluster;
pub mod controller;
pub mod database;
mod dump;
pub mod existing;
pub mod fake;
pub mod host;
mod http;
pub mod installed;
pub mod peers;
pub mod pinset;
pub mod plane;
pub mod prepare;
pub mod program;
pub mod proxy;
pub mod record;
pub mod schema;
pub mod snapshot;
pub mod space;
pub mod sql;
pub mod step;
pub mod stopwatch;
pub mod stranger;
pub mod subject;
pub mod temporal;
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
pub use wait::{HANG, full, until, until_gone};
pub use witness::Witness;
