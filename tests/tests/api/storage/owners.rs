//! Buckets that an object has not made: they are used when the user says so, and deleted only if they are the object's.

use anyhow::{Result, ensure};
use e2e::{One, fake::S3, until_gone};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use serde_json::json;
use temporal_stack_common::api::{
    BucketOrigin, ObjectStorage,
    annotation::{ADOPT_BUCKET, OWNER},
};

use super::{on, on_fake};
use crate::{step::quiet, with_controller};

/// The document of tags with this owner, and one of somebody else.
fn tags(owner: &str) -> String {
    let tag = |key: &str, value: &str| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
    format!("<Tagging><TagSet>{}{}</TagSet></Tagging>", tag("cost", "42"), tag(OWNER, owner))
}

/// Waits until a bucket is refused with these words; nothing of it was changed, and nobody is led to it.
async fn is_left_alone(space: &One<'_, ObjectStorage>, fake: &S3, bucket: &str, told: &str) -> Result<()> {
    space.condition_about("BucketsReady", "False", "BucketTaken", &[bucket, told, ADOPT_BUCKET]).await?;
    ensure!(fake.setting(bucket, "versioning").is_none(), "a bucket of somebody else was set");
    let binding = space.api::<Secret>().get_opt(&One::binding_of(bucket)).await?;
    ensure!(binding.is_none(), "a binding leads to a bucket of somebody else");
    Ok(())
}

fn is_marked(fake: &S3, bucket: &str, owner: &str) -> bool {
    fake.setting(bucket, "tagging").is_some_and(|tags| tags.contains(OWNER) && tags.contains(owner))
}

async fn origin(space: &One<'_, ObjectStorage>) -> Result<Option<BucketOrigin>> {
    Ok(space.get().await?.status.and_then(|status| status.buckets.first()?.origin))
}

#[tokio::test]
async fn created_bucket_has_the_tag_of_its_owner() {
    with_controller::<ObjectStorage>(async |space, controller| {
        let fake = on_fake(space, json!([{"name": "photos"}])).await?;
        space.ready().await?;
        let uid = space.get().await?.uid().unwrap_or_default();
        ensure!(is_marked(&fake, "photos", &uid), "{:?}", fake.setting("photos", "tagging"));
        ensure!(origin(space).await? == Some(BucketOrigin::Created));
        quiet(space, controller).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn existing_bucket_is_used_only_when_it_is_adopted() {
    with_controller::<ObjectStorage>(async |space, _| {
        let fake = S3::start().await?;
        fake.put("photos", "theirs", b"1");
        fake.set(
            "photos",
            "tagging",
            "<Tagging><TagSet><Tag><Key>cost</Key><Value>42</Value></Tag></TagSet></Tagging>",
        );
        on(space, &fake, json!([{"name": "photos", "versioning": true}])).await?;
        is_left_alone(space, &fake, "photos", "nothing shows").await?;

        space.confirm(ADOPT_BUCKET, "photos").await?;
        space.ready().await?;
        let uid = space.get().await?.uid().unwrap_or_default();
        ensure!(is_marked(&fake, "photos", &uid) && is_marked(&fake, "photos", "cost"), "a tag is missing");
        ensure!(origin(space).await? == Some(BucketOrigin::Adopted) && fake.objects("photos") == ["theirs"]);
        // It stays adopted when the spec has changed.
        space.patch(&json!({"spec": {"buckets": [{"name": "photos"}]}})).await?;
        space.ready().await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn bucket_of_another_object_is_neither_used_nor_removed() {
    with_controller::<ObjectStorage>(async |space, _| {
        let fake = S3::start().await?;
        fake.set("photos", "tagging", &tags("another"));
        on(space, &fake, json!([{"name": "photos", "versioning": true, "deletionPolicy": "Delete"}])).await?;
        is_left_alone(space, &fake, "photos", OWNER).await?;
        space.patch(&json!({"spec": {"buckets": []}})).await?;
        space.condition("BucketsReady", "True", "AsExpected").await?;
        space.ready().await?;
        ensure!(fake.buckets() == ["photos"], "the empty bucket of another object has gone");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn bucket_that_another_object_took_over_is_not_removed() {
    with_controller::<ObjectStorage>(async |space, _| {
        let fake = on_fake(space, json!([{"name": "photos", "deletionPolicy": "Delete"}])).await?;
        space.ready().await?;
        fake.set("photos", "tagging", &tags("another"));
        space.patch(&json!({"spec": {"buckets": []}})).await?;
        until_gone(&space.api::<Secret>(), &One::binding_of("photos")).await?;
        space.ready().await?;
        ensure!(fake.buckets() == ["photos"], "the bucket of another object has gone");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn open_bucket_of_a_stranger_is_not_used() {
    with_controller::<ObjectStorage>(async |space, _| {
        let fake = S3::start().await?;
        fake.put_strange("photos");
        on(space, &fake, json!([{"name": "photos", "versioning": true}])).await?;
        is_left_alone(space, &fake, "photos", "the list of the key's own buckets does not have it").await?;
        // Anybody can know the UID.
        let uid = space.get().await?.uid().unwrap_or_default();
        fake.set("photos", "tagging", &tags(&uid));
        space.annotate("temporal-stack.dev/restart", &json!("now")).await?;
        is_left_alone(space, &fake, "photos", "the list of the key's own buckets does not have it").await
    })
    .await;
}

#[tokio::test]
async fn storage_without_tags_is_used_by_the_record() {
    with_controller::<ObjectStorage>(async |space, controller| {
        let fake = S3::start().await?;
        fake.has_no_tags();
        fake.put("theirs", "object", b"1");
        let bucket = |name: &str| json!({"name": name, "deletionPolicy": "Delete"});
        on(space, &fake, json!([bucket("photos")])).await?;
        space.ready().await?;
        ensure!(origin(space).await? == Some(BucketOrigin::Created));
        quiet(space, controller).await?;
        space.patch(&json!({"spec": {"buckets": [bucket("photos"), bucket("theirs")]}})).await?;
        is_left_alone(space, &fake, "theirs", "nothing shows").await?;
        space.patch(&json!({"spec": {"buckets": []}})).await?;
        until_gone(&space.api::<Secret>(), &One::binding_of("photos")).await?;
        space.ready().await?;
        ensure!(fake.buckets() == ["theirs"], "{:?}", fake.buckets());
        Ok(())
    })
    .await;
}
