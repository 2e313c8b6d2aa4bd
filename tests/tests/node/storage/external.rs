//! Object storages of another namespace, which a Secret describes.

use anyhow::{Context as _, Result, ensure};
use e2e::{Needs, One, Stopwatch, Subject as _, bucket::Bound, step::write_secret, subject::external, with_namespace};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Secret};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{ObjectStorage, annotation::ADOPT_BUCKET},
    binding::text,
};

use crate::{
    cluster,
    storage::{BUCKETS, for_each_engine, made, of},
};

for_each_engine!(external_storage_is_verified_and_its_faults_are_reported);

async fn external_storage_is_verified_and_its_faults_are_reported(engine: &str) {
    let _turn = Needs::pods::<ObjectStorage>(1).turn().await;
    with_namespace(&cluster(), async |theirs| {
        let theirs = theirs.one::<ObjectStorage>();
        let mut spec = of(engine, &json!({}));
        // Pods of this namespace alone could use it.
        spec["access"] = json!({"clients": [{"namespaceSelector": {}}]});
        made(&theirs, &spec).await?;
        with_namespace(&cluster(), async |ours| user_of(&ours.one(), &theirs).await).await;
        Ok(())
    })
    .await;
}

/// The Secret that leads to one bucket of theirs, as its binding does.
async fn keys(theirs: &One<'_, ObjectStorage>) -> Result<(Value, Bound)> {
    let binding = theirs.api::<Secret>().get(&One::binding_of(BUCKETS[0])).await?;
    let part = |key: &str| text(&binding, key).map(str::to_owned).context("the binding lacks a part");
    let keys = json!({
        "endpoint": part("endpoint")?,
        "access-key-id": part("access-key-id")?,
        "secret-access-key": part("secret-access-key")?,
    });
    Ok((keys, theirs.bound(BUCKETS[0]).await?))
}

async fn user_of(storage: &One<'_, ObjectStorage>, theirs: &One<'_, ObjectStorage>) -> Result<()> {
    let mut watch = Stopwatch::new();
    let (right, bound) = keys(theirs).await?;
    write_secret(storage, "theirs", &right).await?;
    let mut spec = external("theirs");
    spec["buckets"] = json!([{"name": BUCKETS[0]}]);
    storage.create(&spec).await?;
    // It belongs to theirs until the user says otherwise.
    storage.condition_about("BucketsReady", "False", "BucketTaken", &[ADOPT_BUCKET]).await?;
    storage.confirm(ADOPT_BUCKET, BUCKETS[0]).await?;
    storage.ready().await?;
    watch.step("an external storage is Ready after");
    let ours = storage.bound(BUCKETS[0]).await?;
    ensure!(ours.key == bound.key && !ours.is_restricted, "the binding has another key, or promises too much");
    ours.client()?.put(BUCKETS[0], "ours", b"ours".to_vec()).await?;
    ensure!(bound.client()?.get(BUCKETS[0], "ours", 100).await? == b"ours");

    let mut wrong = right.clone();
    wrong["secret-access-key"] = json!("wrong");
    write_secret(storage, "theirs", &wrong).await?;
    let told = storage.condition("Ready", "False", "LoginRefused").await?;
    watch.step("a wrong secret is reported after");
    ensure!(!told.message.contains(&bound.key.id), "the message has the ID of the key");

    let mut elsewhere = right.clone();
    elsewhere["endpoint"] = json!("http://10.96.0.1:9");
    write_secret(storage, "theirs", &elsewhere).await?;
    storage.condition_about("Ready", "False", "StorageUnreachable", &["10.96.0.1:9"]).await?;
    watch.step("an address that nobody answers at is reported after");

    write_secret(storage, "theirs", &right).await?;
    storage.ready().await?;
    watch.step("the right Secret makes it Ready after");
    // The bucket of somebody else is neither made nor used.
    storage.patch(&json!({"spec": {"buckets": [{"name": BUCKETS[1]}]}})).await?;
    storage.condition_about("BucketsReady", "False", "BucketTaken", &[BUCKETS[1]]).await?;
    let set = storage.api::<StatefulSet>().get_opt(&ObjectStorage::set()).await?;
    ensure!(set.is_none(), "servers were made for somebody else's storage");
    Ok(())
}
