//! A template that differs only because the controller is newer is deferred, and reaches no pod meanwhile.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, Pod},
};
use serde_json::{Value, json};

use crate::stage::{Stage, time_passes};

/// The memory of the pods that a lamp's Deployment wants.
fn memory(stage: &Stage) -> Value {
    stage.object("deployments", "x")["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
        .clone()
}

#[tokio::test(start_paused = true)]
async fn newer_controller_keeps_a_deployments_template_until_asked() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "deployed": true, "roll": "1"})).await;
    // A change by a newer controller, without a change of the user's spec.
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
async fn automatic_rollout_applies_a_newer_template_at_once() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "deployed": true, "rollout": "Automatic"})).await;
    stage.edit_spec("x", json!({"memory": "1Gi"})).await;
    stage.until_ready("x").await;
    assert_eq!(memory(&stage), "1Gi");
}

#[tokio::test(start_paused = true)]
async fn kept_template_changes_when_it_is_released() {
    let stage = Stage::new();
    let spec = json!({"replicas": 1, "deployed": true, "roll": "1", "rollout": "Automatic", "steadied": true});
    stage.ready("x", spec).await;
    // Both by the user's request and by a newer controller.
    stage.edit_spec("x", json!({"memory": "1Gi", "roll": "2"})).await;
    stage.until_ready("x").await;
    assert_eq!((memory(&stage), stage.condition("x", "RestartPending")), (Value::Null, None));

    stage.edit_spec("x", json!({"steadied": false})).await;
    stage.until_ready("x").await;
    assert_eq!(memory(&stage), "1Gi");
}

/// A lamp with a set and a Deployment whose templates are deferred: a newer controller would set the memory of their pods.
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

/// The container in a workload's pod template.
fn container(stage: &Stage, resource: &str) -> Value {
    stage.object(resource, "x")["spec"]["template"]["spec"]["containers"][0].clone()
}

#[tokio::test(start_paused = true)]
async fn deferred_change_reaches_no_pod_by_an_eviction() {
    let stage = waiting(json!({})).await;
    for resource in ["statefulsets", "deployments"] {
        assert_eq!(container(&stage, resource), json!({"name": "lamp", "image": "lamp"}), "{resource}");
    }
    // The pod that replaces an evicted one is not outdated.
    stage.pod("x", 0).await;
    time_passes(600).await;
    assert_eq!(stage.deleted_pods(), [] as [&str; 0]);
    stage.edit_spec("x", json!({"rollout": "Automatic"})).await;
    stage.until_deleted("x-0").await;
    stage.pod("x", 0).await;
    stage.until_ready("x").await;
    for resource in ["statefulsets", "deployments"] {
        assert_eq!(container(&stage, resource)["resources"]["limits"]["memory"], "1Gi", "{resource}");
    }
    assert_eq!(stage.condition("x", "RestartPending"), None);
}

#[tokio::test(start_paused = true)]
async fn set_scales_while_its_template_waits() {
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
async fn template_waits_across_a_new_leader() {
    let stage = waiting(json!({})).await;
    let api = stage.end().await;
    let before = api.writes().len();
    let stage = Stage::with(api, temporal_stack_common::process::Scope::Cluster);
    time_passes(60).await;
    assert_eq!(stage.api.writes()[before..], [] as [&str; 0]);
    assert_eq!(container(&stage, "statefulsets").get("resources"), None);
    // An edit that another client made while there was no leader is undone, too.
    let (stage, _) = Stage::standby(stage.end().await);
    let edit = json!({"spec": {"template": {"spec": {"containers": [{"name": "lamp", "image": "theirs"}]}}}});
    stage.edit::<StatefulSet>("x", edit).await;
    let stage = Stage::with(stage.end().await, temporal_stack_common::process::Scope::Cluster);
    time_passes(60).await;
    assert_eq!(container(&stage, "statefulsets"), json!({"name": "lamp", "image": "lamp"}));
}

#[tokio::test(start_paused = true)]
async fn template_waits_when_its_set_is_recreated() {
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
async fn workload_of_an_earlier_version_keeps_its_template() {
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
async fn changed_roll_annotation_restarts_pods() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "roll": "1", "part": "10Gi"})).await;
    stage.pod("x", 0).await;
    stage.edit::<Pod>("x-0", json!({"metadata": {"annotations": {"roll.temporal-stack.dev/part": "10Gi"}}})).await;
    stage.edit_spec("x", json!({"part": "20Gi", "memory": "1Gi"})).await;
    stage.until_deleted("x-0").await;
    assert_eq!(container(&stage, "statefulsets")["resources"]["limits"]["memory"], "1Gi");
    assert_eq!(stage.condition("x", "RestartPending"), None);
}

#[tokio::test(start_paused = true)]
async fn configuration_of_pods_waits_with_their_template() {
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
