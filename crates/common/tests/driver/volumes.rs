//! Volumes: no pod is deleted while its claim is being deleted, a replaced volume is reported, and a restored one is kept.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use temporal_stack_common::api::{annotation, label};

use crate::stage::{NAMESPACE, Stage, time_passes};

const CLAIM: &str = "data-x-0";

/// Creates the claim of the first pod of the lamp `x`, with a volume, as the StatefulSet controller does.
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

/// Removes the claim, as its protection does when its pod has ended.
async fn unprotect(stage: &Stage) {
    stage.edit::<PersistentVolumeClaim>(CLAIM, json!({"metadata": {"finalizers": null}})).await;
}

fn uid(stage: &Stage) -> String {
    stage.object("persistentvolumeclaims", CLAIM)["metadata"]["uid"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn deleted_claim_blocks_all_that_could_end_its_pod() {
    let stage = with_volume().await;
    stage.delete::<PersistentVolumeClaim>(CLAIM).await;
    stage.until_reason("x", "VolumeBeingDeleted").await;
    let before = stage.api.writes().len();
    stage.edit_spec("x", json!({"roll": "2", "replicas": 0, "rollout": "Automatic", "service": "other"})).await;
    time_passes(600).await;
    assert_eq!(stage.api.writes().len(), before);
    let stalled = stage.condition("x", "Stalled").unwrap();
    let message = stalled["message"].as_str().unwrap();
    for part in [CLAIM, "Pod/x-0", "kubectl patch pv pv-1", "kubectl -n a delete pod x-0"] {
        assert!(message.contains(part), "{message}");
    }

    // The user has deleted the pod.
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
async fn deleted_claim_without_a_pod_blocks_nothing() {
    let stage = with_volume().await;
    stage.delete::<Pod>("x-0").await;
    stage.delete::<PersistentVolumeClaim>(CLAIM).await;
    time_passes(10).await;
    assert_ne!(stage.reason("x").as_deref(), Some("VolumeBeingDeleted"));
}

#[tokio::test(start_paused = true)]
async fn replaced_volume_is_reported_until_it_is_accepted() {
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

    // A new leader reports it, too.
    let stage = Stage::with(stage.end().await, temporal_stack_common::process::Scope::Cluster);
    stage.look_again("x").await;
    assert!(stage.condition("x", "VolumesKept").is_some());

    let accepted = json!({"metadata": {"annotations": {annotation::ACCEPT_VOLUMES: uid(&stage)}}});
    stage.edit::<crate::lamp::Lamp>("x", accepted).await;
    time_passes(10).await;
    assert_eq!(stage.condition("x", "VolumesKept"), None);
    assert_eq!(stage.object("lamps", "x")["status"]["volumes"], json!({CLAIM: uid(&stage)}));
}

#[tokio::test(start_paused = true)]
async fn data_set_aside_are_reported_until_the_pod_restarts() {
    let stage = with_volume().await;
    assert_eq!(stage.condition("x", "DataSetAside"), None);
    let status = |code: i32, message: &str| {
        let container = |name: &str, code: i32, message: &str| {
            let ended = json!({"exitCode": code, "message": message, "reason": "Completed"});
            json!({
                "name": name, "image": "lamp", "imageID": "", "ready": true, "restartCount": 0, "state": {"terminated": ended},
            })
        };
        let added = container("added-by-a-webhook", 0, "rules are in place");
        json!({"status": {"initContainerStatuses": [added, container("lamp", code, message)]}})
    };
    let pods = stage.others::<Pod>();
    let patch = async |status| {
        pods.patch_status("x-0", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
        time_passes(10).await;
    };
    patch(status(1, "the last line of a log")).await;
    assert_eq!(stage.condition("x", "DataSetAside"), None);
    patch(status(0, "old messages: /var/aside\n")).await;
    let told = stage.condition("x", "DataSetAside").unwrap();
    assert!(told["message"].as_str().unwrap().starts_with("Pod/x-0: old messages: /var/aside; "), "{told}");
    assert_eq!((&told["status"], &told["reason"]), (&json!("True"), &json!("SetAside")));
    stage.look_again("x").await;
    assert_eq!(stage.events("x").iter().filter(|event| *event == "SetAside").count(), 1);
    patch(status(0, "")).await;
    assert_eq!(stage.condition("x", "DataSetAside"), None);
}

/// Whether the driver deletes the claim when the lamp `x` no longer wants it.
async fn is_deleted(stage: &Stage) -> bool {
    stage.edit_spec("x", json!({"claim": null, "outgrown": CLAIM})).await;
    time_passes(60).await;
    !stage.object("persistentvolumeclaims", CLAIM)["metadata"]["deletionTimestamp"].is_null()
}

#[tokio::test(start_paused = true)]
async fn unwanted_recorded_claim_is_deleted() {
    let stage = Stage::new();
    stage.ready("x", json!({"claim": CLAIM, "deletionPolicy": "Delete"})).await;
    claim(&stage, &json!(null)).await;
    time_passes(10).await;
    assert!(is_deleted(&stage).await);
}

#[tokio::test(start_paused = true)]
async fn manually_restored_claim_is_kept() {
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
