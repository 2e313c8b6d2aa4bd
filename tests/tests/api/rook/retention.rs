//! What outlives a bucket, and its object: under Retain the claim is data, because the class decides whether the bucket goes with it.

use anyhow::{Result, ensure};
use e2e::{
    fake::rook::{Conduct, claims},
    subject::NAME,
    until, until_gone,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{ResourceExt as _, api::DeleteParams};
use serde_json::json;
use temporal_stack_common::api::annotation::DELETE_BUCKET;

use super::{Subjects, binding, claim, spec, with_rook};

async fn delete(space: &Subjects<'_>) -> Result<()> {
    space.objects().delete(NAME, &DeleteParams::default()).await?;
    until_gone(&space.objects(), NAME).await
}

#[tokio::test]
async fn retained_claim_is_adopted_by_an_object_of_the_same_name() {
    with_rook(Conduct::Works, async |space, stage| {
        let photos = spec(space, &json!([{"name": "photos"}]));
        space.create(&photos).await?;
        space.ready().await?;
        let before = claim(space, "photos").await?;
        ensure!(before.owner_references().is_empty(), "garbage collection would take the data");
        let bound = binding(space, "photos").await?;
        stage.storage.put(&bound["bucket"], "kept", b"data");
        delete(space).await?;
        until_gone(&space.api::<Secret>(), "temporal-objectstorage-photos-binding").await?;
        space.create(&photos).await?;
        space.ready().await?;
        let after = claims(&space.client, &space.name).list(&kube::api::ListParams::default()).await?;
        ensure!(after.items.len() == 1 && after.items[0].uid() == before.uid(), "the claim was not adopted");
        ensure!(binding(space, "photos").await?["bucket"] == bound["bucket"], "the binding leads elsewhere");
        ensure!(stage.storage.objects(&bound["bucket"]).contains(&"kept".to_owned()), "the data are gone");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn deleted_object_takes_claims_only_if_both_policies_say_so() {
    with_rook(Conduct::Works, async |space, stage| {
        let mut wanted = spec(space, &json!([{"name": "kept"}, {"name": "goes", "deletionPolicy": "Delete"}]));
        wanted["deletionPolicy"] = json!("Delete");
        space.create(&wanted).await?;
        space.ready().await?;
        let (kept, goes) = (claim(space, "kept").await?, claim(space, "goes").await?);
        let bucket = binding(space, "goes").await?["bucket"].clone();
        delete(space).await?;
        let claims = claims(&space.client, &space.name);
        until_gone(&claims, &goes.name_any()).await?;
        ensure!(!stage.storage.buckets().contains(&bucket), "the bucket is still there");
        let still = claims.get(&kept.name_any()).await?;
        ensure!(still.metadata.deletion_timestamp.is_none(), "the retained claim goes, too");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn bucket_that_leaves_under_retain_keeps_its_claim() {
    with_rook(Conduct::Works, async |space, stage| {
        space.create(&spec(space, &json!([{"name": "photos"}, {"name": "logs"}]))).await?;
        space.ready().await?;
        let (left, bucket) = (claim(space, "photos").await?, binding(space, "photos").await?["bucket"].clone());
        space.patch(&json!({"spec": {"buckets": [{"name": "logs"}]}})).await?;
        until_gone(&space.api::<Secret>(), "temporal-objectstorage-photos-binding").await?;
        space.ready().await?;
        let still = claims(&space.client, &space.name).get(&left.name_any()).await?;
        ensure!(still.metadata.deletion_timestamp.is_none() && still.uid() == left.uid(), "the claim was touched");
        ensure!(stage.storage.buckets().contains(&bucket), "the bucket is gone");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn bucket_with_objects_goes_only_when_it_is_confirmed() {
    with_rook(Conduct::Works, async |space, stage| {
        let photos = json!({"name": "photos", "deletionPolicy": "Delete"});
        space.create(&spec(space, &json!([photos, {"name": "logs"}]))).await?;
        space.ready().await?;
        let (left, bucket) = (claim(space, "photos").await?, binding(space, "photos").await?["bucket"].clone());
        stage.storage.put(&bucket, "theirs", b"data");
        space.patch(&json!({"spec": {"buckets": [{"name": "logs"}]}})).await?;
        let parts = ["photos", DELETE_BUCKET];
        space.condition_about("BucketsReady", "False", "BucketNotEmpty", &parts).await?;
        let claims = claims(&space.client, &space.name);
        until(&claims, &left.name_any(), "stayed", |claim| claim.metadata.deletion_timestamp.is_none()).await?;
        space.confirm(DELETE_BUCKET, "photos").await?;
        until_gone(&claims, &left.name_any()).await?;
        ensure!(!stage.storage.buckets().contains(&bucket), "the bucket is still there");
        space.condition("BucketsReady", "True", "AsExpected").await.map(drop)
    })
    .await;
}
