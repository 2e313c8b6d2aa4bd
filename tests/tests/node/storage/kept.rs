//! Objects survive whatever ends a server.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Needs, One, Stopwatch, Subject as _,
    host::{Signal, restarts, signal_program},
    objects::{are_equal, put_all},
    program::xtask,
    turns, until, with_namespace,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt as _, api::DeleteParams};
use serde_json::json;
use temporal_stack_common::api::ObjectStorage;

use crate::{
    cluster,
    seed::node::kill_everything,
    storage::{BUCKETS, for_each_engine, made, of, with_storage},
};

for_each_engine!(objects_survive_a_deleted_pod_and_a_killed_server);

/// The program of an engine.
fn program(engine: &str) -> &str {
    if engine == "versity" { "versitygw" } else { engine }
}

/// Puts 1,000 objects into each bucket, with the keys of the bindings.
async fn fill(storage: &One<'_, ObjectStorage>) -> Result<()> {
    for bucket in BUCKETS {
        put_all(&storage.bound(bucket).await?.client()?, bucket).await?;
    }
    Ok(())
}

/// Fails unless all of them are there, with the keys of the bindings.
async fn is_full(storage: &One<'_, ObjectStorage>) -> Result<()> {
    for bucket in BUCKETS {
        let client = storage.bound(bucket).await?.client()?;
        // kube-proxy learns of a ready pod a moment later.
        turns("the Service leads to the server", async || Ok(client.exists(bucket).await.is_ok())).await?;
        are_equal(&client, bucket).await?;
    }
    Ok(())
}

async fn objects_survive_a_deleted_pod_and_a_killed_server(engine: &str) {
    with_storage(2, async |storage| {
        let mut watch = made(storage, &of(engine, &json!({}))).await?;
        fill(storage).await?;
        watch.step("2,000 objects put after");
        let bound = storage.bound(BUCKETS[0]).await?;
        let (pods, name) = (storage.api::<Pod>(), ObjectStorage::pod(0));

        let before = pods.get(&name).await?.uid();
        pods.delete(&name, &DeleteParams::default()).await?;
        // The object has the same generation, and may still be Ready from before.
        until(&pods, &name, "been made again", |pod| pod.uid() != before && is_ready(pod)).await?;
        storage.ready().await?;
        watch.step("the pod was deleted; Ready after");
        is_full(storage).await?;
        watch.step("2,000 objects read after");

        let pod = pods.get(&name).await?;
        let started = restarts(&pod);
        signal_program(&pod, program(engine), Signal::KILL)?;
        until(&pods, &name, "been started again", |pod| restarts(pod) > started && is_ready(pod)).await?;
        storage.ready().await?;
        watch.step("the server was killed; Ready after");
        is_full(storage).await?;
        ensure!(storage.bound(BUCKETS[0]).await? == bound, "the binding is another one");
        Ok(())
    })
    .await;
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[tokio::test]
async fn objects_survive_a_killed_node() {
    crate::in_namespace(Needs::alone(), async |minio| {
        with_namespace(&cluster(), async |versity| survive([("minio", minio.one()), ("versity", versity.one())]).await)
            .await;
        Ok(())
    })
    .await;
}

async fn survive(storages: [(&str, One<'_, ObjectStorage>); 2]) -> Result<()> {
    for (engine, storage) in &storages {
        made(storage, &of(engine, &json!({}))).await?;
        fill(storage).await?;
    }
    kill_everything().await?;
    let mut watch = Stopwatch::new();
    xtask(&["up", "--yes"]).await?;
    for (engine, storage) in &storages {
        storage.ready().await.with_context(|| format!("{engine}, after the node was killed"))?;
        watch.step(&format!("the node was killed; {engine} is Ready after"));
        is_full(storage).await?;
    }
    Ok(())
}
