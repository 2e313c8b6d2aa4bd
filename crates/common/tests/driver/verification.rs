//! When the product is verified again, and that a paused object is not touched.

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use temporal_stack_common::api::annotation;

use crate::{
    lamp::Lamp,
    stage::{Stage, time_passes},
};

#[tokio::test(start_paused = true)]
async fn paused_object_is_reported_on_and_otherwise_left_alone() {
    let stage = Stage::new();
    stage.ready("x", json!({"colour": "red"})).await;
    let before = stage.api.writes().len();
    let paused =
        json!({"metadata": {"annotations": {annotation::PAUSED: "true"}}, "spec": {"colour": "blue", "say": "hi"}});
    stage.edit::<Lamp>("x", paused).await;
    stage.until_reason("x", "Paused").await;
    time_passes(1800).await;
    assert_eq!(stage.api.writes()[before..], [] as [&str; 0]);
    assert_eq!(stage.product().told, [] as [&str; 0]);
    assert_eq!(stage.condition("x", "Paused").unwrap()["status"], "True");
    stage.edit::<Lamp>("x", json!({"metadata": {"annotations": {annotation::PAUSED: null}}})).await;
    stage.until_ready("x").await;
    assert_eq!(stage.object("configmaps", "x")["data"]["colour"], "blue");
    assert_eq!(stage.product().told, ["tell x hi"]);
}

#[tokio::test(start_paused = true)]
async fn foreign_annotation_on_a_child_triggers_no_verification() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    stage.look_again("x").await;
    let used = stage.product().used;
    let passes = stage.product().passes;
    for number in 0..5 {
        stage.edit::<ConfigMap>("x", json!({"metadata": {"annotations": {"scanner": number.to_string()}}})).await;
        time_passes(1).await;
    }
    assert!(stage.product().passes > passes, "the driver did not look");
    assert_eq!(stage.product().used, used);
}

#[tokio::test(start_paused = true)]
async fn changed_content_of_a_child_triggers_a_verification() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1})).await;
    stage.look_again("x").await;
    let used = stage.product().used;
    stage.pod("x", 0).await;
    time_passes(10).await;
    assert!(stage.product().used > used);
}

#[tokio::test(start_paused = true)]
async fn paused_object_is_never_used() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    stage.edit::<Lamp>("x", json!({"metadata": {"annotations": {annotation::PAUSED: "true"}}})).await;
    let used = stage.product().used;
    time_passes(1800).await;
    assert_eq!(stage.product().used, used);
    assert_eq!(stage.reason("x").as_deref(), Some("Verified"), "the verdict about this very state stands");
    stage.edit::<Lamp>("x", json!({"metadata": {"annotations": {annotation::PAUSED: null}}})).await;
    time_passes(10).await;
    assert!(stage.product().used > used, "it is used again when it is no longer paused");
}

#[tokio::test(start_paused = true)]
async fn paused_object_that_was_never_used_is_not_ready() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    stage.edit::<Lamp>("x", json!({"metadata": {"annotations": {annotation::PAUSED: "true"}}})).await;
    time_passes(10).await;
    let api = stage.end().await;
    let stage = Stage::with(api, temporal_stack_common::process::Scope::Cluster);
    stage.until_reason("x", "Paused").await;
    assert_eq!(stage.product().used, 0);
}
