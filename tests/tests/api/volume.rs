//! Volumes that cannot be had, cannot shrink, cannot grow, or can.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Controller, One, Subject,
    prepare::{FIXED, GROWS},
    snapshot::{children, versions},
    subject::{assert_told, condition_of},
    until,
};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{PersistentVolume, PersistentVolumeClaim, Pod},
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::condition::RECONCILING;

use crate::{
    step::{complete, quiet},
    with_controller,
};

e2e::for_each_kind!(
    missing_default_class_is_reported_with_the_field,
    missing_class_is_reported_with_the_existing_ones,
    smaller_size_is_refused,
    larger_size_is_refused_if_the_class_forbids_expansion,
    changed_class_is_refused,
    larger_size_grows_the_volume_under_its_running_pod,
    size_is_reverted_before_the_volume_has_grown,
    class_that_only_volumes_name_is_accepted,
    volume_without_a_class_is_accepted,
);

fn class_field<K: Subject>() -> String {
    format!("spec.provider.{}.storage.storageClassName", K::PROVIDER)
}

fn size_field<K: Subject>() -> String {
    format!("spec.provider.{}.storage.size", K::PROVIDER)
}

fn with_class<K: Subject>(class: Option<&str>) -> Value {
    K::provider(&json!({"storage": {"size": "1Gi", "storageClassName": class}}))
}

async fn resize<K: Subject>(space: &One<'_, K>, size: &str) -> Result<K> {
    space.patch_provider(&json!({"storage": {"size": size}})).await
}

/// Gives the claim of a pod a volume, as a driver would.
pub(crate) async fn bind<K: Subject>(space: &One<'_, K>, ordinal: u32) -> Result<()> {
    let claims = space.api::<PersistentVolumeClaim>();
    let claim = claims.get(&K::volume(ordinal)).await?;
    let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.clone());
    let volume = json!({
        "metadata": {
            "name": format!("{}-{ordinal}", space.name),
            "ownerReferences": [{"apiVersion": "v1", "kind": "Namespace", "name": space.name, "uid": space.uid}],
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": space.name, "name": K::volume(ordinal), "uid": claim.uid()},
            "hostPath": {"path": "/nowhere"},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": class,
        },
    });
    let volume: PersistentVolume = serde_json::from_value(volume)?;
    Api::all(space.client.clone()).create(&PostParams::default(), &volume).await.context("could not make a volume")?;
    until(&claims, &K::volume(ordinal), "been bound", |claim| {
        claim.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Bound"))
    })
    .await?;
    Ok(())
}

/// Lets the volume have grown, as a driver would say.
async fn grow<K: Subject>(space: &One<'_, K>, size: &str) -> Result<()> {
    let grown = Patch::Merge(json!({"status": {"capacity": {"storage": size}}}));
    space.api::<PersistentVolumeClaim>().patch_status(&K::volume(0), &PatchParams::default(), &grown).await?;
    Ok(())
}

async fn size_of_claim<K: Subject>(space: &One<'_, K>) -> Result<Option<Quantity>> {
    let claim = space.api::<PersistentVolumeClaim>().get(&K::volume(0)).await?;
    Ok(claim.spec.and_then(|spec| spec.resources?.requests?.get("storage").cloned()))
}

/// Asks for a size that cannot be: it is said, nothing is touched, and taking it back is enough.
async fn cannot_be<K: Subject>(
    space: &One<'_, K>,
    controller: &Controller,
    size: &str,
    reason: &str,
    parts: &[&str],
) -> Result<()> {
    let before = versions(&children(space).await?);
    let claim = space.api::<PersistentVolumeClaim>().get(&K::volume(0)).await?;
    resize(space, size).await?;
    space.stalled(reason, parts).await?;
    quiet(space, controller).await?;
    ensure!(versions(&children(space).await?) == before, "children have changed");
    let after = space.api::<PersistentVolumeClaim>().get(&K::volume(0)).await?;
    ensure!(after.spec == claim.spec && after.uid() == claim.uid(), "the claim has changed");
    resize(space, "1Gi").await?;
    space.waits_for_its_pods().await.map(drop)
}

async fn missing_default_class_is_reported_with_the_field<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        space.create(&with_class::<K>(None)).await?;
        space.stalled("NoStorageClass", &[&class_field::<K>(), "no default StorageClass", "set the field"]).await?;
        ensure!(children(space).await?.is_empty(), "something was made");
        space.patch(&json!({"spec": with_class::<K>(Some(GROWS))})).await?;
        complete(space, controller).await.map(drop)
    })
    .await;
}

async fn missing_class_is_reported_with_the_existing_ones<K: Subject>() {
    with_controller::<K>(async |space, _| {
        space.create(&with_class::<K>(Some("missing"))).await?;
        space
            .stalled(
                "StorageClassMissing",
                &[&class_field::<K>(), "neither StorageClass missing nor a PersistentVolume", GROWS, FIXED],
            )
            .await?;
        ensure!(children(space).await?.is_empty(), "something was made");
        Ok(())
    })
    .await;
}

async fn smaller_size_is_refused<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        space.create(&K::embedded()).await?;
        complete(space, controller).await?;
        bind(space, 0).await?;
        cannot_be(
            space,
            controller,
            "512Mi",
            "VolumeCannotShrink",
            &[&size_field::<K>(), &K::volume(0), "512Mi", "1Gi or more"],
        )
        .await
    })
    .await;
}

async fn larger_size_is_refused_if_the_class_forbids_expansion<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        space.create(&with_class::<K>(Some(FIXED))).await?;
        complete(space, controller).await?;
        bind(space, 0).await?;
        let parts = [&size_field::<K>(), &K::volume(0), FIXED, "2Gi", "Set the field back to 1Gi"];
        cannot_be(space, controller, "2Gi", "VolumeCannotGrow", &parts).await
    })
    .await;
}

async fn changed_class_is_refused<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        space.create(&K::embedded()).await?;
        complete(space, controller).await?;
        let before = versions(&children(space).await?);
        space.patch(&json!({"spec": with_class::<K>(Some(FIXED))})).await?;
        space.stalled("InvalidSpec", &[&class_field::<K>(), FIXED, GROWS, "set the field back"]).await?;
        ensure!(versions(&children(space).await?) == before, "children have changed");
        Ok(())
    })
    .await;
}

async fn larger_size_grows_the_volume_under_its_running_pod<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        space.create(&K::embedded()).await?;
        complete(space, controller).await?;
        bind(space, 0).await?;
        let (sets, pods) = (space.api::<StatefulSet>(), space.api::<Pod>());
        let pod = K::pod(0);
        let (set, before) = (sets.get(&K::set()).await?.uid(), pods.get(&pod).await?.uid());
        resize(space, "2Gi").await?;
        let remade = until(&sets, &K::set(), "been made again with its pod", |remade| {
            let adopted = remade.status.as_ref().is_some_and(|status| status.replicas == 1);
            remade.uid() != set && adopted
        })
        .await?;
        ensure!(size_of_claim(space).await? == Some(Quantity("2Gi".to_owned())), "the claim has not grown");
        let template = serde_json::to_value(&remade)?["spec"]["volumeClaimTemplates"][0]["spec"].clone();
        ensure!(template["resources"]["requests"]["storage"] == "2Gi", "the template has not grown: {template}");
        // The free limit of a broker follows its volume, and a broker reads it at its start only.
        let restarts = K::PROGRAM == "queue-controller";
        ensure!(restarts || pods.get(&pod).await?.uid() == before, "the pod was made again");
        // What the component knows of its pods may come first.
        space
            .until("said that the volume is to grow", |object| {
                condition_of(object, RECONCILING)
                    .is_some_and(|waiting| assert_told(waiting, &[&K::volume(0), "1Gi of 2Gi"]).is_ok())
            })
            .await?;
        grow(space, "2Gi").await?;
        complete(space, controller).await.map(drop)
    })
    .await;
}

async fn size_is_reverted_before_the_volume_has_grown<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        space.create(&K::embedded()).await?;
        complete(space, controller).await?;
        bind(space, 0).await?;
        resize(space, "100Ti").await?;
        until(&space.api::<PersistentVolumeClaim>(), &K::volume(0), "asked for the typo", |claim| {
            requested(claim) == Some("100Ti")
        })
        .await?;
        resize(space, "1Gi").await?;
        // The API server takes no less than a byte more than the volume has.
        until(&space.api::<PersistentVolumeClaim>(), &K::volume(0), "taken it back", |claim| {
            requested(claim) == Some("1073741825")
        })
        .await?;
        complete(space, controller).await?;
        resize(space, "512Mi").await?;
        space.stalled("VolumeCannotShrink", &[&size_field::<K>(), "1Gi or more"]).await.map(drop)
    })
    .await;
}

fn requested(claim: &PersistentVolumeClaim) -> Option<&str> {
    temporal_stack_common::volume::size_of(claim)
}

/// Makes a volume by hand, of that class.
async fn volume_by_hand<K: Subject>(space: &One<'_, K>, class: &str) -> Result<()> {
    let volume = json!({
        "metadata": {
            "name": format!("{}-by-hand", space.name),
            "ownerReferences": [{"apiVersion": "v1", "kind": "Namespace", "name": space.name, "uid": space.uid}],
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "claimRef": {"namespace": space.name, "name": K::volume(0)},
            "hostPath": {"path": "/nowhere"},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": class,
        },
    });
    let volume: PersistentVolume = serde_json::from_value(volume)?;
    Api::all(space.client.clone()).create(&PostParams::default(), &volume).await.context("could not make a volume")?;
    Ok(())
}

async fn is_bound<K: Subject>(space: &One<'_, K>) -> Result<()> {
    until(&space.api::<PersistentVolumeClaim>(), &K::volume(0), "been bound", |claim| {
        claim.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Bound"))
    })
    .await?;
    Ok(())
}

async fn class_that_only_volumes_name_is_accepted<K: Subject>() {
    with_controller::<K>(async |space, _| {
        let class = format!("by-hand-{}", space.name);
        volume_by_hand(space, &class).await?;
        space.create(&with_class::<K>(Some(&class))).await?;
        is_bound(space).await
    })
    .await;
}

async fn volume_without_a_class_is_accepted<K: Subject>() {
    with_controller::<K>(async |space, _| {
        volume_by_hand(space, "").await?;
        space.create(&with_class::<K>(Some(""))).await?;
        is_bound(space).await
    })
    .await;
}
