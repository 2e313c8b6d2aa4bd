//! What one tenant writes at length does not keep the driver from serving others.

use serde_json::{Value, json};
use temporal_stack_common::{process::Scope, quota::Quota, testkit::FakeApi};

use crate::stage::{Stage, time_passes};

/// Lists within lists, more than a parser reads; and a long list, which takes ten times its text when it is parsed.
fn extend(lamp: &mut Value) {
    if lamp["metadata"]["name"] == "deep" {
        lamp["spec"]["extra"] = (0..300).fold(json!(0), |inner, _| json!([inner]));
    } else if lamp["metadata"]["name"] == "long" {
        lamp["spec"]["extra"] = json!(vec![0; 10_000]);
    }
}

#[tokio::test(start_paused = true)]
async fn object_of_any_depth_fails_neither_watch_nor_list() {
    let api = FakeApi::new();
    api.admit("lamps", extend);
    let stage = Stage::with(api, Scope::Cluster);
    stage.ready("before", json!({})).await;
    stage.ready("deep", json!({})).await;
    stage.ready("x", json!({})).await;
    // The next process begins with a list of them.
    let stage = Stage::with(stage.end().await, Scope::Cluster);
    stage.ready("y", json!({})).await;
    stage.edit_spec("deep", json!({"colour": "blue"})).await;
    stage.until_ready("deep").await;
    assert_eq!(stage.object("configmaps", "deep")["data"]["colour"], "blue");
}

#[tokio::test(start_paused = true)]
async fn object_of_many_values_is_reported_and_harms_no_other() {
    let api = FakeApi::new();
    api.admit("lamps", extend);
    let stage = Stage::with(api, Scope::Cluster);
    stage.make("long", json!({})).await;
    stage.until_reason("long", "Unparsable").await;
    let message = stage.condition("long", "Ready").unwrap()["message"].to_string();
    assert!(message.contains("spec does not parse") && message.contains("values"), "{message}");
    stage.ready("x", json!({})).await;
    assert!(stage.object("configmaps", "long").is_null());
}

#[tokio::test(start_paused = true)]
async fn shares_of_a_pass_are_those_of_its_namespace() {
    let stage = Stage::new();
    stage.product().quota = Some(Box::leak(Box::new(Quota::new(2, 1))));
    stage.product().hangs.push("x".to_owned());
    stage.make("x", json!({})).await;
    time_passes(5).await;
    stage.make("y", json!({})).await;
    stage.until_reason("y", "Preparing").await;
    stage.within("b").ready("z", json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn failed_action_is_named_in_few_words() {
    let stage = Stage::new();
    stage.product().deaf.push("x".to_owned());
    stage.make("x", json!({"say": "n".repeat(20_000)})).await;
    stage.until_reason("x", "ReconcileError").await;
    let message = stage.condition("x", "Ready").unwrap()["message"].to_string();
    assert!(message.contains("could not tell x nn") && message.len() < 500, "{message}");
}
