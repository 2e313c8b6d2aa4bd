//! Claims that are not bound: the condition has the cause that only the cluster shows.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Event, PersistentVolume, PersistentVolumeClaim, Pod},
    storage::v1::StorageClass,
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::api::label;

use crate::stage::{Stage, time_passes};

const CLAIM: &str = "data-x-0";

/// A lamp whose pod cannot be scheduled, with a claim of that spec and status.
async fn unscheduled(words: &str, spec: Value, status: Value) -> Stage {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1})).await;
    stage.unready_pod("x", 0).await;
    let labels = json!({label::MANAGED_BY: label::STACK, label::COMPONENT: "lamps", label::INSTANCE: "x"});
    let claims = stage.others::<PersistentVolumeClaim>();
    let claim = json!({"metadata": {"name": CLAIM, "labels": labels}, "spec": spec});
    claims.create(&PostParams::default(), &serde_json::from_value(claim).unwrap()).await.unwrap();
    claims.patch_status(CLAIM, &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await.unwrap();
    let volume = json!({"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}});
    stage.edit::<Pod>("x-0", json!({"spec": {"nodeName": null, "volumes": [volume]}})).await;
    let unscheduled = json!({"type": "PodScheduled", "status": "False", "message": words});
    let status = json!({"status": {"conditions": [unscheduled]}});
    stage.others::<Pod>().patch_status("x-0", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    let status = json!({"status": {"readyReplicas": 0}});
    let sets = stage.others::<StatefulSet>();
    sets.patch_status("x", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    stage
}

async fn pending(class: &str) -> Stage {
    let spec = json!({"storageClassName": class, "resources": {"requests": {"storage": "1Gi"}}, "accessModes": ["ReadWriteOnce"]});
    unscheduled("pod has unbound immediate PersistentVolumeClaims", spec, json!({"phase": "Pending"})).await
}

async fn make<K>(stage: &Stage, object: Value)
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned,
{
    let object: K = serde_json::from_value(object).unwrap();
    Api::all(stage.api.others()).create(&PostParams::default(), &object).await.unwrap();
}

async fn ready_message(stage: &Stage, parts: &[&str]) -> String {
    stage.until_reason("x", "ChildrenNotReady").await;
    time_passes(60).await;
    let message = stage.condition("x", "Ready").unwrap()["message"].as_str().unwrap().to_owned();
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    message
}

#[tokio::test(start_paused = true)]
async fn class_that_was_deleted_is_reported_until_it_is_created() {
    let stage = pending("gold").await;
    ready_message(
        &stage,
        &["0 of 1 pods ready", CLAIM, "StorageClass gold does not exist", "no PersistentVolume of class gold"],
    )
    .await;
    make::<StorageClass>(&stage, json!({"metadata": {"name": "gold"}, "provisioner": "csi.example.com"})).await;
    let now = ready_message(&stage, &["provisioner csi.example.com of StorageClass gold has not answered"]).await;
    assert!(!now.contains("does not exist"), "{now}");
}

#[tokio::test(start_paused = true)]
async fn refusal_of_the_provisioner_is_quoted() {
    let stage = pending("gold").await;
    make::<StorageClass>(&stage, json!({"metadata": {"name": "gold"}, "provisioner": "csi.example.com"})).await;
    let uid = stage.object("persistentvolumeclaims", CLAIM)["metadata"]["uid"].clone();
    let event: Event = serde_json::from_value(json!({
        "metadata": {"name": "a"}, "involvedObject": {"uid": uid}, "type": "Warning", "reason": "ProvisioningFailed",
        "message": "rpc error: code = ResourceExhausted desc = quota exceeded",
    }))
    .unwrap();
    stage.others::<Event>().create(&PostParams::default(), &event).await.unwrap();
    ready_message(&stage, &["cannot create the volume: quota exceeded; raise the quota"]).await;
}

#[tokio::test(start_paused = true)]
async fn volumes_without_a_class_are_described() {
    let stage = pending("").await;
    let small = json!({
        "metadata": {"name": "small"},
        "spec": {"capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"]},
        "status": {"phase": "Available"},
    });
    make::<PersistentVolume>(&stage, small).await;
    ready_message(&stage, &["PersistentVolume/small has 1Mi", "create one of 1Gi"]).await;
}

#[tokio::test(start_paused = true)]
async fn volume_in_another_zone_is_reported_with_its_place() {
    let words = "0/3 nodes are available: 3 node(s) had volume node affinity conflict";
    let spec = json!({"storageClassName": "gold", "volumeName": "pv-1"});
    let stage = unscheduled(words, spec, json!({"phase": "Bound"})).await;
    let zone = json!({"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["eu-1a"]});
    let volume = json!({
        "metadata": {"name": "pv-1"},
        "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [zone]}]}}},
    });
    make::<PersistentVolume>(&stage, volume).await;
    ready_message(&stage, &[words, "PersistentVolume/pv-1 exists only where topology.kubernetes.io/zone is eu-1a"])
        .await;
}

#[tokio::test(start_paused = true)]
async fn unlistable_classes_fail_no_pass() {
    let stage = pending("gold").await;
    stage.api.refuse("storageclasses", "", 403);
    ready_message(&stage, &["0 of 1 pods ready", CLAIM, "no event names the cause"]).await;
}

#[tokio::test(start_paused = true)]
async fn class_that_waits_for_the_pod_leaves_the_schedulers_words() {
    let stage = pending("late").await;
    let class = json!({
        "metadata": {"name": "late"}, "provisioner": "csi.example.com", "volumeBindingMode": "WaitForFirstConsumer",
    });
    make::<StorageClass>(&stage, class).await;
    ready_message(&stage, &["StorageClass late waits until the pod is scheduled", "unbound immediate"]).await;
}
