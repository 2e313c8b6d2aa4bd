//! The real engines of object storage, on loopback addresses of this machine: what the controller counts on is what they do.
//!
//! ```text
//!   engine ── starts ──▶ MinIO: 1 server × 1 drive, 1 × 4, 4 × 1; Versity S3 Gateway
//!      └── its folders, addresses, root key, users of one bucket
//!
//!   e2e::objects   1,000 objects of known contents     e2e::load   one server after another, with one retry
//!
//!   restart, drives, servers   what survives kills, lost drives and servers, restarts one by one and all at once
//!   conformance                the calls that applications may expect, as a page of the documentation
//!   copy                       `storage-controller copy` from one engine to the other
//!   logins                     a user of one bucket in another one; keys that change under load; secrets in no log
//! ```

#![allow(clippy::disallowed_methods, reason = "tests trust what they ask, and see more of it than a controller would")]
#![expect(clippy::expect_used, reason = "a test fails by a panic")]

mod conformance;
mod copy;
mod drives;
mod engine;
mod logins;
mod restart;
mod servers;

/// The region of S3 that engines are in without a setting.
pub(crate) const REGION: &str = "us-east-1";
