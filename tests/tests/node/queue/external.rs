use anyhow::{Context as _, Result, ensure};
use e2e::{One, Stopwatch, Subject as _, broker::Session, subject::external};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use temporal_stack_common::api::{MessageQueue, label};

use crate::queue::{is_own, made, nodes, of_size, with_another, with_queue};

/// The broker is in a namespace of its own, as somebody else's is.
#[tokio::test]
async fn external_broker_is_verified_and_its_faults_are_reported() {
    with_queue(nodes(1), async |theirs| {
        made(theirs, &of_size(1, &json!({}))).await?;
        with_another(async |queue| user_of(queue, theirs).await).await;
        Ok(())
    })
    .await;
}

/// Writes the Secret that names the broker.
async fn name(queue: &One<'_, MessageQueue>, uri: &str) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "theirs", "labels": {label::CONFIG: "true"}},
        "stringData": {"uri": uri},
    });
    let params = PatchParams::apply("e2e").force();
    queue.api::<Secret>().patch("theirs", &params, &Patch::Apply(secret)).await?;
    Ok(())
}

async fn user_of(queue: &One<'_, MessageQueue>, theirs: &One<'_, MessageQueue>) -> Result<()> {
    let mut watch = Stopwatch::new();
    let bound = theirs.bound().await?;
    let address = theirs.service().await?.to_string();
    // A controller that runs on this machine knows no names of the cluster.
    let host = if is_own() { address.as_str() } else { bound.host.as_str() };
    let right = bound.uri.replace(&bound.host, host);
    name(queue, &right).await?;
    queue.create(&external("theirs")).await?;
    queue.ready().await?;
    watch.step("an external broker is Ready after");
    let binding = queue.bound().await?;
    ensure!((&binding.username, &binding.password) == (&bound.username, &bound.password), "{binding:?}");
    let session = Session::open(&binding, theirs.service().await?).await?;
    session.declare("ours").await?;
    session.publish("", "ours", ["a message".to_owned()]).await?;

    name(queue, &right.replace(&bound.password, "wrong")).await?;
    queue.stalled("LoginRefused", &["temporal_a", "correct username and password in the Secret"]).await?;
    watch.step("a wrong password is told after");
    name(queue, &right).await?;
    queue.ready().await?;
    watch.step("the right one makes it Ready after");

    name(queue, &format!("{}/missing", right.trim_end_matches("/temporal"))).await?;
    queue.stalled("VirtualHostRefused", &["missing", "create the virtual host"]).await?;
    watch.step("a missing virtual host is told after");

    let pod = theirs.node(0).await?.to_string();
    name(queue, &right.replace(&format!("{host}:5672"), &format!("{pod}:5673"))).await?;
    let told = queue.condition_about("Reconciling", "True", "BrokerUnreachable", &[&format!("{pod}:5673")]).await?;
    watch.step("an address that nobody answers at is told after");
    println!("  {}", told.message);
    name(queue, &right).await?;
    queue.ready().await?;
    watch.step("the right Secret makes it Ready after");

    let set = queue.api::<k8s_openapi::api::apps::v1::StatefulSet>().get_opt(&MessageQueue::set()).await?;
    set.is_none().then_some(()).context("nodes were made for somebody else's broker")
}
