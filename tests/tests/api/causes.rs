//! Who refuses what a controller or its workloads make: the condition has their words, and the field that ends it.

use anyhow::Result;
use e2e::{
    One, Subject,
    subject::{assert_told, condition_of},
    until,
};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Pod, ResourceQuota},
};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use temporal_stack_common::condition::{READY, STALLED};

use crate::{step::complete, with_controller};

for_each_kind!(
    a_quota_that_pods_do_not_meet_is_reported_with_the_field,
    a_quota_for_volume_claims_is_reported,
    a_refused_child_stalls_with_the_words_of_its_quota,
);

const QUOTA: &str = "team";

async fn quota<K: Subject>(space: &One<'_, K>, hard: &Value) -> Result<()> {
    let quota: ResourceQuota = serde_json::from_value(json!({"metadata": {"name": QUOTA}, "spec": {"hard": hard}}))?;
    let quotas = space.api::<ResourceQuota>();
    quotas.create(&PostParams::default(), &quota).await?;
    // Until it has been counted, everything is refused for that reason.
    until(&quotas, QUOTA, "been counted", |quota| {
        quota.status.as_ref().is_some_and(|status| status.hard.is_some() && status.used.is_some())
    })
    .await?;
    Ok(())
}

/// Waits until Ready is False with these words, whatever the reason: what the component waits for may come first.
async fn until_told<K: Subject>(space: &One<'_, K>, parts: &[&str]) -> Result<()> {
    space
        .until(&format!("told of {parts:?}"), |object| {
            condition_of(object, READY).is_some_and(|ready| assert_told(ready, parts).is_ok())
        })
        .await?;
    Ok(())
}

async fn a_quota_that_pods_do_not_meet_is_reported_with_the_field<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        quota(space, &json!({"limits.cpu": "4"})).await?;
        space.create(&K::embedded()).await?;
        let field = format!("spec.provider.{}.resources.limits.cpu", K::PROVIDER);
        until_told(space, &["must specify limits.cpu for:", "0 of 1 pods ready", &field]).await?;
        let limits = json!({"limits": {"cpu": "200m"}});
        let fields = match K::PROVIDER {
            "kubo" => json!({"resources": limits, "clusterResources": limits}),
            _ => json!({"resources": limits}),
        };
        space.patch_provider(&fields).await?;
        until(&space.api::<Pod>(), &K::pod(0), "been made within the quota", |_| true).await?;
        complete(space, controller).await.map(drop)
    })
    .await;
}

async fn a_quota_for_volume_claims_is_reported<K: Subject>() {
    with_controller::<K>(async |space, _| {
        quota(space, &json!({"persistentvolumeclaims": "0"})).await?;
        space.create(&K::embedded()).await?;
        until_told(space, &["the volume claim is refused", "exceeded quota: team", "raise ResourceQuota/team"]).await
    })
    .await;
}

async fn a_refused_child_stalls_with_the_words_of_its_quota<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        quota(space, &json!({"count/services": "0"})).await?;
        space.create(&K::embedded()).await?;
        let told = ["Service/", "exceeded quota: team", "raise ResourceQuota/team"];
        space.condition_about(STALLED, "True", "ChildRefused", &told).await?;
        // What does not need it goes on beside it.
        until(&space.api::<StatefulSet>(), &K::set(), "been made", |_| true).await?;
        let lifted = Patch::Merge(json!({"spec": {"hard": {"count/services": "9"}}}));
        space.api::<ResourceQuota>().patch(QUOTA, &PatchParams::default(), &lifted).await?;
        complete(space, controller).await.map(drop)
    })
    .await;
}
