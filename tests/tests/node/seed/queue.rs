use std::fs;

use anyhow::{Context as _, Result, ensure};
use e2e::{Needs, Space, Stopwatch, Subject as _};
use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;
use temporal_stack_common::{
    api::MessageQueue,
    binding::text,
    condition::{CONFIG_HONOURED, READY},
};

use crate::{on_stack, workspace};

/// The test's own copy of the seed.
const SEED: &str = include_str!("../../../fixtures/seed/rabbitmq-config.yaml");
const COOKIE: &str = "erlang-cookie";

/// Waits until the queue of the stack is Ready, and one more node may go.
pub(crate) async fn is_ready(space: &Space) -> Result<()> {
    let queue = space.one::<MessageQueue>();
    queue.condition(READY, "True", "Verified").await?;
    queue.condition("QuorumSafe", "True", "MajorityRemains").await.map(drop)
}

#[test]
fn deployed_secret_equals_the_seed() {
    let deployed = fs::read(workspace().join("deploy/stack/configuration/rabbitmq-config.yaml")).unwrap();
    assert!(deployed == SEED.as_bytes(), "deploy/stack/configuration/rabbitmq-config.yaml differs from the seed's");
}

#[tokio::test]
async fn seed_gives_three_nodes_and_replicated_queues() {
    on_stack(Needs::stack(), async |space| {
        let queue = space.one::<MessageQueue>();
        is_ready(space).await?;
        queue.condition_about(CONFIG_HONOURED, "True", "Adapted", &[COOKIE, "published"]).await?;
        let seed: Value = serde_saphyr::from_str(SEED)?;
        let secrets = space.api::<Secret>();
        let cookie = seed["stringData"][COOKIE].as_str().context("the seed has a cookie")?;
        for name in ["rabbitmq-config".to_owned(), MessageQueue::child("cookie-1")] {
            let secret = secrets.get(&name).await?;
            ensure!(text(&secret, COOKIE) == Some(cookie), "Secret/{name} has another cookie than the seed's");
        }
        ensure!(queue.bound().await?.host == "temporal-messagequeue.default.svc");

        let mut watch = Stopwatch::new();
        queue.declare_for_temporal().await?;
        watch.step("Temporal's queues have three members after");
        Ok(())
    })
    .await;
}
