//! The traffic between components, from the metrics of their proxies.
//!
//! ```text
//!   pods ──▶ scrape ──▶ sample ──▶ window ──▶ edge ──▶ class ──▶ status, condition
//!      /metrics    lines      points     sums    │ figures
//!                                          │     └──▶ metrics of this controller
//!                                          └ links ──▶ audit of the policy
//! ```
//!
//! A pod's metrics are the words of whoever may change the pod. So they are read within bounds (`scrape`), reduced to numbers line
//! by line (`text`, `labels`, `sample`), and no text of theirs becomes a label or a name in a status: an end of an edge is one of
//! the stack's components, or `other`, or `unmeshed`.
//!
//! An edge between components is counted by the client's proxy, which knows the server's pod. The server's proxy counts the clients
//! that have none, and those of other namespaces. What it denied counts for all of them.

mod class;
mod condition;
mod edge;
mod labels;
mod latency;
mod leaf;
mod memory;
mod metrics;
mod report;
mod sample;
mod scrape;
mod subject;
#[cfg(test)]
mod tests;
mod text;
mod window;

pub(crate) use condition::statement;
#[cfg(test)]
pub(crate) use leaf::Leaf;
pub(crate) use leaf::Trouble;
pub(crate) use memory::{Memory, Scraper};
pub(crate) use report::Report;
pub(crate) use subject::{Client, Component, Names, Target};
