//! Claims that stay pending without a word: the condition has the cause.

use anyhow::Result;
use e2e::{
    fake::rook::Conduct,
    subject::{assert_told, condition_of},
};
use k8s_openapi::api::{
    core::v1::{ConfigMap, ResourceQuota},
    storage::v1::StorageClass,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use temporal_stack_common::condition::{READY, RECONCILING, STALLED};

use super::{Subjects, claim, class_name, make_class, make_store, spec, with_rook};

/// The number of claims, as quotas count it.
const COUNTED: &str = "count/objectbucketclaims.objectbucket.io";

async fn pending(space: &Subjects<'_>, parts: &[&str]) -> Result<()> {
    space.condition_about(RECONCILING, "True", "ClaimPending", parts).await.map(drop)
}

#[tokio::test]
async fn silent_claim_names_the_log_of_the_operator_until_it_is_bound() {
    with_rook(Conduct::Fails, async |space, stage| {
        space.create(&spec(space, &json!([{"name": "photos"}]))).await?;
        let logs = format!("kubectl -n {} logs deploy/rook-ceph-operator", space.name);
        pending(space, &["ObjectBucketClaim/temporal-objectstorage-photos-", "its phase is Pending", &logs]).await?;
        stage.rook.behaves(Conduct::Works);
        let name = claim(space, "photos").await?.metadata.name.unwrap_or_default();
        let touched = Patch::Merge(json!({"metadata": {"annotations": {"example.com/touched": "1"}}}));
        e2e::fake::rook::claims(&space.client, &space.name).patch(&name, &PatchParams::default(), &touched).await?;
        space.ready().await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn object_store_that_is_not_ready_is_named() {
    with_rook(Conduct::Fails, async |space, _| {
        make_store(space, "Failure").await?;
        space.create(&spec(space, &json!([{"name": "photos"}]))).await?;
        let store = format!("CephObjectStore {}/store is Failure (no OSD is up)", space.name);
        pending(space, &[&store, "describe cephobjectstore store"]).await
    })
    .await;
}

#[tokio::test]
async fn setting_that_the_operator_refuses_is_named() {
    with_rook(Conduct::Fails, async |space, _| {
        let settings: ConfigMap = serde_json::from_value(json!({
            "metadata": {"name": "rook-ceph-operator-config"},
            "data": {"ROOK_OBC_ALLOW_ADDITIONAL_CONFIG_FIELDS": "maxObjects"},
        }))?;
        space.api::<ConfigMap>().create(&PostParams::default(), &settings).await?;
        space.create(&spec(space, &json!([{"name": "photos", "quota": "1Gi"}]))).await?;
        pending(space, &["does not permit maxSize", "ROOK_OBC_ALLOW_ADDITIONAL_CONFIG_FIELDS", "remove the quota"])
            .await
    })
    .await;
}

#[tokio::test]
async fn class_that_went_is_named_by_the_pending_claim() {
    with_rook(Conduct::Fails, async |space, _| {
        space.create(&spec(space, &json!([{"name": "photos"}]))).await?;
        pending(space, &["its phase is Pending"]).await?;
        Api::<StorageClass>::all(space.client.clone()).delete(&class_name(space), &DeleteParams::default()).await?;
        pending(space, &[&format!("StorageClass {} does not exist", class_name(space))]).await
    })
    .await;
}

#[tokio::test]
async fn class_that_gives_no_bucket_stalls_before_a_claim_is_made() {
    with_rook(Conduct::Works, async |space, _| {
        let cases = [
            (json!({"provisioner": "rbd.csi.ceph.com"}), "rbd.csi.ceph.com, which creates no buckets"),
            (json!({"parameters": {"objectStoreName": "store"}}), "no parameter objectStoreNamespace"),
            (
                json!({"parameters": {"objectStoreName": "s", "objectStoreNamespace": "n", "bucketName": "shared"}}),
                "which all claims of the class would share",
            ),
        ];
        make_class(space, &cases[0].0).await?;
        space.create(&spec(space, &json!([{"name": "photos"}]))).await?;
        for (fields, told) in &cases {
            make_class(space, fields).await?;
            space.condition_about(STALLED, "True", "StorageClassMissing", &[told]).await?;
        }
        make_class(space, &json!({})).await?;
        space.ready().await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn quota_of_the_namespace_is_quoted() {
    with_rook(Conduct::Works, async |space, _| {
        let hard = json!({COUNTED: "0"});
        let quota: ResourceQuota =
            serde_json::from_value(json!({"metadata": {"name": "team"}, "spec": {"hard": hard}}))?;
        let quotas = space.api::<ResourceQuota>();
        quotas.create(&PostParams::default(), &quota).await?;
        // As the quota controller writes it, which may take minutes to learn of a kind that another test removes meanwhile.
        let counted = Patch::Merge(json!({"status": {"hard": {COUNTED: "0"}, "used": {COUNTED: "0"}}}));
        quotas.patch_status("team", &PatchParams::default(), &counted).await?;
        space.create(&spec(space, &json!([{"name": "photos"}]))).await?;
        let told = ["ObjectBucketClaim/", "exceeded quota: team", "raise ResourceQuota/team"];
        space.stalled("ChildRefused", &told).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn result_that_a_user_edits_is_refused() {
    with_rook(Conduct::Works, async |space, _| {
        space.create(&spec(space, &json!([{"name": "photos"}]))).await?;
        space.ready().await?;
        let name = claim(space, "photos").await?.metadata.name.unwrap_or_default();
        let edited = Patch::Merge(json!({"data": {"BUCKET_HOST": "elsewhere/../x"}}));
        space.api::<ConfigMap>().patch(&name, &PatchParams::default(), &edited).await?;
        // A change of the spec has everything read again.
        space.patch(&json!({"spec": {"buckets": [{"name": "photos", "expirationDays": 3}]}})).await?;
        let parts = ["result cannot be used", "BUCKET_HOST is not a host", &name];
        space
            .until("refused the edited result", |object| {
                condition_of(object, READY).is_some_and(|ready| assert_told(ready, &parts).is_ok())
            })
            .await
            .map(drop)
    })
    .await;
}
