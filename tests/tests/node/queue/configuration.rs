use anyhow::{Result, ensure};
use e2e::{One, Subject as _, Witness, until_gone};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use temporal_stack_common::{
    api::{MessageQueue, annotation::FULL_RESTART},
    binding::text,
    condition::{self, CONFIG_HONOURED},
};

use crate::queue::{deletion::namespace_goes, made, nodes, of_size, with_queue};

const KEPT: &str = "ipns-entry-queue";

fn messages(from: u32) -> Vec<String> {
    (from..from + 100).map(|number| number.to_string()).collect()
}

/// The pods, by UID.
async fn pods(queue: &One<'_, MessageQueue>) -> Result<Vec<Option<String>>> {
    let pods = queue.api::<Pod>().list(&ListParams::default()).await?;
    Ok(pods.iter().map(ResourceExt::uid).collect())
}

#[tokio::test]
async fn unknown_setting_stops_one_node_and_the_others_go_on() {
    with_queue(nodes(3), async |queue| {
        let mut watch = made(queue, &of_size(3, &json!({}))).await?;
        let session = queue.session().await?;
        session.declare(KEPT).await?;
        session.publish("", KEPT, messages(0)).await?;
        let management = queue.management().await?;
        management.has_members(KEPT, 3).await?;
        let witness = Witness::start(queue, "rabbitmq").await?;

        queue.patch_provider(&json!({"additionalConfig": "no.such.key = 1"})).await?;
        let parts = ["container prepare", "attempted to set unknown variable: no.such.key"];
        queue.condition_about(condition::READY, "False", "Applying", &parts).await?;
        watch.step("RabbitMQ's own words are in the condition after");
        let session = queue.until_session().await?;
        session.declare(KEPT).await?;
        session.publish("", KEPT, messages(100)).await?;
        // Something else to do for the controller, so that it would have gone on to the next pod by now.
        queue.annotate("e2e", &json!("look")).await?;
        queue.condition_about("QuorumSafe", "False", "NodesMissing", &["nodes down"]).await?;
        ensure!(witness.least() == 2, "{} nodes were ready", witness.least());

        queue.patch_provider(&json!({"additionalConfig": null})).await?;
        queue.ready().await?;
        watch.step("taken back; Ready after");
        management.runs(3).await?;
        ensure!(witness.least() == 2, "{} nodes were ready", witness.least());
        let all = [messages(0), messages(100)].concat();
        ensure!(queue.session().await?.take(KEPT, all.len()).await? == all, "the messages are other ones");
        Ok(())
    })
    .await;
}

async fn give_cookie(queue: &One<'_, MessageQueue>, cookie: &str) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "rabbitmq-config"},
        "stringData": {"erlang-cookie": cookie},
    });
    let params = PatchParams::apply("e2e").force();
    queue.api::<Secret>().patch("rabbitmq-config", &params, &Patch::Apply(secret)).await?;
    Ok(())
}

#[tokio::test]
async fn changed_cookie_waits_for_a_permitted_full_stop() {
    with_queue(nodes(3), async |queue| {
        let (first, second) = ("the-first-cookie", "the-second-cookie");
        give_cookie(queue, first).await?;
        let mut watch = made(queue, &of_size(3, &json!({}))).await?;
        queue.condition(CONFIG_HONOURED, "True", "AsWritten").await?;
        let session = queue.session().await?;
        session.declare(KEPT).await?;
        session.publish("", KEPT, messages(0)).await?;
        queue.management().await?.has_members(KEPT, 3).await?;
        let before = pods(queue).await?;

        give_cookie(queue, second).await?;
        let parts = queue.condition_about(CONFIG_HONOURED, "False", "Refused", &[FULL_RESTART]).await?;
        ensure!(!parts.message.contains(second), "the cookie is in the condition");
        watch.step("another cookie is refused after");
        queue.ready().await?;
        ensure!(pods(queue).await? == before, "nodes were restarted");
        ensure!(session.connection.status().connected(), "the connection has ended");

        queue.annotate(FULL_RESTART, &json!("now")).await?;
        queue.condition(CONFIG_HONOURED, "True", "AsWritten").await?;
        queue
            .until("the full stop", |object| {
                object.status.as_ref().is_some_and(|status| {
                    condition::find(&status.conditions, condition::READY)
                        .is_some_and(|ready| ready.reason == "FullRestart")
                })
            })
            .await?;
        watch.step("all nodes stop, as said after");
        queue.ready().await?;
        watch.step("Ready with the other cookie after");
        let after = pods(queue).await?;
        ensure!(after.len() == 3 && !after.iter().any(|pod| before.contains(pod)), "a node has the cookie of before");
        queue.management().await?.runs(3).await?;
        let secrets = queue.api::<Secret>();
        let made = secrets.get(&MessageQueue::child("cookie-2")).await?;
        ensure!(text(&made, "erlang-cookie") == Some(second));
        until_gone(&secrets, &MessageQueue::child("cookie-1")).await?;
        ensure!(queue.session().await?.take(KEPT, 100).await? == messages(0), "the messages are other ones");
        namespace_goes(queue, &mut watch).await
    })
    .await;
}
