//! Pods with a lamp's labels that do not belong to its set: they delay nothing, and do not affect its status.

use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use serde_json::{Value, json};
use temporal_stack_common::api::label;

use crate::stage::{NAMESPACE, Stage, time_passes};

/// The owner reference that the set's controller adds to a pod that is named like one of its own.
fn adopted(stage: &Stage) -> Value {
    let uid = stage.object("statefulsets", "x")["metadata"]["uid"].clone();
    json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "x", "uid": uid, "controller": true}])
}

/// Creates a pod with the labels of the lamp `x`, as `kubectl debug --copy-to --keep-labels` does.
async fn stray(stage: &Stage, name: &str, owners: &Value) {
    let labels = json!({label::MANAGED_BY: label::STACK, label::COMPONENT: "lamps", label::INSTANCE: "x"});
    let pod = json!({"metadata": {"name": name, "labels": labels, "ownerReferences": owners}});
    stage.others::<Pod>().create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
}

async fn gone(stage: &Stage, name: &str) {
    let absent =
        |api: &temporal_stack_common::testkit::FakeApi| api.get("pods", NAMESPACE, name).is_none().then_some(());
    stage.api.until(name, absent).await;
}

#[tokio::test(start_paused = true)]
async fn unready_stray_pod_blocks_no_restart() {
    let theirs =
        json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "x", "uid": "theirs", "controller": true}]);
    for owners in [json!(null), theirs] {
        let stage = Stage::new();
        stage.ready("x", json!({"replicas": 1})).await;
        stage.pod("x", 0).await;
        stray(&stage, "dbg", &owners).await;
        stage.edit_spec("x", json!({"roll": "2"})).await;
        gone(&stage, "x-0").await;
    }
}

#[tokio::test(start_paused = true)]
async fn adopted_pod_beyond_the_replicas_is_not_restarted() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1})).await;
    stage.pod("x", 0).await;
    stray(&stage, "x-1", &adopted(&stage)).await;
    stage.pod_is("x-1", "True").await;
    time_passes(60).await;
    stage.edit_spec("x", json!({"roll": "2"})).await;
    gone(&stage, "x-0").await;
    assert_eq!(stage.deleted_pods(), ["delete pods/x-0"]);
}

#[tokio::test(start_paused = true)]
async fn adopted_pod_does_not_count_as_a_missing_one() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 2})).await;
    stage.pod("x", 0).await;
    stray(&stage, "x-40", &adopted(&stage)).await;
    stage.pod_is("x-40", "True").await;
    stage.edit_spec("x", json!({"roll": "2"})).await;
    stage.until_reason("x", "Applying").await;
    time_passes(60).await;
    assert_eq!(stage.deleted_pods(), [] as [&str; 0]);
    stage.pod("x", 1).await;
    gone(&stage, "x-0").await;
}

#[tokio::test(start_paused = true)]
async fn stray_pod_triggers_no_verification() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1})).await;
    stage.pod("x", 0).await;
    time_passes(10).await;
    let used = stage.product().used;
    stray(&stage, "dbg", &json!(null)).await;
    stage.pod_is("dbg", "True").await;
    time_passes(10).await;
    assert_eq!(stage.product().used, used);
}
