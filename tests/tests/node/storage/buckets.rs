//! Buckets that come and leave, and what they are set to.

use anyhow::{Result, ensure};
use e2e::{One, Subject as _, host::restarts, until_gone};
use k8s_openapi::api::core::v1::{Pod, Secret};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::ObjectStorage,
    s3::{Code, Existence, Versioning},
};

use crate::storage::{BUCKETS, for_each_engine, made, of, with_storage};

/// The annotation that confirms that a bucket goes with its objects.
const DELETE_BUCKET: &str = "temporal-stack.dev/delete-bucket";

for_each_engine!(
    bucket_with_objects_leaves_only_when_it_is_confirmed,
    retained_bucket_returns_with_its_objects,
    key_of_a_bucket_is_refused_in_another_one
);

/// The list of buckets, each with this policy.
fn buckets(names: &[&str], policy: &str) -> Value {
    let bucket = |name: &&str| json!({"name": name, "deletionPolicy": policy});
    json!({"spec": {"buckets": names.iter().map(bucket).collect::<Vec<_>>()}})
}

async fn bucket_with_objects_leaves_only_when_it_is_confirmed(engine: &str) {
    with_storage(1, async |storage| {
        made(storage, &of(engine, &json!({}))).await?;
        storage.patch(&buckets(&BUCKETS, "Delete")).await?;
        storage.ready().await?;
        let leaving = storage.bound(BUCKETS[1]).await?.client()?;
        leaving.put(BUCKETS[1], "kept", b"kept".to_vec()).await?;

        storage.patch(&buckets(&BUCKETS[..1], "Delete")).await?;
        let parts = [BUCKETS[1], DELETE_BUCKET];
        storage.condition_about("BucketsReady", "False", "BucketNotEmpty", &parts).await?;
        ensure!(leaving.get(BUCKETS[1], "kept", 100).await? == b"kept", "the object has gone");
        // The name of another bucket permits nothing.
        storage.confirm(DELETE_BUCKET, BUCKETS[0]).await?;
        storage.condition_about("BucketsReady", "False", "BucketNotEmpty", &parts).await?;
        ensure!(leaving.get(BUCKETS[1], "kept", 100).await? == b"kept", "the object has gone");

        storage.confirm(DELETE_BUCKET, BUCKETS[1]).await?;
        storage.condition("BucketsReady", "True", "AsExpected").await?;
        storage.ready().await?;
        until_gone(&storage.api::<Secret>(), &One::binding_of(BUCKETS[1])).await?;
        let refused = leaving.get(BUCKETS[1], "kept", 100).await.expect_err("the bucket has left");
        ensure!(refused.is(&Code::InvalidAccessKeyId), "{refused}");

        // One of the same name is a new one.
        storage.patch(&buckets(&BUCKETS, "Delete")).await?;
        storage.ready().await?;
        let again = storage.bound(BUCKETS[1]).await?.client()?;
        ensure!(again.list(BUCKETS[1], "", None, 10).await?.objects.is_empty(), "an object has returned");
        storage.patch(&buckets(&BUCKETS[..1], "Delete")).await?;
        // Empty, it goes without a word.
        until_gone(&storage.api::<Secret>(), &One::binding_of(BUCKETS[1])).await?;
        storage.condition("BucketsReady", "True", "AsExpected").await.map(drop)
    })
    .await;
}

async fn retained_bucket_returns_with_its_objects(engine: &str) {
    with_storage(1, async |storage| {
        made(storage, &of(engine, &json!({}))).await?;
        let first = storage.bound(BUCKETS[1]).await?;
        first.client()?.put(BUCKETS[1], "kept", b"kept".to_vec()).await?;
        storage.patch(&buckets(&BUCKETS[..1], "Retain")).await?;
        until_gone(&storage.api::<Secret>(), &One::binding_of(BUCKETS[1])).await?;
        storage.ready().await?;
        let refused = first.client()?.list(BUCKETS[1], "", None, 1).await.expect_err("its key has gone");
        ensure!(refused.is(&Code::InvalidAccessKeyId), "{refused}");

        storage.patch(&buckets(&BUCKETS, "Retain")).await?;
        storage.ready().await?;
        let second = storage.bound(BUCKETS[1]).await?;
        ensure!(second.key != first.key, "the key has returned");
        ensure!(second.client()?.get(BUCKETS[1], "kept", 100).await? == b"kept", "the object differs");
        Ok(())
    })
    .await;
}

async fn key_of_a_bucket_is_refused_in_another_one(engine: &str) {
    with_storage(1, async |storage| {
        made(storage, &of(engine, &json!({}))).await?;
        let [mine, theirs] = [storage.bound(BUCKETS[0]).await?, storage.bound(BUCKETS[1]).await?];
        ensure!(mine.is_restricted && theirs.is_restricted && mine.key != theirs.key, "one key for both");
        theirs.client()?.put(BUCKETS[1], "theirs", b"theirs".to_vec()).await?;
        let client = mine.client()?;
        let tries = [
            client.get(BUCKETS[1], "theirs", 100).await.map(drop),
            client.put(BUCKETS[1], "mine", Vec::new()).await.map(drop),
            client.delete(BUCKETS[1], "theirs").await.map(drop),
            client.list(BUCKETS[1], "", None, 10).await.map(drop),
            client.create("another", false).await,
        ];
        for (number, result) in tries.into_iter().enumerate() {
            let refused = result.expect_err("another bucket");
            ensure!(refused.is(&Code::AccessDenied), "{number}: {refused}");
        }
        Ok(())
    })
    .await;
}

/// A spec with a bucket of everything that can be asked for.
fn with_everything(engine: &str) -> Value {
    let mut spec = of(engine, &json!({}));
    spec["buckets"] = json!([{
        "name": BUCKETS[0],
        "versioning": true,
        "objectLock": {"mode": "Governance", "days": 1},
        "expirationDays": 30,
        "quota": "10Mi",
    }]);
    spec
}

async fn is_versioned_and_locked(storage: &One<'_, ObjectStorage>) -> Result<()> {
    let client = storage.bound(BUCKETS[0]).await?.client()?;
    ensure!(client.versioning(BUCKETS[0]).await? == Versioning::Enabled, "no versions are kept");
    let stored = client.put(BUCKETS[0], "locked", b"first".to_vec()).await?;
    client.put(BUCKETS[0], "locked", b"second".to_vec()).await?;
    ensure!(client.list_versions(BUCKETS[0], "locked", None, 10).await?.versions.len() == 2, "a version is missing");
    let version = stored.version.unwrap_or_default();
    let refused = client.delete_version(BUCKETS[0], "locked", &version).await;
    ensure!(refused.is_err(), "a locked version was deleted");
    ensure!(client.exists(BUCKETS[0]).await? == Existence::Usable);
    Ok(())
}

#[tokio::test]
async fn minio_sets_all_that_is_asked_for() {
    with_storage(1, async |storage| {
        made(storage, &with_everything("minio")).await?;
        storage.condition("BucketsReady", "True", "AsExpected").await?;
        is_versioned_and_locked(storage).await?;
        let client = storage.bound(BUCKETS[0]).await?.client()?;
        // Usage is counted now and then, so only a single object that is too large is refused at once.
        let refused = client.put(BUCKETS[0], "large", vec![0; 11 << 20]).await.expect_err("a quota of 10 MiB");
        ensure!(refused.status().is_some(), "{refused}");

        let patch = json!({"spec": {"buckets": [{
            "name": BUCKETS[0], "versioning": true, "objectLock": {"mode": "Governance", "days": 1}, "quota": "20Mi",
        }]}});
        storage.patch(&patch).await?;
        storage.ready().await?;
        client.put(BUCKETS[0], "large", vec![0; 11 << 20]).await?;
        let pod = storage.api::<Pod>().get(&ObjectStorage::pod(0)).await?;
        ensure!(restarts(&pod) == 0, "a setting of a bucket has restarted the server");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn versity_names_what_it_lacks() {
    with_storage(1, async |storage| {
        made(storage, &with_everything("versity")).await?;
        let parts = [BUCKETS[0], "expirationDays", "quota"];
        storage.condition_about("BucketsReady", "True", "Adapted", &parts).await?;
        is_versioned_and_locked(storage).await
    })
    .await;
}
