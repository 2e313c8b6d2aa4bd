//! Which fields are applied, and when.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Service},
};
use serde_json::json;
use temporal_stack_common::api::label;

use crate::{
    lamp::Lamp,
    stage::{NAMESPACE, Stage, time_passes},
};

#[tokio::test(start_paused = true)]
async fn children_are_created_in_the_order_of_the_manifests() {
    let stage = Stage::new();
    stage.ready("x", json!({"spare": true})).await;
    let made = ["create secrets/x-key", "create configmaps/x", "create statefulsets/x", "create configmaps/x-spare"];
    assert_eq!(stage.api.writes(), made);
}

#[tokio::test(start_paused = true)]
async fn pass_over_an_unchanged_object_makes_no_request() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    stage.look_again("x").await;
    let before = stage.api.calls().len();
    stage.look_again("x").await;
    time_passes(1800).await;
    assert_eq!(stage.api.calls()[before..], []);
}

#[tokio::test(start_paused = true)]
async fn new_leader_finds_nothing_to_do() {
    let stage = Stage::new();
    stage.ready("x", json!({"memory": "1Gi"})).await;
    let api = stage.end().await;
    let before = api.calls().len();
    let stage = Stage::with(api, temporal_stack_common::process::Scope::Cluster);
    time_passes(60).await;
    assert!(stage.product().used > 0);
    assert_eq!(stage.api.calls()[before..], []);
}

#[tokio::test(start_paused = true)]
async fn field_removed_from_the_intent_disappears() {
    let stage = Stage::new();
    stage.ready("x", json!({"colour": "red", "shade": "dark"})).await;
    assert_eq!(stage.object("configmaps", "x")["data"], json!({"colour": "red", "shade": "dark"}));
    stage.edit_spec("x", json!({"shade": null})).await;
    stage.until_ready("x").await;
    assert_eq!(stage.object("configmaps", "x")["data"], json!({"colour": "red"}));
}

#[tokio::test(start_paused = true)]
async fn foreign_edit_is_undone_and_foreign_fields_are_kept() {
    let stage = Stage::new();
    stage.ready("x", json!({"colour": "red"})).await;
    let before = stage.api.writes().len();
    stage.edit::<ConfigMap>("x", json!({"data": {"colour": "blue", "theirs": "1"}})).await;
    time_passes(600).await;
    assert_eq!(stage.object("configmaps", "x")["data"], json!({"colour": "red", "theirs": "1"}));
    // The posted fields become applied ones, then the object is applied.
    assert_eq!(stage.api.writes()[before..], ["patch configmaps/x", "patch configmaps/x"]);

    stage.edit::<ConfigMap>("x", json!({"data": {"theirs": "2"}})).await;
    time_passes(600).await;
    assert_eq!(stage.object("configmaps", "x")["data"]["theirs"], "2");
    assert_eq!(stage.api.writes().len(), before + 2);
}

#[tokio::test(start_paused = true)]
async fn addition_to_an_atomic_list_is_undone() {
    let stage = Stage::new();
    stage.make("x", json!({"replicas": 1, "served": true})).await;
    time_passes(10).await;
    stage.pod("x", 0).await;
    stage.until_ready("x").await;
    let intended = stage.object("services", "x")["spec"]["selector"].clone();
    // Once while its fields are posted ones, and again when they are applied ones.
    for _ in 0..2 {
        let before = stage.api.writes().len();
        stage.edit::<Service>("x", json!({"spec": {"selector": {"off": "1"}}})).await;
        time_passes(600).await;
        assert_eq!(stage.object("services", "x")["spec"]["selector"], intended);
        assert!(stage.api.writes().len() > before);
        let after = stage.api.writes().len();
        stage.look_again("x").await;
        assert_eq!(stage.api.writes().len(), after);
    }
}

#[tokio::test(start_paused = true)]
async fn value_that_another_manager_put_back_is_owned_again() {
    let stage = Stage::new();
    stage.ready("x", json!({"colour": "red"})).await;
    stage.api.hold_watches("configmaps");
    stage.edit::<ConfigMap>("x", json!({"data": {"colour": "blue"}})).await;
    stage.edit::<ConfigMap>("x", json!({"data": {"colour": "red"}})).await;
    stage.api.release_watches();
    time_passes(60).await;
    let owners = stage.object("configmaps", "x")["metadata"]["managedFields"].to_string();
    assert!(!owners.contains("somebody") || owners.contains(r#""manager":"lamps","operation":"Apply""#), "{owners}");
    let before = stage.api.writes().len();
    stage.look_again("x").await;
    assert_eq!(stage.api.writes().len(), before);
}

#[tokio::test(start_paused = true)]
async fn normalised_quantity_is_applied_once() {
    let stage = Stage::new();
    stage.api.admit("statefulsets", |set| {
        let memory = &mut set["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"];
        if memory == "2048Mi" {
            *memory = json!("2Gi");
        }
    });
    stage.ready("x", json!({"memory": "2048Mi"})).await;
    stage.look_again("x").await;
    assert_eq!(stage.api.writes().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn rewritten_value_is_applied_once() {
    let stage = Stage::new();
    stage.api.admit("configmaps", |map| map["data"]["colour"] = json!("normalised"));
    stage.ready("x", json!({"colour": "red"})).await;
    time_passes(600).await;
    // Created, found to differ, applied (which takes over the posted fields), and then left unchanged.
    let map: Vec<_> = stage.api.writes().into_iter().filter(|write| write.ends_with("configmaps/x")).collect();
    assert_eq!(map, ["create configmaps/x", "patch configmaps/x", "patch configmaps/x"]);
}

#[tokio::test(start_paused = true)]
async fn unwanted_child_is_deleted() {
    let stage = Stage::new();
    stage.ready("x", json!({"spare": true})).await;
    stage.edit_spec("x", json!({"spare": false})).await;
    stage.until_ready("x").await;
    assert!(stage.object("configmaps", "x-spare").is_null());
    assert_eq!(stage.api.writes().last().unwrap(), "delete configmaps/x-spare");
    let body = stage.api.calls().into_iter().rfind(|call| call.verb.as_str() == "delete").unwrap().body;
    assert!(body["preconditions"]["uid"].is_string() && body["preconditions"]["resourceVersion"].is_string(), "{body}");
}

#[tokio::test(start_paused = true)]
async fn absent_manifest_is_deleted_in_its_turn() {
    let stage = Stage::new();
    stage.ready("x", json!({"spare": true})).await;
    stage.edit_spec("x", json!({"spare": false, "tidy": true})).await;
    stage.until_ready("x").await;
    assert!(stage.object("configmaps", "x-spare").is_null());
    let deleted = stage.api.writes().into_iter().filter(|write| write.starts_with("delete")).collect::<Vec<_>>();
    assert_eq!(deleted, ["delete configmaps/x-spare"]);
}

#[tokio::test(start_paused = true)]
async fn foreign_object_with_our_labels_is_not_deleted() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    stage.config_map("theirs", json!({})).await;
    let labels = json!({label::MANAGED_BY: label::STACK, label::COMPONENT: "lamps", label::INSTANCE: "x"});
    stage.edit::<ConfigMap>("theirs", json!({"metadata": {"labels": labels}})).await;
    stage.look_again("x").await;
    assert!(stage.object("configmaps", "theirs").is_object());
    assert_eq!(stage.api.writes().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn deleted_child_is_recreated() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    stage.delete::<ConfigMap>("x").await;
    stage.api.until("the ConfigMap", |api| api.get("configmaps", NAMESPACE, "x")).await;
    stage.until_ready("x").await;
}

#[tokio::test(start_paused = true)]
async fn removed_labels_of_a_child_are_restored() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    let before = stage.api.calls().len();
    stage.edit::<ConfigMap>("x", json!({"metadata": {"labels": {label::INSTANCE: null}}})).await;
    time_passes(60).await;
    assert_eq!(stage.object("configmaps", "x")["metadata"]["labels"][label::INSTANCE], "x");
    assert_eq!(stage.reason("x").as_deref(), Some("Verified"));
    assert!(stage.api.calls().len() < before + 12, "{:#?}", &stage.api.calls()[before..]);
}

#[tokio::test(start_paused = true)]
async fn unseen_replacement_of_a_child_is_not_written_to() {
    for posted in [true, false] {
        let stage = Stage::new();
        stage.ready("x", json!({"colour": "red"})).await;
        if !posted {
            stage.edit_spec("x", json!({"colour": "green"})).await;
            stage.until_ready("x").await;
        }
        stage.api.hold_watches("configmaps");
        stage.delete::<ConfigMap>("x").await;
        stage.config_map("x", json!({"theirs": "1"})).await;
        let theirs = stage.object("configmaps", "x");
        stage.edit_spec("x", json!({"colour": "blue"})).await;
        time_passes(60).await;
        assert_eq!(stage.object("configmaps", "x"), theirs);
        stage.api.release_watches();
        stage.until_reason("x", "NameTaken").await;
        assert_eq!(stage.object("configmaps", "x"), theirs);
    }
}

#[tokio::test(start_paused = true)]
async fn changed_immutable_field_recreates_only_the_object() {
    let stage = Stage::new();
    stage.ready("x", json!({"service": "one", "replicas": 1})).await;
    stage.pod("x", 0).await;
    let before = stage.api.writes().len();
    stage.edit_spec("x", json!({"service": "two"})).await;
    stage
        .api
        .until("the new set", |api| {
            let set = api.get("statefulsets", NAMESPACE, "x")?;
            (set["spec"]["serviceName"] == "two").then_some(())
        })
        .await;
    time_passes(30).await;
    assert_eq!(stage.api.writes()[before..], ["delete statefulsets/x", "create statefulsets/x"]);
    assert!(stage.object("pods", "x-0").is_object());
    assert_eq!(stage.object("pods", "x-0")["metadata"]["ownerReferences"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn deletion_is_requested_once_while_the_watch_is_behind() {
    let stage = Stage::new();
    stage.ready("x", json!({"spare": true})).await;
    stage.api.hold_watches("configmaps");
    let before = stage.api.writes().len();
    stage.edit_spec("x", json!({"spare": false})).await;
    time_passes(600).await;
    assert_eq!(stage.api.writes()[before..], ["delete configmaps/x-spare"]);
}

#[tokio::test(start_paused = true)]
async fn write_on_a_stale_cache_is_not_repeated_at_once() {
    let stage = Stage::new();
    stage.ready("x", json!({"spare": true})).await;
    stage.api.hold_watches("configmaps");
    stage.edit::<ConfigMap>("x-spare", json!({"data": {"theirs": "1"}})).await;
    let before = stage.api.writes().len();
    stage.edit_spec("x", json!({"spare": false})).await;
    time_passes(60).await;
    assert!(stage.api.writes().len() < before + 12, "{:?}", stage.api.writes());
    stage.api.release_watches();
    stage.until_ready("x").await;
    assert!(stage.object("configmaps", "x-spare").is_null());
}

#[tokio::test(start_paused = true)]
async fn terminating_child_is_awaited_and_recreated() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    stage.edit::<StatefulSet>("x", json!({"metadata": {"finalizers": ["somebody/waits"]}})).await;
    time_passes(30).await;
    stage.delete::<StatefulSet>("x").await;
    stage.until_reason("x", "Applying").await;
    assert!(stage.condition("x", "Ready").unwrap()["message"].as_str().unwrap().contains("StatefulSet/x"));
    stage.edit::<StatefulSet>("x", json!({"metadata": {"finalizers": []}})).await;
    stage.until_ready("x").await;
    assert_eq!(stage.api.writes().last().unwrap(), "create statefulsets/x");
}

#[tokio::test(start_paused = true)]
async fn object_being_deleted_is_not_written() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    stage.edit::<Lamp>("x", json!({"metadata": {"finalizers": ["somebody/waits"]}})).await;
    stage.delete::<Lamp>("x").await;
    let before = stage.api.calls().len();
    stage.edit_spec("x", json!({"colour": "blue"})).await;
    stage.delete::<ConfigMap>("x").await;
    time_passes(600).await;
    assert_eq!(stage.api.calls()[before..], []);
}
