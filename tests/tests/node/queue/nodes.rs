use anyhow::{Result, ensure};
use e2e::{One, Subject as _, Witness, broker::TEMPORAL, until, witness::is_ready};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::{ResourceExt as _, api::DeleteParams};
use serde_json::json;
use temporal_stack_common::{api::MessageQueue, condition};

use crate::queue::{
    load::{Careless, Load, take_all},
    made, nodes, of_size, with_queue,
};

/// How many messages are published at the least.
const MESSAGES: u64 = 10_000;
/// Messages between two faults: a few seconds' worth, so that each meets a cluster that is used.
const BETWEEN: u64 = 200;

#[tokio::test]
async fn deleted_nodes_and_lost_volumes_lose_no_confirmed_message() {
    with_queue(nodes(3), async |queue| {
        let mut watch = made(queue, &of_size(3, &json!({}))).await?;
        let management = queue.management().await?;
        queue.declare_for_temporal().await?;
        queue.condition("QuorumSafe", "True", "MajorityRemains").await?;
        watch.step("Temporal's queues have three members after");

        let load = Load::start(&queue.bound().await?, queue.service().await?, TEMPORAL[0]);
        let careless = Careless::start(&queue.bound().await?, queue.service().await?, TEMPORAL[1]);
        load.confirmed(BETWEEN).await?;
        for ordinal in 0..3 {
            let pods = queue.api::<Pod>();
            let before = pods.get(&MessageQueue::pod(ordinal)).await?;
            pods.delete(&before.name_any(), &DeleteParams::default()).await?;
            is_whole_again(queue, &before).await?;
            watch.step(&format!("pod {ordinal} was deleted; one more may go after"));
            load.confirmed(BETWEEN).await?;
        }
        let refused = careless.end(&queue.session().await?, &mut watch).await?;
        ensure!(refused > 0, "no publisher was on a node that was deleted");

        let pods = queue.api::<Pod>();
        let before = pods.get(&MessageQueue::pod(1)).await?;
        let claims = queue.api::<PersistentVolumeClaim>();
        let claim = claims.delete(&MessageQueue::volume(1), &DeleteParams::default()).await?;
        pods.delete(&before.name_any(), &DeleteParams::default()).await?;
        is_whole_again(queue, &before).await?;
        let uid = claim.left().and_then(|claim| claim.uid());
        ensure!(claims.get(&MessageQueue::volume(1)).await?.uid() != uid, "the volume claim is the one that was deleted");
        for name in TEMPORAL {
            management.has_members(name, 3).await?;
        }
        watch.step("a volume was lost; one more may go after");
        load.confirmed(BETWEEN).await?;

        let witness = Witness::start(queue, "rabbitmq").await?;
        queue.patch_provider(&json!({"additionalConfig": "channel_max = 1000"})).await?;
        queue.ready().await?;
        for ordinal in 0..3 {
            let session = queue.session_on(ordinal).await?;
            let channels = session.connection.configuration().channel_max();
            ensure!(channels == 1000, "node {ordinal} has channel_max {channels}");
        }
        watch.step("a setting was changed; Ready after");
        ensure!(witness.least() == 2, "{} nodes were ready while the setting was changed", witness.least());

        let published = load.end(MESSAGES).await?;
        watch.step("the last messages were published after");
        management.runs(3).await?;
        management.has_members(TEMPORAL[0], 3).await?;
        let twice = take_all(&queue.session().await?, TEMPORAL[0], (0..published.confirmed).collect()).await?;
        watch.step("all messages were consumed after");
        println!(
            "{} messages confirmed and consumed, {twice} of them twice; published again {} times; longest time without a confirm: {:.1} s",
            published.confirmed,
            published.again,
            published.longest.as_secs_f64()
        );
        Ok(())
    })
    .await;
}

/// Waits until it is said that no more node may go, another pod has come in place of this one, and one more may go.
async fn is_whole_again(queue: &One<'_, MessageQueue>, before: &Pod) -> Result<()> {
    queue
        .until("QuorumSafe False", |object| {
            let conditions = object.status.iter().flat_map(|status| &status.conditions);
            conditions.into_iter().any(|condition| condition.type_ == "QuorumSafe" && condition.status == "False")
        })
        .await?;
    let another = |pod: &Pod| pod.uid() != before.uid() && is_ready(pod);
    until(&queue.api::<Pod>(), &before.name_any(), "been made again", another).await?;
    queue.condition("QuorumSafe", "True", "MajorityRemains").await?;
    queue.condition(condition::READY, "True", "Verified").await.map(drop)
}
