//! Buckets that come and leave, in the storage of a user.

use anyhow::{Result, ensure};
use e2e::{One, until, until_gone};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use temporal_stack_common::{api::ObjectStorage, binding::text};

use super::on_fake;
use crate::{
    step::{ensure_untold, quiet},
    with_controller,
};

const DELETE_BUCKET: &str = "temporal-stack.dev/delete-bucket";

fn buckets(list: &Value) -> Value {
    json!({"spec": {"buckets": list}})
}

#[tokio::test]
async fn buckets_are_created_as_asked_and_left_clean() {
    with_controller::<ObjectStorage>(async |space, controller| {
        let list = json!([{"name": "photos"}, {"name": "backups", "versioning": true, "expirationDays": 7}]);
        let fake = on_fake(space, list).await?;
        space.ready().await?;
        space.condition("BucketsReady", "True", "AsExpected").await?;
        ensure!(fake.buckets() == ["backups", "photos"], "{:?}", fake.buckets());
        ensure!(fake.setting("backups", "versioning").is_some_and(|document| document.contains("Enabled")));
        ensure!(fake.setting("backups", "lifecycle").is_some_and(|document| document.contains("<Days>7</Days>")));
        ensure!(fake.setting("photos", "lifecycle").is_none(), "a bucket got what it was not asked for");
        for bucket in ["photos", "backups"] {
            let left = fake.objects(bucket);
            ensure!(left.is_empty(), "verification has left {left:?}");
            let binding = until(&space.api::<Secret>(), &One::binding_of(bucket), "been made", |_| true).await?;
            let part = |key| text(&binding, key).unwrap_or_default();
            ensure!(part("type") == "s3" && part("bucket") == bucket && part("restricted") == "false");
            ensure!(part("endpoint") == format!("http://{}", fake.address()), "{}", part("endpoint"));
            ensure!(part("access-key-id") == e2e::fake::s3::ID && part("addressing-style") == "path");
        }
        quiet(space, controller).await?;
        ensure!(fake.foreign().is_empty(), "{:?}", fake.foreign());
        for part in [e2e::fake::s3::ID, e2e::fake::s3::SECRET] {
            ensure_untold(space, controller, part).await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn bucket_leaves_as_its_policy_says() {
    with_controller::<ObjectStorage>(async |space, _| {
        let bucket = |name: &str, policy: &str| json!({"name": name, "deletionPolicy": policy});
        let all = json!([bucket("kept", "Retain"), bucket("empty", "Delete"), bucket("full", "Delete")]);
        let fake = on_fake(space, all).await?;
        space.ready().await?;
        fake.put("kept", "object", b"1");
        fake.put("full", "object", b"1");

        space.patch(&buckets(&json!([]))).await?;
        let told = ["full", DELETE_BUCKET];
        space.condition_about("BucketsReady", "False", "BucketNotEmpty", &told).await?;
        for gone in ["kept", "empty"] {
            until_gone(&space.api::<Secret>(), &One::binding_of(gone)).await?;
        }
        ensure!(fake.buckets() == ["full", "kept"], "{:?}", fake.buckets());

        // Neither the name of another one permits anything, nor the name alone.
        space.confirm(DELETE_BUCKET, "kept").await?;
        space.condition_about("BucketsReady", "False", "BucketNotEmpty", &told).await?;
        space.annotate(DELETE_BUCKET, &json!("full")).await?;
        space.condition_about("BucketsReady", "False", "BucketNotEmpty", &told).await?;
        ensure!(fake.objects("full") == ["object"] && fake.objects("kept") == ["object"], "an object has gone");
        space.confirm(DELETE_BUCKET, "full").await?;
        until_gone(&space.api::<Secret>(), &One::binding_of("full")).await?;
        space.condition("BucketsReady", "True", "AsExpected").await?;
        ensure!(fake.buckets() == ["kept"], "{:?}", fake.buckets());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn confirmed_deletion_confirms_no_later_one() {
    with_controller::<ObjectStorage>(async |space, _| {
        let list = json!([{"name": "full", "deletionPolicy": "Delete"}]);
        let fake = on_fake(space, list.clone()).await?;
        space.ready().await?;
        fake.put("full", "first", b"1");
        space.patch(&buckets(&json!([]))).await?;
        space.condition("BucketsReady", "False", "BucketNotEmpty").await?;
        space.confirm(DELETE_BUCKET, "full").await?;
        until_gone(&space.api::<Secret>(), &One::binding_of("full")).await?;
        ensure!(fake.buckets().is_empty(), "{:?}", fake.buckets());

        // The annotation is still there.
        space.patch(&buckets(&list)).await?;
        space.ready().await?;
        fake.put("full", "second", b"2");
        let edited = space.patch(&buckets(&json!([]))).await?;
        let told = format!("{DELETE_BUCKET}=full@{}", edited.metadata.generation.unwrap_or_default());
        space.condition_about("BucketsReady", "False", "BucketNotEmpty", &[&told]).await?;
        ensure!(fake.objects("full") == ["second"], "the object has gone");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn bucket_that_returns_in_time_keeps_its_objects() {
    with_controller::<ObjectStorage>(async |space, _| {
        let list = json!([{"name": "full", "deletionPolicy": "Delete"}]);
        let fake = on_fake(space, list.clone()).await?;
        space.ready().await?;
        fake.put("full", "object", b"1");
        space.patch(&buckets(&json!([]))).await?;
        space.condition("BucketsReady", "False", "BucketNotEmpty").await?;
        space.patch(&buckets(&list)).await?;
        space.ready().await?;
        space.condition("BucketsReady", "True", "AsExpected").await?;
        ensure!(fake.objects("full") == ["object"], "the object has gone");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn deleted_object_leaves_the_users_buckets() {
    with_controller::<ObjectStorage>(async |space, _| {
        let fake = on_fake(space, json!([{"name": "photos", "deletionPolicy": "Delete"}])).await?;
        space.ready().await?;
        fake.put("photos", "object", b"1");
        space.patch(&json!({"spec": {"deletionPolicy": "Delete"}})).await?;
        space.ready().await?;
        delete(space).await?;
        ensure!(fake.objects("photos") == ["object"], "the object in the user's bucket has gone");
        Ok(())
    })
    .await;
}

async fn delete(space: &One<'_, ObjectStorage>) -> Result<()> {
    space.objects().delete(e2e::subject::NAME, &kube::api::DeleteParams::default()).await?;
    until_gone(&space.objects(), e2e::subject::NAME).await?;
    until_gone(&space.api::<Secret>(), &One::binding_of("photos")).await
}
