//! The seed word for word, as `xtask up` brings it up: one test after the other, because there is one stack and one node.
//!
//! Each test leaves the stack as it found it, with more rows in the database than before.

#![allow(clippy::disallowed_methods, reason = "tests trust what they ask, and see more of it than a controller would")]
#![expect(clippy::expect_used, reason = "a test fails by a panic")]

mod as_given;
mod everything;
mod faults;
mod ipfs;
mod newer;
mod node;
mod queue;
mod remade;
mod rows;

use std::path::{Path, PathBuf};

use e2e::Cluster;

/// The cluster that `xtask up` has made.
fn cluster() -> Cluster {
    Cluster::node().expect("a cluster that runs pods")
}

/// The root of the workspace.
fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The directory of the node: its kubeconfig is in there.
fn state() -> PathBuf {
    let cluster = cluster();
    cluster.kubeconfig().parent().expect("a kubeconfig is in a directory").to_owned()
}
