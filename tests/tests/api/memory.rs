//! What tenants write does not set how much a controller holds.

use anyhow::{Context as _, Result, ensure};
use e2e::{Controller, Identity, Space, full, prepare::api_server, with_namespace};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use serde_json::json;
use temporal_stack_common::api::{PostgresDatabase, label};

use crate::step::{look, made};

/// What a controller may hold, whatever there is.
const BUDGET: u64 = 60_000_000;

/// ConfigMaps of that many bytes, with the label that has them watched.
async fn labelled(space: &Space, name: &str, count: usize, bytes: usize) -> Result<()> {
    let text = "x".repeat(bytes);
    let maps = stream::iter(0..count).map(async |number| {
        let labels = json!({label::CONFIG: "true"});
        let map = json!({"metadata": {"name": format!("{name}-{number}"), "labels": labels}, "data": {"text": text}});
        let map: ConfigMap = serde_json::from_value(map)?;
        space.api().create(&PostParams::default(), &map).await.context("could not make a ConfigMap")?;
        anyhow::Ok(())
    });
    maps.buffer_unordered(16).try_collect().await
}

#[tokio::test]
async fn labelled_objects_do_not_grow_the_controller() {
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let (large, small) = if full() { (500, 10_000) } else { (60, 1000) };
        labelled(space, "large", large, 900_000).await?;
        labelled(space, "small", small, 100).await?;
        let identity = Identity::of_namespace::<PostgresDatabase>(space).await?;
        let mut controller = Controller::start_as(space, &identity).await?;
        controller.leads().await?;
        let held = async |controller: &Controller, when: &str| {
            let held = controller.metrics()?.resident_memory().context("no resident memory is reported")?;
            println!("{} MB {when}", held / 1_000_000);
            ensure!(held < BUDGET, "{held} bytes {when}, with {large} large ConfigMaps and {small} small ones");
            anyhow::Ok(())
        };
        held(&controller, "after the first list").await?;

        let one = space.one::<PostgresDatabase>();
        made(&one, &controller).await?;
        // Events of further ones, and an object that refers to a large one.
        labelled(space, "later", 60, 900_000).await?;
        one.patch(&json!({"spec": {"config": {"configMap": "large-0"}}})).await?;
        look(&one, &controller).await?;
        held(&controller, "with more, and an object that refers to one").await?;
        controller.terminate()?;
        ensure!(controller.ended().await?.success(), "the controller did not end in order");
        Ok(())
    })
    .await;
}
