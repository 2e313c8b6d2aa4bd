//! The stack on a cluster that runs pods: what `xtask up` has made, and objects in namespaces of the tests' own.
//!
//! ```text
//!   seed      the user's configuration word for word, as `xtask up` brings it up ┐ one after the other:
//!   temporal  Temporal: the stack's own instance, and others beside it           ┘ there is one stack
//!   database, queue, ipfs, storage                            side by side, each in a namespace of its own
//!   mesh                                                      the whole stack in a namespace of its own, with Linkerd's stand-in
//! ```
//!
//! Start all of them at once (`--test-threads=100`): each says [what it needs](e2e::turn) and waits for its turn. Each leaves the
//! stack as it found it, with more rows in the database than before.

#![allow(clippy::disallowed_methods, reason = "tests trust what they ask, and see more of it than a controller would")]
#![expect(clippy::expect_used, clippy::large_futures, reason = "a test fails by a panic, and is one long story")]

mod database;
mod ipfs;
mod mesh;
mod queue;
mod seed;
mod storage;
mod temporal;

use std::path::{Path, PathBuf};

use anyhow::Result;
use e2e::{Cluster, Needs, Space, in_default, with_namespace};

/// The cluster that all tests here use.
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

/// Runs a test on the stack, when it is its turn.
async fn on_stack(needs: Needs, test: impl AsyncFnOnce(&Space) -> Result<()>) {
    let _turn = needs.turn().await;
    in_default(&cluster(), test).await;
}

/// Runs a test in a namespace of its own, when it is its turn.
async fn in_namespace(needs: Needs, test: impl AsyncFnOnce(&Space) -> Result<()>) {
    let _turn = needs.turn().await;
    with_namespace(&cluster(), test).await;
}
