//! The storage controller on a cluster that runs pods: each test in a namespace of its own, side by side.

mod buckets;
mod deletion;
mod external;
mod kept;
mod layout;
mod performance;
mod rotation;
mod untold;

use anyhow::Result;
use e2e::{Needs, One, Stopwatch};
use serde_json::{Value, json};
use temporal_stack_common::api::ObjectStorage;

/// The buckets of the objects that tests make.
const BUCKETS: [&str; 2] = ["photos", "backups"];

/// Runs a test in a namespace of its own, about the object storage there, when it is its turn.
async fn with_storage(pods: u32, test: impl AsyncFnOnce(&One<'_, ObjectStorage>) -> Result<()>) {
    let needs = Needs::pods::<ObjectStorage>(pods);
    crate::in_namespace(needs, async |space| test(&space.one()).await).await;
}

/// A spec of an engine with two buckets, small enough for many of them, with these fields of the provider.
fn of(engine: &str, more: &Value) -> Value {
    let mut provider = json!({
        "storage": {"size": "1Gi"},
        "resources": {"requests": {"cpu": "20m", "memory": "96Mi"}},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        provider[key] = value.clone();
    }
    json!({"provider": {engine: provider}, "buckets": BUCKETS.map(|name| json!({"name": name}))})
}

/// Makes an object storage, and waits until it is Ready.
async fn made(storage: &One<'_, ObjectStorage>, spec: &Value) -> Result<Stopwatch> {
    let mut watch = Stopwatch::new();
    storage.create(spec).await?;
    storage.ready().await?;
    watch.step("Ready after");
    Ok(watch)
}

/// Makes a test of each function for each engine.
macro_rules! for_each_engine {
    ($($test:ident),+ $(,)?) => {
        mod minio {
            $(#[tokio::test]
            async fn $test() {
                super::$test("minio").await;
            })+
        }
        mod versity {
            $(#[tokio::test]
            async fn $test() {
                super::$test("versity").await;
            })+
        }
    };
}
use for_each_engine;
