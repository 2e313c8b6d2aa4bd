//! Volume claims that are not bound, and claims that are deleted under their pod: what is said about them.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    One, Space, Subject,
    prepare::GROWS,
    snapshot::{children, versions},
    subject::{assert_told, condition_of},
    turns, until,
};
use k8s_openapi::api::{
    core::v1::{Event, PersistentVolume, PersistentVolumeClaim, Pod, ResourceQuota},
    storage::v1::StorageClass,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::condition::READY;

use crate::{
    step::{complete, limit_cpu, quiet},
    volume::bind,
    with_controller,
};

e2e::for_each_kind!(
    silent_provisioner_is_reported_with_its_class,
    refusal_of_the_provisioner_is_quoted,
    class_that_was_deleted_is_reported,
    volumes_that_do_not_fit_are_described,
    claim_that_waits_for_its_pod_has_the_pods_cause,
    volume_in_another_zone_is_reported_with_its_place,
    quota_that_refuses_growth_is_reported,
    claim_deleted_under_its_pod_is_an_alarm,
);

/// What holds a claim that is being deleted, as its protection does while a pod runs.
const HELD: &str = "e2e.temporal-stack.dev/held";

/// Waits until Ready is False with these words.
async fn ready_says<K: Subject>(space: &One<'_, K>, parts: &[&str]) -> Result<()> {
    space
        .until(&format!("told of {parts:?}"), |object| {
            condition_of(object, READY).is_some_and(|ready| assert_told(ready, parts).is_ok())
        })
        .await?;
    Ok(())
}

fn of_class<K: Subject>(class: &str) -> Value {
    K::provider(&json!({"storage": {"size": "1Gi", "storageClassName": class}}))
}

/// Makes a class that nobody else uses. It goes with the namespace.
async fn make_class(space: &Space, name: &str, fields: &Value) -> Result<()> {
    let mut class = json!({
        "metadata": {"name": name, "ownerReferences": [owner(space)]},
        "provisioner": "temporal-stack.dev/nobody",
    });
    for (key, value) in fields.as_object().into_iter().flatten() {
        class[key] = value.clone();
    }
    let class: StorageClass = serde_json::from_value(class)?;
    Api::all(space.client.clone()).create(&PostParams::default(), &class).await.context("could not make a class")?;
    Ok(())
}

fn owner(space: &Space) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "name": space.name, "uid": space.uid})
}

/// A volume of 1Gi or another size.
async fn make_volume(space: &Space, name: &str, spec: &Value) -> Result<()> {
    let mut volume = json!({
        "metadata": {"name": name, "ownerReferences": [owner(space)]},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "hostPath": {"path": "/nowhere"},
            "persistentVolumeReclaimPolicy": "Retain",
        },
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        volume["spec"][key] = value.clone();
    }
    let volume: PersistentVolume = serde_json::from_value(volume)?;
    Api::all(space.client.clone()).create(&PostParams::default(), &volume).await.context("could not make a volume")?;
    Ok(())
}

/// Says of a pod that no node is found for it, as the scheduler does.
async fn unscheduled<K: Subject>(space: &One<'_, K>, words: &str) -> Result<()> {
    until(&space.api::<Pod>(), &K::pod(0), "been made", |_| true).await?;
    let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words});
    let patch = Patch::Merge(json!({"status": {"conditions": [condition]}}));
    space.api::<Pod>().patch_status(&K::pod(0), &PatchParams::default(), &patch).await?;
    Ok(())
}

async fn silent_provisioner_is_reported_with_its_class<K: Subject>() {
    with_controller::<K>(async |space, _| {
        space.create(&K::embedded()).await?;
        let claim = format!("PersistentVolumeClaim/{} is not bound", K::volume(0));
        let provisioner = format!("provisioner temporal-stack.dev/nobody of StorageClass {GROWS} has not answered");
        ready_says(space, &[&claim, &provisioner, "installed and running", "describe pvc"]).await
    })
    .await;
}

async fn refusal_of_the_provisioner_is_quoted<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        space.create(&K::embedded()).await?;
        complete(space, controller).await?;
        let claim = space.api::<PersistentVolumeClaim>().get(&K::volume(0)).await?;
        let event: Event = serde_json::from_value(json!({
            "metadata": {"name": "refusal"},
            "involvedObject": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": space.name, "name": K::volume(0), "uid": claim.uid(),
            },
            "type": "Warning",
            "reason": "ProvisioningFailed",
            "message": "failed to provision volume: rpc error: code = ResourceExhausted desc = not enough free storage",
        }))?;
        space.api::<Event>().create(&PostParams::default(), &event).await?;
        ready_says(space, &["cannot create the volume: not enough free storage; make room in the storage system"]).await
    })
    .await;
}

async fn class_that_was_deleted_is_reported<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        let class = format!("deleted-{}", space.name);
        make_class(space, &class, &json!({})).await?;
        space.create(&of_class::<K>(&class)).await?;
        complete(space, controller).await?;
        Api::<StorageClass>::all(space.client.clone()).delete(&class, &DeleteParams::default()).await?;
        let missing = format!("StorageClass {class} does not exist");
        ready_says(space, &[&missing, "or create the class", GROWS]).await?;
        make_class(space, &class, &json!({})).await?;
        ready_says(space, &[&format!("of StorageClass {class} has not answered")]).await
    })
    .await;
}

async fn volumes_that_do_not_fit_are_described<K: Subject>() {
    with_controller::<K>(async |space, _| {
        let class = format!("by-hand-{}", space.name);
        let small = format!("{}-small", space.name);
        make_volume(space, &small, &json!({"storageClassName": class, "capacity": {"storage": "512Mi"}})).await?;
        space.create(&of_class::<K>(&class)).await?;
        let lacks = format!("PersistentVolume/{small} has 512Mi");
        ready_says(space, &["none of 1 PersistentVolume of class", &lacks, "create one of 1Gi"]).await?;
        make_volume(space, &format!("{}-fits", space.name), &json!({"storageClassName": class})).await?;
        until(&space.api::<PersistentVolumeClaim>(), &K::volume(0), "been bound", |claim| {
            claim.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Bound"))
        })
        .await?;
        Ok(())
    })
    .await;
}

async fn claim_that_waits_for_its_pod_has_the_pods_cause<K: Subject>() {
    with_controller::<K>(async |space, _| {
        let class = format!("late-{}", space.name);
        make_class(space, &class, &json!({"volumeBindingMode": "WaitForFirstConsumer"})).await?;
        space.create(&of_class::<K>(&class)).await?;
        unscheduled(space, "0/1 nodes are available: 1 Insufficient memory.").await?;
        let waits = format!("StorageClass {class} waits until the pod is scheduled (WaitForFirstConsumer)");
        ready_says(space, &[&waits, &K::pod(0), "1 Insufficient memory"]).await
    })
    .await;
}

async fn volume_in_another_zone_is_reported_with_its_place<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        let class = format!("zone-{}", space.name);
        let zone = json!({"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["eu-1a"]});
        let affinity = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [zone]}]}});
        let volume = format!("{}-zone", space.name);
        let spec = json!({
            "storageClassName": class, "nodeAffinity": affinity,
            "claimRef": {"namespace": space.name, "name": K::volume(0)},
        });
        make_volume(space, &volume, &spec).await?;
        space.create(&of_class::<K>(&class)).await?;
        complete(space, controller).await?;
        unscheduled(space, "0/3 nodes are available: 3 node(s) had volume node affinity conflict.").await?;
        let place = format!("PersistentVolume/{volume} exists only where topology.kubernetes.io/zone is eu-1a");
        ready_says(space, &["volume node affinity conflict", &place]).await
    })
    .await;
}

async fn quota_that_refuses_growth_is_reported<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        space.create(&K::embedded()).await?;
        complete(space, controller).await?;
        bind(space, 0).await?;
        let quota: ResourceQuota = serde_json::from_value(
            json!({"metadata": {"name": "team"}, "spec": {"hard": {"requests.storage": "1Gi"}}}),
        )?;
        space.api::<ResourceQuota>().create(&PostParams::default(), &quota).await?;
        until(&space.api::<ResourceQuota>(), "team", "been counted", |quota| {
            quota.status.as_ref().is_some_and(|status| status.hard.is_some() && status.used.is_some())
        })
        .await?;
        space.patch_provider(&json!({"storage": {"size": "2Gi"}})).await?;
        let parts = ["exceeded quota: team", "raise ResourceQuota/team", "lower the size of the storage in the spec"];
        space.stalled("ChildRefused", &parts).await?;
        space.patch_provider(&json!({"storage": {"size": "1Gi"}})).await?;
        complete(space, controller).await.map(drop)
    })
    .await;
}

/// Deletes a claim that something holds.
async fn delete_held(space: &Space, claim: &str) -> Result<()> {
    let claims = space.api::<PersistentVolumeClaim>();
    let held = claims.get(claim).await?.finalizers().iter().cloned().chain([HELD.to_owned()]).collect::<Vec<_>>();
    let patch = Patch::Merge(json!({"metadata": {"finalizers": held}}));
    claims.patch(claim, &PatchParams::default(), &patch).await?;
    claims.delete(claim, &DeleteParams::default()).await?;
    Ok(())
}

async fn release(space: &Space, claim: &str) -> Result<()> {
    let claims = space.api::<PersistentVolumeClaim>();
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    let uid = claims.patch(claim, &PatchParams::default(), &free).await?.uid();
    // The set's controller may create the next claim of the name at once.
    turns("the claim has gone", async || Ok(claims.get_opt(claim).await?.is_none_or(|found| found.uid() != uid))).await
}

async fn claim_deleted_under_its_pod_is_an_alarm<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        space.create(&K::embedded()).await?;
        complete(space, controller).await?;
        bind(space, 0).await?;
        quiet(space, controller).await?;
        let claim = K::volume(0);
        delete_held(space, &claim).await?;
        let pod = K::pod(0);
        let (keep, goes) = (format!("kubectl patch pv {}-0", space.name), format!("delete pod {pod}"));
        space.stalled("VolumeBeingDeleted", &[&claim, &pod, "data will be lost", &keep, &goes]).await?;
        let before = versions(&children(space).await?);
        limit_cpu(space, "1").await?;
        space.stalled("VolumeBeingDeleted", &[&claim]).await?;
        quiet(space, controller).await?;
        ensure!(versions(&children(space).await?) == before, "children have changed under the alarm");
        // The user lets the pod and the volume go.
        space.api::<Pod>().delete(&pod, &DeleteParams::default().grace_period(0)).await?;
        release(space, &claim).await?;
        complete(space, controller).await.map(drop)
    })
    .await;
}
