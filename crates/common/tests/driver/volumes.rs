//! Volumes: nothing ends a pod whose claim is being deleted, a replaced volume is reported, and what was restored is not deleted.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use temporal_stack_common::api::{annotation, label};

use crate::stage::{NAMESPACE, Stage, time_passes};

const CLAIM: &str = "data-x-0";

/// Makes the claim of the first pod of the lamp `x`, as the controller of sets does, with a volume.
async fn claim(stage: &Stage, more: &Value) {
    let labels = json!({
        label::MANAGED_BY: label::STACK, label::COMPONENT: "lamps", label::INSTANCE: "x", label::DATA: "true",
    });
    let mut claim = json!({
        "metadata": {"name": CLAIM, "labels": labels, "finalizers": ["kubernetes.io/pvc-protection"]},
        "spec": {"volumeName": "pv-1"},
    });
    if let Some(annotations) = more.as_object() {
        claim["metadata"]["annotations"] = json!(annotations);
    }
    let claims = stage.others::<PersistentVolumeClaim>();
    claims.create(&PostParams::default(), &serde_json::from_value(claim).unwrap()).await.unwrap();
    let bound = json!({"status": {"phase": "Bound"}});
    claims.patch_status(CLAIM, &PatchParams::default(), &Patch::Merge(bound)).await.unwrap();
}

/// A lamp with a pod that uses a volume.
async fn with_volume() -> Stage {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "claim": CLAIM})).await;
    claim(&stage, &json!(null)).await;
    pod(&stage).await;
    stage.look_again("x").await;
    stage
}

async fn pod(stage: &Stage) {
    stage.pod("x", 0).await;
    let volume = json!({"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}});
    stage.edit::<Pod>("x-0", json!({"spec": {"volumes": [volume]}})).await;
}

/// Lets the claim go, as its protection does when its pod has ended.
async fn unprotect(stage: &Stage) {
    stage.edit::<PersistentVolumeClaim>(CLAIM, json!({"metadata": {"finalizers": null}})).await;
}

fn uid(stage: &Stage) -> String {
    stage.object("persistentvolumeclaims", CLAIM)["metadata"]["uid"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_going_stops_all_that_could_end_its_pod() {
    let stage = with_volume().await;
    stage.delete::<PersistentVolumeClaim>(CLAIM).await;
    stage.until_reason("x", "VolumeBeingDeleted").await;
    let before = stage.api.writes().len();
    stage.edit_spec("x", json!({"roll": "2", "replicas": 0, "rollout": "Automatic", "service": "other"})).await;
    time_passes(600).await;
    assert_eq!(stage.api.writes().len(), before);
    let stalled = stage.condition("x", "Stalled").unwrap();
    let message = stalled["message"].as_str().unwrap();
    for told in [CLAIM, "Pod/x-0", "kubectl patch pv pv-1", "kubectl delete pod -n a x-0"] {
        assert!(message.contains(told), "{message}");
    }

    // The user has let the pod go.
    stage.delete::<Pod>("x-0").await;
    unprotect(&stage).await;
    stage
        .api
        .until("the set", |api| {
            let set = api.get("statefulsets", NAMESPACE, "x")?;
            (set["spec"]["replicas"] == 0).then_some(())
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_going_and_has_no_pod_stops_nothing() {
    let stage = with_volume().await;
    stage.delete::<Pod>("x-0").await;
    stage.delete::<PersistentVolumeClaim>(CLAIM).await;
    time_passes(10).await;
    assert_ne!(stage.reason("x").as_deref(), Some("VolumeBeingDeleted"));
}

#[tokio::test(start_paused = true)]
async fn a_replaced_volume_is_reported_until_it_is_accepted() {
    let stage = with_volume().await;
    assert_eq!(stage.object("lamps", "x")["status"]["volumes"], json!({CLAIM: uid(&stage)}));
    stage.delete::<Pod>("x-0").await;
    stage.delete::<PersistentVolumeClaim>(CLAIM).await;
    unprotect(&stage).await;
    claim(&stage, &json!(null)).await;
    pod(&stage).await;
    stage.look_again("x").await;
    stage.until_ready("x").await;
    let told = stage.condition("x", "VolumesKept").unwrap();
    assert_eq!((told["status"].as_str(), told["reason"].as_str()), (Some("False"), Some("VolumeReplaced")));
    assert_eq!(stage.events("x").iter().filter(|event| *event == "VolumeReplaced").count(), 1);

    // A new leader knows, too.
    let stage = Stage::with(stage.end().await, temporal_stack_common::process::Scope::Cluster);
    stage.look_again("x").await;
    assert!(stage.condition("x", "VolumesKept").is_some());

    let accepted = json!({"metadata": {"annotations": {annotation::ACCEPT_VOLUMES: uid(&stage)}}});
    stage.edit::<crate::lamp::Lamp>("x", accepted).await;
    time_passes(10).await;
    assert_eq!(stage.condition("x", "VolumesKept"), None);
    assert_eq!(stage.object("lamps", "x")["status"]["volumes"], json!({CLAIM: uid(&stage)}));
}

/// Lets the lamp `x` no longer want the claim, and says whether it is deleted.
async fn is_deleted(stage: &Stage) -> bool {
    stage.edit_spec("x", json!({"claim": null, "outgrown": CLAIM})).await;
    time_passes(60).await;
    !stage.object("persistentvolumeclaims", CLAIM)["metadata"]["deletionTimestamp"].is_null()
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_was_recorded_goes_when_it_is_not_wanted() {
    let stage = Stage::new();
    stage.ready("x", json!({"claim": CLAIM, "deletionPolicy": "Delete"})).await;
    claim(&stage, &json!(null)).await;
    time_passes(10).await;
    assert!(is_deleted(&stage).await);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_was_restored_by_hand_stays() {
    let stage = Stage::new();
    stage.ready("x", json!({"claim": CLAIM, "deletionPolicy": "Delete"})).await;
    claim(&stage, &json!(null)).await;
    time_passes(10).await;
    let backup = stage.object("persistentvolumeclaims", CLAIM)["metadata"]["annotations"].clone();
    assert_eq!(backup[annotation::RECORDED], uid(&stage));
    stage.edit_spec("x", json!({"claim": null})).await;
    stage.delete::<PersistentVolumeClaim>(CLAIM).await;
    unprotect(&stage).await;
    stage.until_ready("x").await;

    claim(&stage, &backup).await;
    assert!(!is_deleted(&stage).await);
}
