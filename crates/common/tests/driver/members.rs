//! Pods that have a lamp's labels and are none of its set: they hold nothing up, and nothing is concluded from them.

use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use serde_json::{Value, json};
use temporal_stack_common::api::label;

use crate::stage::{NAMESPACE, Stage, time_passes};

/// Makes a pod with the labels of the lamp `x`, as `kubectl debug --copy-to --keep-labels` does.
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
async fn a_stray_pod_that_is_not_ready_holds_up_no_restart() {
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
async fn a_stray_pod_is_no_reason_to_use_the_product_again() {
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
