//! Pods are restarted one at a time, when it is safe, and not because the controller is newer.

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use temporal_stack_common::{api::label, component::Gate};

use crate::stage::{Stage, time_passes};

/// A lamp of three pods.
async fn three(spec: &Value) -> Stage {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 3})).await;
    for index in 0..3 {
        stage.pod("x", index).await;
    }
    stage.edit_spec("x", spec.clone()).await;
    stage
}

#[tokio::test(start_paused = true)]
async fn users_change_restarts_one_pod_at_a_time() {
    let stage = three(&json!({"roll": "2"})).await;
    for (index, so_far) in [(2, 1), (1, 2), (0, 3)] {
        let name = format!("x-{index}");
        stage.until_deleted(&name).await;
        // Not while the pod is missing, and not while its successor is not ready.
        time_passes(120).await;
        stage.unready_pod("x", index).await;
        time_passes(120).await;
        assert_eq!(stage.deleted_pods().len(), so_far, "{:?}", stage.deleted_pods());
        assert!(index == 0 || stage.reason("x").as_deref() == Some("Applying"));
        stage.pod_is(&name, "True").await;
    }
    stage.until_ready("x").await;
    assert_eq!(stage.deleted_pods(), ["delete pods/x-2", "delete pods/x-1", "delete pods/x-0"]);
    assert_eq!(stage.events("x").iter().filter(|event| *event == "Restarted").count(), 3, "one for each pod");
}

#[tokio::test(start_paused = true)]
async fn closed_gate_blocks_restarts_and_is_reported() {
    let stage = Stage::new();
    stage.product().gate = Gate::Closed("the queue has no quorum".to_owned());
    stage.ready("x", json!({"replicas": 1})).await;
    stage.pod("x", 0).await;
    stage.edit_spec("x", json!({"roll": "2"})).await;
    time_passes(600).await;
    assert_eq!(stage.deleted_pods(), [] as [&str; 0]);
    let message = stage.condition("x", "Ready").unwrap()["message"].to_string();
    assert!(message.contains("the queue has no quorum"), "{message}");
    stage.product().gate = Gate::Open;
    stage.until_deleted("x-0").await;
}

#[tokio::test(start_paused = true)]
async fn unready_pod_blocks_restarts_of_others() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 2})).await;
    stage.pod("x", 0).await;
    stage.edit_spec("x", json!({"roll": "2"})).await;
    stage.until_reason("x", "Applying").await;
    time_passes(10).await;
    stage.unready_pod("x", 1).await;
    time_passes(600).await;
    assert_eq!(stage.deleted_pods(), [] as [&str; 0]);
    stage.pod_is("x-1", "True").await;
    stage.until_deleted("x-0").await;
}

#[tokio::test(start_paused = true)]
async fn unready_outdated_pod_is_restarted_first() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 2})).await;
    stage.pod("x", 0).await;
    stage.pod("x", 1).await;
    stage.pod_is("x-0", "False").await;
    stage.edit_spec("x", json!({"roll": "2"})).await;
    stage.until_deleted("x-0").await;
    time_passes(60).await;
    assert_eq!(stage.deleted_pods(), ["delete pods/x-0"]);
}

#[tokio::test(start_paused = true)]
async fn finished_job_pod_blocks_no_restart() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1})).await;
    stage.pod("x", 0).await;
    let labels = json!({label::MANAGED_BY: label::STACK, label::COMPONENT: "lamps", label::INSTANCE: "x"});
    let job = json!({"metadata": {"name": "x-job", "labels": labels}});
    let pods: Api<k8s_openapi::api::core::v1::Pod> = stage.others();
    pods.create(&PostParams::default(), &serde_json::from_value(job).unwrap()).await.unwrap();
    let done = kube::api::Patch::Merge(json!({"status": {"phase": "Succeeded"}}));
    pods.patch_status("x-job", &kube::api::PatchParams::default(), &done).await.unwrap();
    stage.edit_spec("x", json!({"roll": "2"})).await;
    stage.until_deleted("x-0").await;
}

#[tokio::test(start_paused = true)]
async fn template_of_a_newer_controller_waits_for_the_user() {
    let stage = three(&json!({"memory": "1Gi"})).await;
    stage.until_ready("x").await;
    time_passes(600).await;
    assert_eq!(stage.deleted_pods(), [] as [&str; 0]);
    let pending = stage.condition("x", "RestartPending").unwrap();
    assert_eq!((&pending["status"], &pending["reason"]), (&json!("True"), &json!("NewerTemplate")));
    assert_eq!(stage.reason("x").as_deref(), Some("Verified"));

    stage.edit_spec("x", json!({"rollout": "Automatic"})).await;
    for index in (0..3).rev() {
        stage.until_deleted(&format!("x-{index}")).await;
        stage.pod("x", index).await;
    }
    stage.until_ready("x").await;
    assert_eq!(stage.condition("x", "RestartPending"), None);
}

#[tokio::test(start_paused = true)]
async fn paused_object_restarts_no_pod() {
    let stage = three(&json!({"colour": "red"})).await;
    stage.until_ready("x").await;
    stage.edit_spec("x", json!({"roll": "2"})).await;
    stage.until_deleted("x-2").await;
    let paused = json!({"metadata": {"annotations": {temporal_stack_common::api::annotation::PAUSED: "true"}}});
    stage.edit::<crate::lamp::Lamp>("x", paused).await;
    stage.pod("x", 2).await;
    time_passes(600).await;
    assert_eq!(stage.deleted_pods(), ["delete pods/x-2"]);
}

#[tokio::test(start_paused = true)]
async fn stray_pod_with_our_labels_blocks_no_restart() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1})).await;
    stage.pod("x", 0).await;
    let labels = json!({label::MANAGED_BY: label::STACK, label::COMPONENT: "lamps", label::INSTANCE: "x", "lamp": "x"});
    let pods: Api<Pod> = stage.others();
    for (name, owners) in [
        ("x-debug", json!([])),
        (
            "x-copy",
            json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "x", "uid": "another", "controller": true}]),
        ),
    ] {
        let stray = json!({"metadata": {"name": name, "labels": labels, "ownerReferences": owners}});
        pods.create(&PostParams::default(), &serde_json::from_value(stray).unwrap()).await.unwrap();
    }
    stage.edit_spec("x", json!({"roll": "2"})).await;
    stage.until_deleted("x-0").await;
}

#[tokio::test(start_paused = true)]
async fn service_that_selects_no_ready_pod_is_named() {
    let stage = Stage::new();
    stage.make("x", json!({"replicas": 1, "served": true})).await;
    stage.until_reason("x", "NoEndpoints").await;
    stage.pod("x", 0).await;
    stage.until_ready("x").await;
    stage.edit::<Pod>("x-0", json!({"metadata": {"labels": {"lamp": "other"}}})).await;
    stage.until_reason("x", "NoEndpoints").await;
    let message = stage.condition("x", "Ready").unwrap()["message"].to_string();
    assert!(message.contains("Service/x") && message.contains("lamp=x"), "{message}");
    stage.edit::<Service>("x", json!({"metadata": {"annotations": {"theirs": "1"}}})).await;
    stage.edit::<Pod>("x-0", json!({"metadata": {"labels": {"lamp": "x"}}})).await;
    stage.until_ready("x").await;
}
