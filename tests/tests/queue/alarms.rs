use anyhow::Result;
use serde_json::json;
use temporal_stack_common::condition;

use crate::{made, of_size, with_queue};

/// Sets a limit that is reached at once, and takes it back.
async fn is_told(limit: &str, reason: &str, told: &[&str]) {
    with_queue(async |queue| -> Result<()> {
        let mut watch = made(queue, &of_size(1, &json!({}))).await?;
        queue.patch_provider(&json!({"additionalConfig": limit})).await?;
        queue.condition_about(condition::READY, "False", reason, told).await?;
        watch.step(&format!("{reason} is told after"));
        queue.patch_provider(&json!({"additionalConfig": null})).await?;
        queue.ready().await?;
        watch.step("the limit was taken back; Ready after");
        let session = queue.session().await?;
        session.declare("email-send-queue").await?;
        session.publish("", "email-send-queue", ["once more".to_owned()]).await
    })
    .await;
}

#[tokio::test]
async fn publishers_that_are_blocked_for_memory_are_told_with_a_remedy_and_only_as_long_as_they_are() {
    let told = ["publishers are blocked", "temporal-messagequeue-0", "spec.provider.rabbitmq.resources.limits.memory"];
    is_told("vm_memory_high_watermark.absolute = 1MB", "MemoryAlarm", &told).await;
}

#[tokio::test]
async fn publishers_that_are_blocked_for_disk_are_told_with_a_remedy_and_only_as_long_as_they_are() {
    let told = ["publishers are blocked", "temporal-messagequeue-0", "spec.provider.rabbitmq.storage.size"];
    is_told("disk_free_limit.absolute = 10TB", "DiskAlarm", &told).await;
}
