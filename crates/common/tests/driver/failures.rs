//! Failures, and the work that continues in spite of them.

use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::json;
use temporal_stack_common::process::client::Verb;
use tokio::time::Instant;

use crate::stage::{Stage, time_passes};

#[tokio::test(start_paused = true)]
async fn refused_request_is_reported_and_retried() {
    let stage = Stage::new();
    stage.api.fail_next(Verb::Create, "configmaps", 500);
    stage.make("x", json!({})).await;
    stage.until_reason("x", "ReconcileError").await;
    let message = stage.condition("x", "Ready").unwrap()["message"].to_string();
    assert!(message.contains("create ConfigMap/x"), "{message}");
    stage.until_ready("x").await;
}

#[tokio::test(start_paused = true)]
async fn failed_write_to_the_product_is_retried() {
    let stage = Stage::new();
    stage.product().deaf.push("x".to_owned());
    stage.make("x", json!({"say": "hi"})).await;
    stage.until_reason("x", "ReconcileError").await;
    let message = stage.condition("x", "Ready").unwrap()["message"].to_string();
    assert!(message.contains("could not tell x hi: the product is deaf"), "{message}");
    stage.product().deaf.clear();
    stage.until_ready("x").await;
    assert_eq!(stage.product().told, ["tell x hi"]);
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_while_other_objects_go_on() {
    let stage = Stage::new();
    stage.product().deaf.push("x".to_owned());
    stage.make("x", json!({"say": "hi"})).await;
    stage.until_reason("x", "ReconcileError").await;
    let before = stage.product().passes;
    time_passes(900).await;
    // 2, 4, 8, … 256, 300 s, each up to a fifth less.
    let passes = stage.product().passes - before;
    assert!((8..=14).contains(&passes), "{passes} passes in a quarter of an hour");

    let start = Instant::now();
    stage.ready("y", json!({"say": "hi"})).await;
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn status_of_a_lasting_failure_is_written_once() {
    let stage = Stage::new();
    stage.product().deaf.push("x".to_owned());
    stage.make("x", json!({"say": "hi"})).await;
    stage.until_reason("x", "ReconcileError").await;
    time_passes(10).await;
    let before = stage.api.calls().len();
    time_passes(1800).await;
    assert_eq!(stage.api.calls()[before..], []);
}

#[tokio::test(start_paused = true)]
async fn unparsable_object_is_reported_and_others_go_on() {
    let stage = Stage::new();
    stage.make("bad", json!({"replicas": "many"})).await;
    stage.until_reason("bad", "Unparsable").await;
    let stalled = stage.condition("bad", "Stalled").unwrap();
    assert!(stalled["message"].as_str().unwrap().contains("many"), "{stalled}");
    stage.ready("good", json!({})).await;
    let before = stage.api.calls().len();
    time_passes(1800).await;
    assert_eq!(stage.api.calls()[before..], []);

    stage.edit_spec("bad", json!({"replicas": 0})).await;
    stage.until_ready("bad").await;
    assert_eq!(stage.condition("bad", "Stalled"), None);
}

#[tokio::test(start_paused = true)]
async fn oversized_object_is_reported() {
    let stage = Stage::new();
    stage.make("large", json!({"colour": "x".repeat(100_000)})).await;
    stage.until_reason("large", "Unparsable").await;
    let stalled = stage.condition("large", "Stalled").unwrap();
    let message = stalled["message"].as_str().unwrap();
    assert!(message.contains(" KiB exceed the limit of 64") && message.contains("ConfigMap"), "{message}");
    assert!(stage.object("configmaps", "large").is_null());
    stage.edit_spec("large", json!({"colour": "red"})).await;
    stage.until_ready("large").await;
}

#[tokio::test(start_paused = true)]
async fn terminating_namespace_is_no_failure() {
    let stage = Stage::new();
    stage.api.hold_watches("lamps");
    stage.make("x", json!({})).await;
    stage.api.terminate("a");
    stage.api.release_watches();
    time_passes(1800).await;
    let calls: Vec<_> = stage.api.calls().iter().map(ToString::to_string).collect();
    // The user's objects are read before any child is created.
    assert_eq!(calls, ["get configmaps/lamp-config", "create secrets/x-key"]);
}

#[tokio::test(start_paused = true)]
async fn unrecordable_event_fails_nothing() {
    let stage = Stage::new();
    for _ in 0..3 {
        stage.api.fail_next(Verb::Create, "events", 403);
    }
    stage.ready("x", json!({})).await;
    assert_eq!(stage.events("x").iter().filter(|event| *event == "ReconcileError").count(), 0);
}

#[tokio::test(start_paused = true)]
async fn failed_status_write_is_retried() {
    let stage = Stage::new();
    stage.api.fail_next(Verb::Patch, "lamps/status", 500);
    stage.api.fail_next(Verb::Patch, "lamps/status", 500);
    stage.ready("x", json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn child_with_an_unreported_deletion_is_recreated() {
    let stage = Stage::new();
    stage.ready("x", json!({"service": "a"})).await;
    let first = stage.object("statefulsets", "x")["metadata"]["uid"].clone();
    stage.edit::<StatefulSet>("x", json!({"metadata": {"finalizers": ["orphan"]}})).await;
    stage.edit_spec("x", json!({"service": "b"})).await;
    let is_leaving = |_: &temporal_stack_common::testkit::FakeApi| {
        stage.object("statefulsets", "x")["metadata"]["deletionTimestamp"].is_string().then_some(())
    };
    stage.api.until("the set to be on its way out", is_leaving).await;
    stage.api.hold_watches("statefulsets");
    stage.edit::<StatefulSet>("x", json!({"metadata": {"finalizers": null}})).await;
    let is_made_again = |_: &temporal_stack_common::testkit::FakeApi| {
        let uid = &stage.object("statefulsets", "x")["metadata"]["uid"];
        (uid.is_string() && *uid != first).then_some(())
    };
    stage.api.until("another set", is_made_again).await;
    stage.api.release_watches();
    stage.until_ready("x").await;
}
