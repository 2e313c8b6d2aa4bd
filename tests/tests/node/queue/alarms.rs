use anyhow::Result;
use e2e::{One, Stopwatch};
use serde_json::json;
use temporal_stack_common::{api::MessageQueue, condition};

use crate::queue::{made, nodes, of_size, with_queue};

/// Sets a limit that is reached at once, and takes it back.
async fn is_told(
    queue: &One<'_, MessageQueue>,
    watch: &mut Stopwatch,
    (limit, reason, remedy): (&str, &str, &str),
) -> Result<()> {
    queue.patch_provider(&json!({"additionalConfig": limit})).await?;
    let parts = ["publishers are blocked", "temporal-messagequeue-0", remedy];
    queue.condition_about(condition::READY, "False", reason, &parts).await?;
    watch.step(&format!("{reason} is told after"));
    queue.patch_provider(&json!({"additionalConfig": null})).await?;
    queue.ready().await?;
    watch.step("the limit was taken back; Ready after");
    let session = queue.session().await?;
    session.declare("email-send-queue").await?;
    session.publish("", "email-send-queue", ["once more".to_owned()]).await
}

#[tokio::test]
async fn alarms_are_reported_with_a_remedy_while_they_last() {
    let memory =
        ("vm_memory_high_watermark.absolute = 1MB", "MemoryAlarm", "spec.provider.rabbitmq.resources.limits.memory");
    let disk = ("disk_free_limit.absolute = 10TB", "DiskAlarm", "spec.provider.rabbitmq.storage.size");
    with_queue(nodes(1), async |queue| {
        let mut watch = made(queue, &of_size(1, &json!({}))).await?;
        is_told(queue, &mut watch, memory).await?;
        is_told(queue, &mut watch, disk).await
    })
    .await;
}
