use anyhow::{Context as _, Result, ensure};
use e2e::{Controller, One, Stopwatch, Subject as _, installed::installed, subject::NAME, until_gone};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Namespace, PersistentVolumeClaim, Pod, Secret},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};
use temporal_stack_common::api::MessageQueue;

use crate::{
    in_namespace,
    queue::{is_own, made, nodes, of_size, with_queue},
};

const KEPT: &str = "ipfs-pin-queue";

fn messages() -> Vec<String> {
    (0..100).map(|number| number.to_string()).collect()
}

fn deleted_with_all(mut spec: Value) -> Value {
    spec["deletionPolicy"] = json!("Delete");
    spec
}

async fn delete(queue: &One<'_, MessageQueue>) -> Result<()> {
    queue.objects().delete(NAME, &DeleteParams::default()).await?;
    Ok(())
}

/// Waits until the object and its pods have gone.
async fn nothing_runs(queue: &One<'_, MessageQueue>, nodes: u32) -> Result<()> {
    until_gone(&queue.objects(), NAME).await?;
    until_gone(&queue.api::<StatefulSet>(), &MessageQueue::set()).await?;
    for ordinal in 0..nodes {
        until_gone(&queue.api::<Pod>(), &MessageQueue::pod(ordinal)).await?;
    }
    Ok(())
}

/// The names of the Secrets that the controller has made.
async fn secrets(queue: &One<'_, MessageQueue>) -> Result<Vec<String>> {
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=temporal-stack");
    let secrets = queue.api::<Secret>().list(&ours).await?;
    Ok(secrets.iter().map(ResourceExt::name_any).collect())
}

#[tokio::test]
async fn retained_messages_return_and_policy_delete_removes_all() {
    with_queue(nodes(1), async |queue| {
        let spec = of_size(1, &json!({}));
        let mut watch = made(queue, &spec).await?;
        let before = queue.bound().await?;
        let session = queue.session().await?;
        session.declare(KEPT).await?;
        session.publish("", KEPT, messages()).await?;
        drop(session);

        delete(queue).await?;
        nothing_runs(queue, 1).await?;
        watch.step("nothing runs after");
        until_gone(&queue.api::<Secret>(), &MessageQueue::binding()).await?;
        queue.api::<PersistentVolumeClaim>().get(&MessageQueue::volume(0)).await.context("the volume has gone")?;
        let kept = secrets(queue).await?;
        for name in MessageQueue::DATA {
            ensure!(kept.contains(&MessageQueue::child(name)), "{name} is not kept: {kept:?}");
        }

        queue.create(&spec).await?;
        queue.ready().await?;
        watch.step("made again; Ready after");
        ensure!(queue.bound().await? == before, "the binding is another one");
        let session = queue.session().await?;
        session.declare(KEPT).await?;
        ensure!(session.take(KEPT, messages().len()).await? == messages(), "the messages are other ones");
        drop(session);

        queue.patch(&json!({"spec": {"deletionPolicy": "Delete"}})).await?;
        queue.ready().await?;
        watch.step("policy Delete, and Ready after");
        let names = secrets(queue).await?;
        ensure!(names.len() == 4, "cookie, administrator, login and binding: {names:?}");
        delete(queue).await?;
        nothing_runs(queue, 1).await?;
        for name in &names {
            until_gone(&queue.api::<Secret>(), name).await?;
        }
        until_gone(&queue.api::<PersistentVolumeClaim>(), &MessageQueue::volume(0)).await?;
        watch.step("all is gone after");
        Ok(())
    })
    .await;
}

/// Publishes to a queue with three members, deletes the namespace, and waits until all has gone.
pub(crate) async fn namespace_goes(queue: &One<'_, MessageQueue>, watch: &mut Stopwatch) -> Result<()> {
    let session = queue.session().await?;
    session.declare(KEPT).await?;
    session.publish("", KEPT, messages()).await?;
    queue.management().await?.has_members(KEPT, 3).await?;
    drop(session);
    queue.delete().await?;
    nothing_runs(queue, 3).await?;
    watch.step("the namespace was deleted; nothing runs after");
    until_gone(&Api::<Namespace>::all(queue.client.clone()), &queue.name).await?;
    watch.step("and all has gone after");
    Ok(())
}

#[tokio::test]
async fn deletion_without_a_controller_ends_the_nodes() {
    let needs = nodes(3).ending::<MessageQueue>();
    in_namespace(needs, async |space| {
        let queue = space.one::<MessageQueue>();
        let own = if is_own() { Some(Controller::start::<MessageQueue>(space).await?) } else { None };
        let mut watch = made(&queue, &deleted_with_all(of_size(3, &json!({})))).await?;
        let is_installed = own.is_none();
        drop(own);
        if is_installed {
            installed::<MessageQueue>(&queue, 0).await?;
        }
        let result = goes_by_itself(&queue, &mut watch).await;
        if is_installed {
            installed::<MessageQueue>(&queue, 1).await?;
        }
        result
    })
    .await;
}

/// The object is deleted while there is no controller.
async fn goes_by_itself(queue: &One<'_, MessageQueue>, watch: &mut Stopwatch) -> Result<()> {
    watch.step("the controller has ended after");
    delete(queue).await?;
    nothing_runs(queue, 3).await?;
    for ordinal in 0..3 {
        until_gone(&queue.api::<PersistentVolumeClaim>(), &MessageQueue::volume(ordinal)).await?;
    }
    watch.step("the object was deleted; all is gone after");
    Ok(())
}
