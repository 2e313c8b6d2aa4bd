//! The database controller on a cluster that runs pods: each test in a namespace of its own, side by side.

mod application;
pub(crate) mod cloud_native_pg;
mod configuration;
mod deletion;
mod down;
mod drift;
mod external;
mod image;
mod ledger;
mod log;
mod moving;
mod named;
mod restart;
mod rotation;

use anyhow::Result;
use e2e::{Needs, Space, Stopwatch};
use serde_json::{Value, json};
use temporal_stack_common::api::PostgresDatabase;

/// Runs a test in a namespace of its own, about the database there.
async fn with_space(test: impl AsyncFnOnce(&Space) -> Result<()>) {
    crate::in_namespace(Needs::pods::<PostgresDatabase>(1), test).await;
}

/// A spec of an embedded server, small enough for many of them, with these fields beside the provider.
fn embedded(more: &Value) -> Value {
    let small = json!({"requests": {"cpu": "20m", "memory": "64Mi"}});
    let mut spec = json!({"provider": {"postgres": {"storage": {"size": "1Gi"}, "resources": small}}});
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
