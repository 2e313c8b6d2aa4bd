//! Pods are restarted one at a time, when it is safe, and not for the controller's sake.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, Pod, Service},
};
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
    assert!(pending.contains("Deployment/x") && pending.contains("StatefulSet/x"), "{pending}");
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

/// A lamp with a set and a Deployment whose templates wait: a newer controller would give their pods memory.
async fn waiting(spec: Value) -> Stage {
    let stage = Stage::new();
    let mut whole = json!({"replicas": 1, "deployed": true, "roll": "1", "colour": "red"});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    stage.ready("x", whole).await;
    stage.edit_spec("x", json!({"memory": "1Gi"})).await;
    stage.until_ready("x").await;
    assert_eq!(stage.condition("x", "RestartPending").unwrap()["status"], "True");
    stage
}

/// The container that the pods of a workload are to have.
fn container(stage: &Stage, resource: &str) -> Value {
    stage.object(resource, "x")["spec"]["template"]["spec"]["containers"][0].clone()
}

#[tokio::test(start_paused = true)]
async fn a_deferred_change_reaches_no_pod_by_an_eviction() {
    let stage = waiting(json!({})).await;
    for resource in ["statefulsets", "deployments"] {
        assert_eq!(container(&stage, resource), json!({"name": "lamp", "image": "lamp"}), "{resource}");
    }
    // The pod that comes in the place of an evicted one is not outdated.
    stage.pod("x", 0).await;
    time_passes(600).await;
    assert_eq!(deleted(&stage), [] as [&str; 0]);
    stage.edit_spec("x", json!({"rollout": "Automatic"})).await;
    gone(&stage, "x-0").await;
    stage.pod("x", 0).await;
    stage.until_ready("x").await;
    for resource in ["statefulsets", "deployments"] {
        assert_eq!(container(&stage, resource)["resources"]["limits"]["memory"], "1Gi", "{resource}");
    }
    assert_eq!(stage.condition("x", "RestartPending"), None);
}

#[tokio::test(start_paused = true)]
async fn a_set_scales_while_its_template_waits() {
    let stage = waiting(json!({})).await;
    stage.edit_spec("x", json!({"replicas": 3})).await;
    stage.until_ready("x").await;
    assert_eq!(stage.object("statefulsets", "x")["spec"]["replicas"], 3);
    assert_eq!(container(&stage, "statefulsets").get("resources"), None);
}

#[tokio::test(start_paused = true)]
async fn drift_is_undone_while_a_template_waits() {
    let stage = waiting(json!({})).await;
    let edit = json!({"spec": {"template": {"spec": {"containers": [{"name": "lamp", "image": "theirs"}]}}}});
    for turn in 0..2 {
        stage.edit::<Deployment>("x", edit.clone()).await;
        stage.edit::<StatefulSet>("x", edit.clone()).await;
        time_passes(60).await;
        for resource in ["statefulsets", "deployments"] {
            assert_eq!(container(&stage, resource), json!({"name": "lamp", "image": "lamp"}), "{resource}, {turn}");
        }
    }
    let pending = stage.condition("x", "RestartPending").unwrap()["message"].to_string();
    assert!(!pending.contains("theirs"), "{pending}");
    let before = stage.api.writes().len();
    stage.look_again("x").await;
    assert_eq!(stage.api.writes().len(), before);
}

#[tokio::test(start_paused = true)]
async fn a_template_waits_across_a_new_leader() {
    let stage = waiting(json!({})).await;
    let api = stage.end().await;
    let before = api.writes().len();
    let stage = Stage::with(api, temporal_stack_common::process::Scope::Cluster);
    time_passes(60).await;
    assert_eq!(stage.api.writes()[before..], [] as [&str; 0]);
    assert_eq!(container(&stage, "statefulsets").get("resources"), None);
    // What somebody edited while nobody led is undone, too.
    let (stage, _) = Stage::standby(stage.end().await);
    let edit = json!({"spec": {"template": {"spec": {"containers": [{"name": "lamp", "image": "theirs"}]}}}});
    stage.edit::<StatefulSet>("x", edit).await;
    let stage = Stage::with(stage.end().await, temporal_stack_common::process::Scope::Cluster);
    time_passes(60).await;
    assert_eq!(container(&stage, "statefulsets"), json!({"name": "lamp", "image": "lamp"}));
}

#[tokio::test(start_paused = true)]
async fn a_template_waits_when_its_set_is_made_again() {
    let stage = waiting(json!({"service": "one"})).await;
    stage.edit_spec("x", json!({"service": "two"})).await;
    stage.until_ready("x").await;
    assert_eq!(stage.object("statefulsets", "x")["spec"]["serviceName"], "two");
    assert_eq!(container(&stage, "statefulsets").get("resources"), None);
    stage.delete::<StatefulSet>("x").await;
    time_passes(60).await;
    assert_eq!(container(&stage, "statefulsets"), json!({"name": "lamp", "image": "lamp"}));
}

#[tokio::test(start_paused = true)]
async fn a_workload_of_an_earlier_version_keeps_its_template() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "deployed": true, "roll": "1"})).await;
    let api = stage.end().await;
    let stage = Stage::standby(api).0;
    for resource in ["StatefulSet", "Deployment"] {
        let bare = json!({"metadata": {"annotations": {"temporal-stack.dev/applied-template": null}}});
        match resource {
            "StatefulSet" => stage.edit::<StatefulSet>("x", bare).await,
            _ => stage.edit::<Deployment>("x", bare).await,
        }
    }
    stage.edit_spec("x", json!({"memory": "1Gi"})).await;
    let stage = Stage::with(stage.end().await, temporal_stack_common::process::Scope::Cluster);
    stage.until_ready("x").await;
    for resource in ["statefulsets", "deployments"] {
        assert_eq!(container(&stage, resource), json!({"name": "lamp", "image": "lamp"}), "{resource}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wish_with_an_annotation_of_its_own_restarts_pods() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "roll": "1", "part": "10Gi"})).await;
    stage.pod("x", 0).await;
    stage.edit::<Pod>("x-0", json!({"metadata": {"annotations": {"roll.temporal-stack.dev/part": "10Gi"}}})).await;
    stage.edit_spec("x", json!({"part": "20Gi", "memory": "1Gi"})).await;
    gone(&stage, "x-0").await;
    assert_eq!(container(&stage, "statefulsets")["resources"]["limits"]["memory"], "1Gi");
    assert_eq!(stage.condition("x", "RestartPending"), None);
}

#[tokio::test(start_paused = true)]
async fn what_pods_read_at_their_start_waits_with_their_template() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "roll": "1", "colour": "red"})).await;
    stage.edit_spec("x", json!({"memory": "1Gi", "colour": "blue"})).await;
    stage.until_ready("x").await;
    assert_eq!(stage.object("configmaps", "x")["data"]["colour"], "red");
    stage.edit::<ConfigMap>("x", json!({"data": {"theirs": "1"}})).await;
    time_passes(60).await;
    assert_eq!(stage.object("configmaps", "x")["data"], json!({"colour": "red", "theirs": "1"}));
    stage.edit_spec("x", json!({"roll": "2"})).await;
    stage.until_ready("x").await;
    assert_eq!(stage.object("configmaps", "x")["data"]["colour"], "blue");
}

#[tokio::test(start_paused = true)]
async fn a_stray_pod_with_our_labels_holds_no_restart_back() {
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
    gone(&stage, "x-0").await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_selects_no_ready_pod_is_named() {
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
