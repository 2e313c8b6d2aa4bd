//! More configuration than a controller has memory.

use anyhow::ensure;
use e2e::full;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::json;
use temporal_stack_common::api::{IpfsCluster, label};

use crate::victim::{is_observed, with_strangers};

/// How many are written at once.
const AT_ONCE: usize = 4;

#[tokio::test]
async fn large_labelled_configuration_does_not_affect_other_tenants() {
    with_strangers::<IpfsCluster>(async |strangers| {
        let (count, size) = if full() { (500, 900_000) } else { (120, 900_000) };
        let text = "x".repeat(size);
        let stranger = &strangers.stranger;
        let labels = json!({label::CONFIG: "true", label::BINDING: "true"});
        let writes = stream::iter(0..count).map(async |number| {
            let metadata = json!({"name": format!("large-{number}"), "labels": labels});
            if number % 4 == 0 {
                return stranger.create::<Secret>(&json!({"metadata": metadata, "stringData": {"x": text}})).await;
            }
            stranger.create::<ConfigMap>(&json!({"metadata": metadata, "data": {"x": text}})).await
        });
        let taken: Vec<bool> = writes.buffer_unordered(AT_ONCE).try_collect().await?;
        ensure!(taken.iter().all(|taken| *taken), "the API server did not take all");
        is_observed(&strangers.victim).await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn many_small_labelled_config_maps_do_not_affect_other_tenants() {
    with_strangers::<IpfsCluster>(async |strangers| {
        let count = if full() { 10_000 } else { 600 };
        let stranger = &strangers.stranger;
        let writes = stream::iter(0..count).map(async |number| {
            let metadata = json!({"name": format!("small-{number}"), "labels": {label::CONFIG: "true"}});
            stranger.create::<ConfigMap>(&json!({"metadata": metadata, "data": {"x": "y"}})).await
        });
        let taken: Vec<bool> = writes.buffer_unordered(AT_ONCE).try_collect().await?;
        ensure!(taken.iter().all(|taken| *taken), "the API server did not take all");
        Ok(())
    })
    .await;
}
