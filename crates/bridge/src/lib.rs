//! The bridge: lets Temporal of 2020 use today's Kubo and IPFS Cluster.
//!
//! ```text
//!   Temporal ──▶ 127.0.0.1:5001 ─┐                     ┌─▶ Kubo's RPC
//!            ──▶ 127.0.0.1:9094 ─┴─ rule, or as it is ─┴─▶ IPFS Cluster's REST API
//!                                        │
//!   kubelet, Prometheus ──▶    [::]:9080 ┘ /livez /readyz /metrics
//! ```
//!
//! Temporal's clients are of 2020. Changes since then are handled in `rule.rs`, one file per rule; every other call passes
//! unchanged.
//!
//! # Guarantees
//!
//! * **Streams**: bodies pass in both directions chunk by chunk, with their trailers; memory does not grow with them.
//!   Only answers that are translated, of at most 4 MiB, are read completely.
//! * **No silent truncation**: an answer that is cut off is cut off at the client, too.
//! * **Errors** have the form that the client decodes: the upstream's pass unchanged, and the bridge's own have the same form.
//! * **Headers** pass, including `Authorization`, except those about one connection. No body, query or header is logged.
//! * **A graceful end**: after SIGTERM calls are accepted until none has been in flight for a while, so that the bridge outlives
//!   its program.

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
mod probe;
mod process;
mod product;
mod query;
mod rule;
mod serve;
mod target;
mod tls;
mod trailers;
mod upstream;
mod wait;
mod whole;

pub use bridge::Bridge;
pub use options::Options;
pub use probe::{Probed, probe};
pub use process::{Error, run};
pub use product::Product;
pub use serve::serve;
pub use wait::{Targets, wait};
