//! The bridge: lets Temporal of 2020 speak with today's Kubo and IPFS Cluster.
//!
//! ```text
//!   Temporal ──▶ 127.0.0.1:5001 ─┐                     ┌─▶ Kubo's RPC
//!            ──▶ 127.0.0.1:9094 ─┴─ rule, or as it is ─┴─▶ IPFS Cluster's REST API
//!                                        │
//!   kubelet, Prometheus ──▶    [::]:9080 ┘ /healthz /readyz /metrics
//! ```
//!
//! Temporal's clients are of 2020. What has changed since is in `rule.rs`, one file a rule; every other call passes as it is.
//!
//! # Guarantees
//!
//! * **Streams**: bodies go through in both ways chunk by chunk, with their trailers; what is in memory does not grow with them.
//!   Only answers that are translated, and no longer than 4 MiB, are read as a whole.
//! * **No silent end**: an answer that breaks off breaks off at the client, too.
//! * **Errors** have the shape that the client decodes: those of the upstream pass, and the bridge's own look like them.
//! * **Headers** pass but for those about one connection; `Authorization` does. No body, query or header is logged.
//! * **An end in time**: after SIGTERM calls are taken as before until none was in flight for a while, so that the bridge
//!   outlives the one that it is there for.

mod admin;
mod answer;
mod bridge;
mod calls;
mod failure;
#[cfg(test)]
mod fake;
mod header;
mod metrics;
mod options;
mod patience;
mod process;
mod product;
mod query;
mod rule;
mod serve;
mod trailers;
mod upstream;
mod wait;

pub use bridge::Bridge;
pub use options::Options;
pub use process::{Error, run};
pub use product::Product;
pub use serve::serve;
pub use wait::{Targets, wait};
