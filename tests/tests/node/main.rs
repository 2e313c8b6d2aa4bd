//! The database controller on a cluster that runs pods: each test in a namespace of its own, side by side.

#![allow(clippy::disallowed_methods, reason = "tests trust what they ask, and see more of it than a controller would")]
#![expect(clippy::expect_used, clippy::large_futures, reason = "a test fails by a panic, and is one long story")]

mod application;
mod configuration;
mod deletion;
mod down;
mod drift;
mod external;
mod log;
mod named;
mod restart;
mod rotation;

use anyhow::Result;
use e2e::{Cluster, Space, Stopwatch};
use serde_json::{Value, json};

/// The cluster that all tests here use.
fn cluster() -> Cluster {
    Cluster::node().expect("a cluster that runs pods")
}

/// A spec of an embedded server, with these fields beside the provider.
fn embedded(more: &Value) -> Value {
    let mut spec = json!({"provider": {"postgres": {"storage": {"size": "1Gi"}}}});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    spec
}

/// Makes a database and waits until it is Ready.
async fn made(space: &Space, spec: &Value) -> Result<Stopwatch> {
    let mut watch = Stopwatch::new();
    space.create(spec).await?;
    space.ready().await?;
    watch.step("Ready after");
    Ok(watch)
}
