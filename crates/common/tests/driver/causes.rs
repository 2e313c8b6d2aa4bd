//! Why children are not ready: the message of the refusing party.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{Event, Pod},
};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::stage::{Stage, time_passes};

const WORDS: &str = "must specify limits.cpu for: lamp";

/// A workload that could create no pod, or only one, with an event about it.
async fn refused(stage: &Stage, uid: &Value, name: &str, reason: &str, message: &str, time: &str) {
    let event = json!({
        "metadata": {"name": name},
        "involvedObject": {"uid": uid},
        "reason": reason,
        "message": message,
        "lastTimestamp": time,
    });
    let event: Event = serde_json::from_value(event).unwrap();
    stage.others::<Event>().create(&PostParams::default(), &event).await.unwrap();
}

async fn without_pods(stage: &Stage) {
    let status = json!({"status": {"replicas": 0, "readyReplicas": 0}});
    let sets = stage.others::<StatefulSet>();
    sets.patch_status("x", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

fn message(stage: &Stage) -> String {
    stage.condition("x", "Ready").unwrap()["message"].as_str().unwrap().to_owned()
}

fn lists(stage: &Stage) -> usize {
    stage.api.lists("events")
}

#[tokio::test(start_paused = true)]
async fn set_that_cannot_create_pods_reports_the_refusal() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1})).await;
    assert_eq!(lists(&stage), 0);
    let words =
        format!("create Pod x-0 in StatefulSet x failed error: pods \"x-0\" is forbidden: failed quota: q: {WORDS}");
    let uid = stage.object("statefulsets", "x")["metadata"]["uid"].clone();
    refused(&stage, &uid, "a", "FailedCreate", &words, "2026-01-01T00:00:00Z").await;
    without_pods(&stage).await;
    stage.until_reason("x", "ChildrenNotReady").await;
    let told = message(&stage);
    for part in ["StatefulSet/x", "0 of 1 pods ready", WORDS, "set spec.light.limits.cpu"] {
        assert!(told.contains(part), "{told}");
    }
    let before = lists(&stage);
    time_passes(600).await;
    assert!((20..=61).contains(&(lists(&stage) - before)), "at most once in ten seconds");

    refused(&stage, &uid, "b", "SuccessfulCreate", "create Pod x-0 successful", "2026-01-01T00:00:09Z").await;
    time_passes(60).await;
    assert!(!message(&stage).contains(WORDS), "{}", message(&stage));
}

#[tokio::test(start_paused = true)]
async fn list_of_events_over_its_limit_is_not_read() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1})).await;
    let uid = stage.object("statefulsets", "x")["metadata"]["uid"].clone();
    refused(&stage, &uid, "a", "FailedCreate", WORDS, "2026-01-01T00:00:00Z").await;
    let flood = "x".repeat(1 << 20);
    refused(&stage, &uid, "b", "Noise", &flood, "2026-01-01T00:00:01Z").await;
    without_pods(&stage).await;
    stage.until_reason("x", "ChildrenNotReady").await;
    let before = lists(&stage);
    time_passes(600).await;
    assert!(!message(&stage).contains(WORDS), "{}", message(&stage));
    assert!((1..=61).contains(&(lists(&stage) - before)), "a failed list is retried at most once in ten seconds");
    assert!(message(&stage).contains("0 of 1 pods ready"), "{}", message(&stage));
}

#[tokio::test(start_paused = true)]
async fn pod_without_its_secret_reports_the_kubelets_event() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1})).await;
    stage.unready_pod("x", 0).await;
    let waiting = json!({
        "name": "lamp", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ContainerCreating"}},
    });
    let status = json!({"status": {"containerStatuses": [waiting]}});
    stage.others::<Pod>().patch_status("x-0", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    let uid = stage.object("pods", "x-0")["metadata"]["uid"].clone();
    let event = json!({
        "metadata": {"name": "a"}, "involvedObject": {"uid": uid}, "type": "Warning", "reason": "FailedMount",
        "message": "MountVolume.SetUp failed for volume \"key\": secret \"x-key\" not found",
    });
    let event: Event = serde_json::from_value(event).unwrap();
    stage.others::<Event>().create(&PostParams::default(), &event).await.unwrap();
    let status = json!({"status": {"readyReplicas": 0}});
    let sets = stage.others::<StatefulSet>();
    sets.patch_status("x", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    stage.until_reason("x", "ChildrenNotReady").await;
    time_passes(30).await;
    assert!(message(&stage).contains("Pod/x-0 does not start: MountVolume.SetUp failed"), "{}", message(&stage));
}

#[tokio::test(start_paused = true)]
async fn events_that_cannot_be_read_fail_no_pass() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1})).await;
    stage.api.fail_next(temporal_stack_common::process::client::Verb::List, "events", 403);
    without_pods(&stage).await;
    stage.until_reason("x", "ChildrenNotReady").await;
    assert!(message(&stage).contains("0 of 1 pods ready"));
}

#[tokio::test(start_paused = true)]
async fn every_child_that_lacks_pods_is_named() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "deployed": true})).await;
    let failure =
        json!({"type": "ReplicaFailure", "status": "True", "message": format!("pods \"x-1-2\" is forbidden: {WORDS}")});
    let status = json!({"status": {"replicas": 0, "readyReplicas": 0, "updatedReplicas": 0, "conditions": [failure]}});
    let deployments = stage.others::<Deployment>();
    deployments.patch_status("x", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    without_pods(&stage).await;
    time_passes(60).await;
    let told = message(&stage);
    for part in ["StatefulSet/x: 0 of 1", "Deployment/x: 0 of 1", WORDS] {
        assert!(told.contains(part), "{told}");
    }
}

/// The API server's answer, the resulting reason, and a part of the message.
async fn child_refused(code: u16, answer: &str, parts: &[&str]) {
    let stage = Stage::new();
    for _ in 0..3 {
        stage.api.refuse_next("configmaps", code, answer);
    }
    stage.make("x", json!({"replicas": 1})).await;
    stage.until_reason("x", "ChildRefused").await;
    let told = message(&stage);
    for part in ["ConfigMap/x", answer].iter().chain(parts) {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(stage.condition("x", "Stalled").unwrap()["reason"], "ChildRefused");
    assert_ne!(stage.object("secrets", "x-key"), Value::Null, "what comes before is made");
    // The set mounts the refused object.
    assert_eq!(stage.object("statefulsets", "x"), Value::Null);
    stage.until_ready("x").await;
}

#[tokio::test(start_paused = true)]
async fn forbidden_child_is_named_with_the_answer() {
    child_refused(403, "exceeded quota: team, requested: count/configmaps=1", &["raise ResourceQuota/team"]).await;
}

#[tokio::test(start_paused = true)]
async fn invalid_child_is_named_with_the_answer() {
    child_refused(422, "metadata.annotations: Invalid value: \"a b\"", &["correct the field"]).await;
}

#[tokio::test(start_paused = true)]
async fn child_denied_by_a_webhook_is_named_with_the_answer() {
    child_refused(400, "admission webhook \"w\" denied the request: no", &["comply with that policy"]).await;
}

#[tokio::test(start_paused = true)]
async fn child_with_an_absent_webhook_is_named_with_the_answer() {
    let words = "Internal error occurred: failed calling webhook \"w\": connection refused";
    child_refused(500, words, &["restore that webhook"]).await;
}

#[tokio::test(start_paused = true)]
async fn job_that_cannot_create_pods_reports_the_refusal() {
    let stage = Stage::new();
    stage.make("x", json!({"replicas": 1, "lit": true})).await;
    stage.api.until("the Job", |_| (stage.object("jobs", "x") != Value::Null).then_some(())).await;
    let words = format!("Error creating: pods \"x-abcde\" is forbidden: failed quota: q: {WORDS}");
    let uid = stage.object("jobs", "x")["metadata"]["uid"].clone();
    refused(&stage, &uid, "a", "FailedCreate", &words, "2026-01-01T00:00:00Z").await;
    stage.until_reason("x", "Preparing").await;
    time_passes(30).await;
    let told = message(&stage);
    for part in [WORDS, "set spec.light.limits.cpu"] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!told.contains("x-abcde"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn children_beside_a_refused_one_are_still_written() {
    let stage = Stage::new();
    for _ in 0..3 {
        stage.api.refuse_next("poddisruptionbudgets", 403, "exceeded quota: team");
    }
    stage.make("x", json!({"replicas": 1, "guarded": true})).await;
    stage.until_reason("x", "ChildRefused").await;
    assert_ne!(stage.object("configmaps", "x"), Value::Null);
    assert_ne!(stage.object("statefulsets", "x"), Value::Null);
}

#[tokio::test(start_paused = true)]
async fn lasting_refusal_is_retried_with_backoff() {
    let stage = Stage::new();
    for _ in 0..100 {
        stage.api.refuse_next("configmaps", 403, "exceeded quota: team");
    }
    stage.make("x", json!({})).await;
    stage.until_reason("x", "ChildRefused").await;
    let tries = || stage.api.writes().iter().filter(|write| *write == "create configmaps/x").count();
    let before = tries();
    time_passes(900).await;
    assert!((4..=14).contains(&(tries() - before)), "{} tries in a quarter of an hour", tries() - before);
}
