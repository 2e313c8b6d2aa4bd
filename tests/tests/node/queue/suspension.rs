use anyhow::ensure;
use e2e::broker::TEMPORAL;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use serde_json::json;
use temporal_stack_common::condition::SUSPENDED;

use crate::queue::{
    load::{Load, take_all},
    made, nodes, of_size, with_queue,
};

/// Messages before each suspension: some seconds' worth.
const BETWEEN: u64 = 400;

#[tokio::test]
async fn suspended_cluster_keeps_every_confirmed_message() {
    with_queue(nodes(3), async |queue| {
        let mut watch = made(queue, &of_size(3, &json!({}))).await?;
        let management = queue.management().await?;
        queue.declare_for_temporal().await?;
        queue.condition("QuorumSafe", "True", "MajorityRemains").await?;
        let bound = queue.bound().await?;
        let load = Load::start(&bound, queue.service().await?, TEMPORAL[0]);
        // Twice, because the nodes may stop in another order.
        for _ in 0..2 {
            load.confirmed(BETWEEN).await?;
            queue.patch(&json!({"spec": {"suspend": true}})).await?;
            queue.condition(SUSPENDED, "True", "Suspended").await?;
            watch.step("suspended while messages are published; no node runs after");
            let pods = queue.api::<Pod>().list(&ListParams::default()).await?;
            ensure!(pods.items.is_empty() && queue.bound().await? == bound, "the binding has changed");

            queue.patch(&json!({"spec": {"suspend": false}})).await?;
            queue.ready().await?;
            queue.condition("QuorumSafe", "True", "MajorityRemains").await?;
            watch.step("resumed; Ready after");
            management.runs(3).await?;
            management.has_members(TEMPORAL[0], 3).await?;
        }
        let published = load.end(0).await?;
        let twice = take_all(&queue.session().await?, TEMPORAL[0], (0..published.confirmed).collect()).await?;
        println!("{} messages confirmed and consumed, {twice} of them twice", published.confirmed);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn cluster_that_shrinks_while_suspended_loses_no_message() {
    with_queue(nodes(3), async |queue| {
        made(queue, &of_size(3, &json!({}))).await?;
        queue.declare_for_temporal().await?;
        queue.condition("QuorumSafe", "True", "MajorityRemains").await?;
        let messages = (0..BETWEEN).map(|number| number.to_string());
        queue.session().await?.publish("", TEMPORAL[0], messages).await?;
        queue.patch(&json!({"spec": {"suspend": true}})).await?;
        queue.condition(SUSPENDED, "True", "Suspended").await?;
        queue.patch_provider(&json!({"replicas": 1})).await?;
        queue.condition(SUSPENDED, "True", "Suspended").await?;
        queue.patch(&json!({"spec": {"suspend": false}})).await?;
        // All three come back, and two of them leave in order.
        queue.ready().await?;
        queue.management().await?.runs(1).await?;
        take_all(&queue.session().await?, TEMPORAL[0], (0..BETWEEN).collect()).await?;
        Ok(())
    })
    .await;
}
