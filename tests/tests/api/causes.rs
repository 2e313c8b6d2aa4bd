//! Who refuses what a controller or its workloads make: the condition has their words, and the field that ends it.

use anyhow::Result;
use e2e::{
    One, Subject,
    subject::{assert_told, condition_of},
    until,
};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{LimitRange, Pod, ResourceQuota},
};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use temporal_stack_common::condition::{READY, STALLED};

use crate::{step::complete, with_controller};

e2e::for_each_kind!(
    quota_that_refuses_pods_is_reported_with_the_field,
    limit_range_that_refuses_pods_is_reported_with_the_field,
    quota_that_refuses_volume_claims_is_reported,
    refused_child_stalls_with_the_message_of_the_quota,
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
pub(crate) async fn until_told<K: Subject>(space: &One<'_, K>, parts: &[&str]) -> Result<()> {
    space
        .until(&format!("told of {parts:?}"), |object| {
            condition_of(object, READY).is_some_and(|ready| assert_told(ready, parts).is_ok())
        })
        .await?;
    Ok(())
}

async fn quota_that_refuses_pods_is_reported_with_the_field<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        let hard = json!({"requests.cpu": "2", "requests.memory": "2Gi", "limits.cpu": "4", "limits.memory": "4Gi"});
        quota(space, &hard).await?;
        space.create(&K::embedded()).await?;
        let field = format!("spec.provider.{}.resources", K::PROVIDER);
        let cpu = format!("{field}.limits.cpu");
        until_told(space, &["must specify limits.cpu for:", "0 of 1 pods ready", &cpu]).await?;
        let with = |memory: Value| json!({"limits": {"cpu": "200m", "memory": memory}, "requests": {"memory": memory}});
        space.patch_provider(&of_all_programs::<K>(&with(json!("3Gi")))).await?;
        let exceeded = ["exceeded quota: team", "requests.memory=2Gi", "raise ResourceQuota/team", &field];
        until_told(space, &exceeded).await?;
        space.patch_provider(&of_all_programs::<K>(&with(Value::Null))).await?;
        until(&space.api::<Pod>(), &K::pod(0), "been made within the quota", |_| true).await?;
        complete(space, controller).await.map(drop)
    })
    .await;
}

/// Fields that give all containers of a provider these resources.
fn of_all_programs<K: Subject>(resources: &Value) -> Value {
    match K::PROVIDER {
        "kubo" => json!({"resources": resources, "clusterResources": resources}),
        _ => json!({ "resources": resources }),
    }
}

async fn limit_range_that_refuses_pods_is_reported_with_the_field<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        // Above what the programs request by themselves.
        let limits = json!([{"type": "Container", "min": {"memory": "300Mi"}}]);
        let range = serde_json::from_value(json!({"metadata": {"name": "floor"}, "spec": {"limits": limits}}))?;
        space.api::<LimitRange>().create(&PostParams::default(), &range).await?;
        space.create(&K::embedded()).await?;
        let field = format!("spec.provider.{}.resources.requests.memory", K::PROVIDER);
        let refused = "minimum memory usage per Container is 300Mi";
        until_told(space, &[refused, "0 of 1 pods ready", "describe limitrange", &field]).await?;
        space.patch_provider(&of_all_programs::<K>(&json!({"requests": {"memory": "300Mi"}}))).await?;
        until(&space.api::<Pod>(), &K::pod(0), "been made within the range", |_| true).await?;
        complete(space, controller).await.map(drop)
    })
    .await;
}

async fn quota_that_refuses_volume_claims_is_reported<K: Subject>() {
    with_controller::<K>(async |space, _| {
        quota(space, &json!({"persistentvolumeclaims": "0"})).await?;
        space.create(&K::embedded()).await?;
        until_told(space, &["the volume claim is refused", "exceeded quota: team", "raise ResourceQuota/team"]).await
    })
    .await;
}

async fn refused_child_stalls_with_the_message_of_the_quota<K: Subject>() {
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
