use anyhow::{Result, ensure};
use e2e::{One, Stopwatch, Subject as _, peers::until_answer, temporal::Caller, until, until_gone};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{ResourceExt as _, api::DeleteParams};
use reqwest::Method;
use serde_json::json;
use temporal_stack_common::api::Temporal;

use crate::{
    beside::{beside, configured, same_admin},
    cluster,
};

/// Has a key made through the API, and waits until the key server has it.
async fn has_made(temporal: &One<'_, Temporal>, caller: &Caller, name: &str) -> Result<()> {
    let form = [("key_type", "ed25519"), ("key_bits", "256"), ("key_name", name)];
    let answer = caller.answer(caller.ask(Method::POST, "account/key/ipfs/new").form(&form)).await?;
    answer.response()?;
    has(temporal, name).await
}

async fn has(temporal: &One<'_, Temporal>, name: &str) -> Result<()> {
    let is_there = |keys: &Vec<String>| keys.iter().any(|key| key.ends_with(name));
    until_answer("the key to be in the key server", async || temporal.key_names().await, is_there).await.map(drop)
}

/// What must not change: what was drawn.
async fn drawn(temporal: &One<'_, Temporal>) -> Result<Secret> {
    let mut secret = temporal.api::<Secret>().get(&Temporal::child("keys")).await?;
    (secret.metadata.resource_version, secret.metadata.managed_fields) = (None, None);
    Ok(secret)
}

#[tokio::test]
async fn the_keys_of_users_outlive_the_key_server_and_the_object() {
    beside(&cluster(), async |temporal, stack| {
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
        let made = has_made(temporal, &temporal.admin().await?, &name).await;
        of_stack.patch(&workers(1)).await?;
        made?;

        let (pods, krab) = (temporal.api::<Pod>(), format!("{}-0", Temporal::child("krab")));
        let before = pods.get(&krab).await?;
        let mut watch = Stopwatch::new();
        pods.delete(&krab, &DeleteParams::default()).await?;
        until(&pods, &krab, "been made again", |pod: &Pod| pod.uid() != before.uid()).await?;
        has(temporal, &name).await?;
        watch.step("the key server was made again, with the key, after");

        let secrets = drawn(temporal).await?;
        temporal.objects().delete(e2e::subject::NAME, &DeleteParams::foreground()).await?;
        until_gone(&temporal.objects(), e2e::subject::NAME).await?;
        until_gone(&pods, &krab).await?;
        ensure!(drawn(temporal).await?.data == secrets.data, "what was drawn has changed");
        temporal.create(&spec).await?;
        temporal.ready().await?;
        ensure!(drawn(temporal).await?.data == secrets.data, "something else was drawn");
        has(temporal, &name).await?;
        watch.step("the object was made again, with the key, after");
        // The account is that of before.
        let uploads = temporal.admin().await?;
        uploads.answer(uploads.ask(Method::GET, "database/uploads")).await?.response().map(drop)
    })
    .await;
}
