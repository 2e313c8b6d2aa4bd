//! The queue controller on a cluster that runs pods: each test in a namespace of its own, side by side.

mod alarms;
mod application;
mod capacity;
mod configuration;
mod deletion;
mod external;
mod load;
mod nodes;
mod rotation;
mod scale;
mod suspension;

use anyhow::Result;
use e2e::{Controller, Needs, One, Stopwatch, Subject as _, with_namespace};
use serde_json::{Value, json};
use temporal_stack_common::api::MessageQueue;

use crate::cluster;

/// Names an image of RabbitMQ, and with it that each test is to start a controller of its own, the one that cargo has built:
/// to try a change without installing it. The installed controller must have been scaled to 0.
const OWN: &str = "TEMPORAL_STACK_TEST_OWN_CONTROLLER";

/// Whether each test has a controller of its own.
fn is_own() -> bool {
    std::env::var_os(OWN).is_some()
}

/// What a test with so many nodes needs.
fn nodes(count: u32) -> Needs {
    Needs::pods::<MessageQueue>(2 * count)
}

/// Runs a test in a namespace of its own, about the message queue there, when it is its turn.
async fn with_queue(needs: Needs, test: impl AsyncFnOnce(&One<'_, MessageQueue>) -> Result<()>) {
    let _turn = needs.turn().await;
    with_another(test).await;
}

/// The same within the turn of a test that has one already.
async fn with_another(test: impl AsyncFnOnce(&One<'_, MessageQueue>) -> Result<()>) {
    with_namespace(&cluster(), async |space| {
        let _controller = if is_own() { Some(Controller::start::<MessageQueue>(space).await?) } else { None };
        test(&space.one()).await
    })
    .await;
}

/// A spec of a cluster with so many nodes, small enough for many of them, with these fields of the provider.
fn of_size(replicas: u32, more: &Value) -> Value {
    let mut provider = json!({
        "replicas": replicas,
        "storage": {"size": "1Gi"},
        "resources": {"requests": {"cpu": "20m", "memory": "160Mi"}},
    });
    if let Ok(image) = std::env::var(OWN) {
        provider["image"] = json!(image);
    }
    for (key, value) in more.as_object().into_iter().flatten() {
        provider[key] = value.clone();
    }
    MessageQueue::provider(&provider)
}

/// Makes a message queue and waits until it is Ready.
async fn made(queue: &One<'_, MessageQueue>, spec: &Value) -> Result<Stopwatch> {
    let mut watch = Stopwatch::new();
    queue.create(spec).await?;
    queue.ready().await?;
    watch.step("Ready after");
    Ok(watch)
}
