//! Pods are restarted one at a time, when it is safe, and not for the controller's sake.

use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use temporal_stack_common::{api::label, component::Gate};

use crate::stage::{NAMESPACE, Stage, time_passes};

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

fn deleted(stage: &Stage) -> Vec<String> {
    stage.api.writes().into_iter().filter(|write| write.starts_with("delete pods/")).collect()
}

/// Waits until the pod has been deleted.
async fn gone(stage: &Stage, name: &str) {
    let absent =
        |api: &temporal_stack_common::testkit::FakeApi| api.get("pods", NAMESPACE, name).is_none().then_some(());
    stage.api.until(name, absent).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_user_asked_for_restarts_one_pod_after_the_other() {
    let stage = three(&json!({"roll": "2"})).await;
    for (index, so_far) in [(2, 1), (1, 2), (0, 3)] {
        let name = format!("x-{index}");
        gone(&stage, &name).await;
        // Not while the pod is missing, and not while its successor is not ready.
        time_passes(120).await;
        stage.unready_pod("x", index).await;
        time_passes(120).await;
        assert_eq!(deleted(&stage).len(), so_far, "{:?}", deleted(&stage));
        assert!(index == 0 || stage.reason("x").as_deref() == Some("Applying"));
        stage.pod_is(&name, "True").await;
    }
    stage.until_ready("x").await;
    assert_eq!(deleted(&stage), ["delete pods/x-2", "delete pods/x-1", "delete pods/x-0"]);
    assert_eq!(stage.events("x").iter().filter(|event| *event == "Restarted").count(), 3, "one for each pod");
}

#[tokio::test(start_paused = true)]
async fn a_closed_gate_holds_restarts_back_and_says_why() {
    let stage = Stage::new();
    stage.product().gate = Gate::Closed("the queue has no quorum".to_owned());
    stage.ready("x", json!({"replicas": 1})).await;
    stage.pod("x", 0).await;
    stage.edit_spec("x", json!({"roll": "2"})).await;
    time_passes(600).await;
    assert_eq!(deleted(&stage), [] as [&str; 0]);
    let message = stage.condition("x", "Ready").unwrap()["message"].to_string();
    assert!(message.contains("the queue has no quorum"), "{message}");
    stage.product().gate = Gate::Open;
    gone(&stage, "x-0").await;
}

#[tokio::test(start_paused = true)]
async fn another_pod_that_is_not_ready_holds_restarts_back() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 2})).await;
    stage.pod("x", 0).await;
    stage.edit_spec("x", json!({"roll": "2"})).await;
    stage.until_reason("x", "Applying").await;
    time_passes(10).await;
    stage.unready_pod("x", 1).await;
    time_passes(600).await;
    assert_eq!(deleted(&stage), [] as [&str; 0]);
    stage.pod_is("x-1", "True").await;
    gone(&stage, "x-0").await;
}

#[tokio::test(start_paused = true)]
async fn an_outdated_pod_that_is_not_ready_goes_first() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 2})).await;
    stage.pod("x", 0).await;
    stage.pod("x", 1).await;
    stage.pod_is("x-0", "False").await;
    stage.edit_spec("x", json!({"roll": "2"})).await;
    gone(&stage, "x-0").await;
    time_passes(60).await;
    assert_eq!(deleted(&stage), ["delete pods/x-0"]);
}

#[tokio::test(start_paused = true)]
async fn the_pod_of_a_job_that_is_done_holds_nothing_back() {
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
    gone(&stage, "x-0").await;
}

#[tokio::test(start_paused = true)]
async fn a_template_that_only_the_controller_changed_waits_for_the_users_word() {
    let stage = three(&json!({"memory": "1Gi"})).await;
    stage.until_ready("x").await;
    time_passes(600).await;
    assert_eq!(deleted(&stage), [] as [&str; 0]);
    let pending = stage.condition("x", "RestartPending").unwrap();
    assert_eq!((&pending["status"], &pending["reason"]), (&json!("True"), &json!("NewerTemplate")));
    assert_eq!(stage.reason("x").as_deref(), Some("Verified"));

    stage.edit_spec("x", json!({"rollout": "Automatic"})).await;
    for index in (0..3).rev() {
        gone(&stage, &format!("x-{index}")).await;
        stage.pod("x", index).await;
    }
    stage.until_ready("x").await;
    assert_eq!(stage.condition("x", "RestartPending"), None);
}

#[tokio::test(start_paused = true)]
async fn a_paused_object_restarts_no_pod() {
    let stage = three(&json!({"colour": "red"})).await;
    stage.until_ready("x").await;
    stage.edit_spec("x", json!({"roll": "2"})).await;
    gone(&stage, "x-2").await;
    let paused = json!({"metadata": {"annotations": {temporal_stack_common::api::annotation::PAUSED: "true"}}});
    stage.edit::<crate::lamp::Lamp>("x", paused).await;
    stage.pod("x", 2).await;
    time_passes(600).await;
    assert_eq!(deleted(&stage), ["delete pods/x-2"]);
}

/// The memory of the pods that a lamp's Deployment wants.
fn memory(stage: &Stage) -> Value {
    stage.object("deployments", "x")["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
        .clone()
}

#[tokio::test(start_paused = true)]
async fn a_deployment_keeps_its_template_when_only_the_controller_is_newer_until_the_user_says_so() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "deployed": true, "roll": "1"})).await;
    // What a newer controller would add, without a new wish of the user's.
    stage.edit_spec("x", json!({"memory": "1Gi"})).await;
    stage.until_ready("x").await;
    assert_eq!(memory(&stage), Value::Null);
    let pending = stage.condition("x", "RestartPending").unwrap()["message"].to_string();
    assert!(pending.contains("Deployment/x"), "{pending}");
    let generation = stage.object("deployments", "x")["metadata"]["generation"].clone();
    let writes = stage.api.writes().len();
    time_passes(1800).await;
    assert_eq!(stage.api.writes().len(), writes, "{:?}", stage.api.writes());

    stage.edit_spec("x", json!({"roll": "2"})).await;
    stage.until_ready("x").await;
    assert_eq!(memory(&stage), "1Gi");
    assert!(stage.object("deployments", "x")["metadata"]["generation"].as_i64() > generation.as_i64());
    assert_eq!(stage.condition("x", "RestartPending"), None);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_takes_a_newer_template_at_once_where_that_is_wanted() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "deployed": true, "rollout": "Automatic"})).await;
    stage.edit_spec("x", json!({"memory": "1Gi"})).await;
    stage.until_ready("x").await;
    assert_eq!(memory(&stage), "1Gi");
}
