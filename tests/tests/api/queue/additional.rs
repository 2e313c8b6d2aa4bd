//! The user's own lines for `rabbitmq.conf`.

use anyhow::{Context as _, Result, ensure};
use e2e::{Subject as _, snapshot::children};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use temporal_stack_common::{api::MessageQueue, condition::STALLED};

use super::{Queue, with_controller};
use crate::step::{complete, made};

async fn add(space: &Queue<'_>, lines: &str) -> Result<MessageQueue> {
    space.patch_provider(&json!({"additionalConfig": lines})).await
}

async fn conf(space: &Queue<'_>) -> Result<String> {
    let map = space.api::<ConfigMap>().get(&MessageQueue::child("config")).await?;
    map.data.and_then(|mut data| data.remove("rabbitmq.conf")).context("there is no rabbitmq.conf")
}

#[tokio::test]
async fn invalid_line_is_named_with_its_number_and_remedy() {
    with_controller(async |space, _| {
        space.create(&json!({"provider": {"rabbitmq": {"additionalConfig": "channel_max 100"}}})).await?;
        for (lines, parts) in [
            ("channel_max 100", ["line 1", "has no =", "write `key = value`"]),
            ("# mine\nlisteners.tcp.default = 1", ["line 2", "listeners.tcp.default", "remove the line"]),
            ("channel_max =", ["line 1", "channel_max has no value", "write `channel_max = …`"]),
            ("channel max = 1", ["line 1", "\"channel max\"", "is not a setting"]),
        ] {
            add(space, lines).await?;
            let parts = [&["spec.provider.rabbitmq.additionalConfig"], &parts[..]].concat();
            space.condition_about(STALLED, "True", "InvalidSpec", &parts).await?;
        }
        ensure!(children(space).await?.is_empty(), "something was made");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn removed_lines_restore_the_defaults() {
    with_controller(async |space, controller| {
        made(space, controller).await?;
        let before = conf(space).await?;
        ensure!(before.contains("vm_memory_high_watermark.absolute ="), "{before}");
        add(space, "channel_max = 100\nvm_memory_high_watermark.relative = 0.4").await?;
        complete(space, controller).await?;
        let with = conf(space).await?;
        ensure!(with.contains("channel_max = 100") && !with.contains("watermark.absolute"), "{with}");
        add(space, "").await?;
        complete(space, controller).await?;
        ensure!(conf(space).await? == before, "it is another than before");
        Ok(())
    })
    .await;
}
