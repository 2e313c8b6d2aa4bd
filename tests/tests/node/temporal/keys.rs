use anyhow::{Context as _, Result, ensure};
use e2e::{One, Space, Stopwatch, Subject as _, peers::until_answer, temporal::Caller, until, until_gone};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, Secret},
};
use kube::{ResourceExt as _, api::DeleteParams};
use reqwest::Method;
use serde_json::json;
use temporal_stack_common::{api::Temporal, binding::text};

use crate::temporal::{
    Ipfs,
    beside::{beside, configured, same_admin},
    random,
};

/// Has a key made through the API, and waits until the worker has handed it to the key server.
async fn has_made(caller: &Caller, name: &str) -> Result<()> {
    let form = [("key_type", "ed25519"), ("key_bits", "256"), ("key_name", name)];
    let answer = caller.answer(caller.ask(Method::POST, "account/key/ipfs/new").form(&form)).await?;
    answer.response()?;
    let is_there = |keys: &Vec<String>| keys.iter().any(|key| key.ends_with(name));
    until_answer("the key to be in the key server", async || caller.key_names().await, is_there).await.map(drop)
}

/// The key server has it, and hands it out: each key can be asked for once.
async fn hands_out(temporal: &One<'_, Temporal>, name: &str) -> Result<()> {
    let account = temporal.api::<Secret>().get(e2e::temporal::ADMIN).await?;
    let username = text(&account, "username").context("the account has no name")?.to_owned();
    let exported = async || Ok(temporal.admin().await?.export_key(&username, name).await.ok());
    let key = until_answer("the key server to hand out the key", exported, Option::is_some).await?;
    ensure!(key.is_some_and(|key| !key.is_empty()), "the key is empty");
    Ok(())
}

/// What must not change: what was drawn.
async fn drawn(temporal: &One<'_, Temporal>) -> Result<Secret> {
    let mut secret = temporal.api::<Secret>().get(&Temporal::child("keys")).await?;
    (secret.metadata.resource_version, secret.metadata.managed_fields) = (None, None);
    Ok(secret)
}

/// Stops the stack's worker and that of an instance on the same queues, and uploads.
async fn upload_waits_for_a_worker(temporal: &One<'_, Temporal>, stack: &Space) -> Result<()> {
    // The stack's own worker must not help.
    let of_stack = stack.one::<Temporal>();
    let workers = |replicas: i32| json!({"spec": {"workers": {"cluster": {"replicas": replicas}}}});
    of_stack.patch(&workers(0)).await?;
    temporal.patch(&workers(0)).await?;
    let gone = |deployment: &Deployment| {
        deployment.status.as_ref().is_some_and(|status| status.replicas.unwrap_or_default() == 0)
    };
    for api in [stack.api::<Deployment>(), temporal.api()] {
        until(&api, &Temporal::child("cluster"), "no replicas", gone).await?;
    }
    let ipfs = Ipfs::of(stack).await?;
    let caller = temporal.admin().await?;
    let cid = caller.add(random(10_000)).await?;
    let held = ipfs.peers[0].kubo_pins().await?;
    // Kubo pins what is added through it; the others hear of it through the queue.
    ensure!(!ipfs.peers[0].allocations().await?.contains_key(&cid), "a worker was there: {}", held.len());
    temporal.patch(&workers(1)).await?;
    of_stack.patch(&workers(1)).await?;
    let allocations = async || Ok(ipfs.peers[0].allocations().await?.contains_key(&cid));
    until_answer("the upload to reach the cluster", allocations, |there| *there).await?;
    ipfs.all_have(&cid).await?;
    ipfs.forget(&cid).await?;
    of_stack.ready().await.map(drop)
}

#[tokio::test]
async fn keys_outlive_key_server_and_object_and_uploads_wait() {
    beside(async |temporal, stack| {
        configured(temporal, stack, &[]).await?;
        same_admin(temporal, stack).await?;
        let spec = json!({"admins": [{"secretName": e2e::temporal::ADMIN}]});
        temporal.create(&spec).await?;
        temporal.ready().await?;
        // The stack's own worker would take the request to the stack's own key server.
        let workers = |replicas: i32| json!({"spec": {"workers": {"keyCreation": {"replicas": replicas}}}});
        let of_stack = stack.one::<Temporal>();
        of_stack.patch(&workers(0)).await?;
        of_stack.ready().await?;
        let name = temporal.name.trim_start_matches("e2e-").to_owned();
        let (first, second) = (format!("{name}-first"), format!("{name}-second"));
        let caller = temporal.admin().await?;
        let made = async {
            has_made(&caller, &first).await?;
            has_made(&caller, &second).await
        }
        .await;
        of_stack.patch(&workers(1)).await?;
        made?;

        let (pods, krab) = (temporal.api::<Pod>(), format!("{}-0", Temporal::child("krab")));
        let before = pods.get(&krab).await?;
        let mut watch = Stopwatch::new();
        pods.delete(&krab, &DeleteParams::default()).await?;
        until(&pods, &krab, "been made again", |pod: &Pod| pod.uid() != before.uid()).await?;
        hands_out(temporal, &first).await?;
        watch.step("the key server was made again, with the key, after");

        let secrets = drawn(temporal).await?;
        temporal.objects().delete(e2e::subject::NAME, &DeleteParams::foreground()).await?;
        until_gone(&temporal.objects(), e2e::subject::NAME).await?;
        until_gone(&pods, &krab).await?;
        ensure!(drawn(temporal).await?.data == secrets.data, "what was drawn has changed");
        temporal.create(&spec).await?;
        temporal.ready().await?;
        ensure!(drawn(temporal).await?.data == secrets.data, "something else was drawn");
        hands_out(temporal, &second).await?;
        watch.step("the object was made again, with the key, after");
        // The account is that of before.
        let uploads = temporal.admin().await?;
        uploads.answer(uploads.ask(Method::GET, "database/uploads")).await?.response()?;
        upload_waits_for_a_worker(temporal, stack).await
    })
    .await;
}
