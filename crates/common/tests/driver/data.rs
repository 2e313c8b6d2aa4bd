//! Data outlive their object: Secrets that are created once, kept, and adopted again.

use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use temporal_stack_common::{
    api::{annotation, label},
    process::client::Verb,
};

use crate::{
    lamp::Lamp,
    stage::{Stage, time_passes},
};

#[tokio::test(start_paused = true)]
async fn key_is_drawn_once_and_kept() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    let key = stage.object("secrets", "x-key")["data"]["key"].clone();
    assert_eq!(key.as_str().unwrap().len(), 44, "32 characters in base64");
    let seed = stage.object("secrets", "x-key")["data"]["seed"].clone();
    assert_eq!(seed.as_str().unwrap().len(), 88, "32 bytes as 64 characters in base64");
    stage.edit_spec("x", json!({"colour": "blue"})).await;
    stage.until_ready("x").await;
    assert_eq!(stage.object("secrets", "x-key")["data"], json!({"key": key, "seed": seed}));
}

#[tokio::test(start_paused = true)]
async fn edit_of_a_generated_secret_is_kept() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    stage.edit::<Secret>("x-key", json!({"data": {"key": "dGhlaXJz"}})).await;
    stage.look_again("x").await;
    assert_eq!(stage.object("secrets", "x-key")["data"]["key"], "dGhlaXJz");
    assert_eq!(stage.api.writes().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn two_objects_have_different_keys() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    stage.ready("y", json!({})).await;
    assert_ne!(stage.object("secrets", "x-key")["data"], stage.object("secrets", "y-key")["data"]);
}

#[tokio::test(start_paused = true)]
async fn retained_data_are_adopted_by_the_next_namesake() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    let key = stage.object("secrets", "x-key")["data"].clone();
    stage.delete::<Lamp>("x").await;
    stage.api.collect_garbage();
    assert!(stage.object("configmaps", "x").is_null());
    assert_eq!(stage.object("secrets", "x-key")["data"], key);

    stage.ready("x", json!({})).await;
    let secret = stage.object("secrets", "x-key");
    assert_eq!(secret["data"], key);
    assert_eq!(secret["metadata"]["annotations"][annotation::OWNER], stage.object("lamps", "x")["metadata"]["uid"]);
    assert_eq!(stage.events("x").iter().filter(|event| *event == "Adopted").count(), 1, "{:?}", stage.events("x"));
}

#[tokio::test(start_paused = true)]
async fn stale_cache_adopts_the_key_and_makes_no_second() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    let before = stage.api.calls().len();
    // The cache loses the Secret, as if it had not seen it yet.
    let secret = stage.object("secrets", "x-key");
    stage.edit::<Secret>("x-key", json!({"metadata": {"labels": {label::COMPONENT: null}}})).await;
    stage.api.hold_watches("secrets");
    let labels = secret["metadata"]["labels"].clone();
    stage.edit::<Secret>("x-key", json!({"metadata": {"labels": labels}})).await;
    stage.api.release_watches();
    time_passes(30).await;
    assert_eq!(stage.object("secrets", "x-key")["data"], secret["data"]);
    assert_eq!(stage.reason("x").as_deref(), Some("Verified"));
    assert!(stage.api.calls()[before..].iter().all(|call| call.verb != Verb::Delete));
}

#[tokio::test(start_paused = true)]
async fn conflict_before_the_watch_catches_up_is_read() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    let key = stage.object("secrets", "x-key")["data"].clone();
    stage.delete::<Lamp>("x").await;
    stage.api.collect_garbage();
    let api = stage.end().await;

    // A leader that starts before any object exists, and gets no event about a Secret.
    let labels = api.get("secrets", "a", "x-key").unwrap()["metadata"]["labels"].clone();
    api.hold_watches("secrets");
    let hidden = json!({"metadata": {"labels": {label::COMPONENT: null}}});
    let shown = json!({"metadata": {"labels": labels}});
    let secrets: kube::Api<Secret> = kube::Api::namespaced(api.others(), "a");
    let patch =
        async |patch| secrets.patch("x-key", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(patch)).await;
    patch(hidden).await.unwrap();
    let stage = Stage::with(api, temporal_stack_common::process::Scope::Cluster);
    time_passes(1).await;
    patch(shown).await.unwrap();
    let before = stage.api.calls().len();

    stage.make("x", json!({})).await;
    stage.until_ready("x").await;
    let about: Vec<_> =
        stage.api.calls()[before..].iter().filter(|call| call.resource == "secrets").map(ToString::to_string).collect();
    assert_eq!(about, ["create secrets/x-key", "get secrets/x-key", "patch secrets/x-key"]);
    assert_eq!(stage.object("secrets", "x-key")["data"], key);
}

#[tokio::test(start_paused = true)]
async fn foreign_object_is_not_changed_by_a_byte() {
    let stage = Stage::new();
    stage.foreign_secret("x-key").await;
    let before = stage.object("secrets", "x-key");
    stage.make("x", json!({})).await;
    stage.until_reason("x", "NameTaken").await;
    time_passes(600).await;
    assert_eq!(stage.object("secrets", "x-key"), before);
    assert!(stage.object("configmaps", "x").is_null());
    assert_eq!(stage.condition("x", "Stalled").unwrap()["status"], "True");
    assert!(stage.condition("x", "Stalled").unwrap()["message"].as_str().unwrap().contains("Secret/x-key"));

    stage.delete::<Secret>("x-key").await;
    stage.until_ready("x").await;
    assert_eq!(stage.condition("x", "Stalled"), None);
}

#[tokio::test(start_paused = true)]
async fn deletion_policy_decides_whether_data_have_an_owner() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    let owners = || stage.object("secrets", "x-key")["metadata"]["ownerReferences"].as_array().map_or(0, Vec::len);
    assert_eq!(owners(), 0);
    stage.edit_spec("x", json!({"deletionPolicy": "Delete"})).await;
    stage.until_ready("x").await;
    assert_eq!(owners(), 1);
    stage.edit_spec("x", json!({"deletionPolicy": "Retain"})).await;
    stage.until_ready("x").await;
    assert_eq!(owners(), 0);
    stage.edit_spec("x", json!({"deletionPolicy": "Delete"})).await;
    stage.until_ready("x").await;
    stage.delete::<Lamp>("x").await;
    stage.api.collect_garbage();
    assert!(stage.object("secrets", "x-key").is_null());
}

#[tokio::test(start_paused = true)]
async fn unwanted_data_are_kept_while_their_object_exists() {
    let stage = Stage::new();
    stage.ready("x", json!({"deletionPolicy": "Delete"})).await;
    stage.edit_spec("x", json!({"keyless": true})).await;
    stage.until_ready("x").await;
    time_passes(600).await;
    assert!(stage.object("secrets", "x-key").is_object());
}

#[tokio::test(start_paused = true)]
async fn foreign_owner_of_data_is_kept() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "theirs"});
    stage.edit::<Secret>("x-key", json!({"metadata": {"ownerReferences": [theirs]}})).await;
    for policy in ["Delete", "Retain"] {
        stage.edit_spec("x", json!({"deletionPolicy": policy})).await;
        stage.until_ready("x").await;
        let owners = stage.object("secrets", "x-key")["metadata"]["ownerReferences"].clone();
        assert!(owners.as_array().unwrap().contains(&theirs), "{policy}: {owners}");
    }
    let before = stage.api.writes().len();
    time_passes(600).await;
    assert_eq!(stage.api.writes().len(), before);
}

#[tokio::test(start_paused = true)]
async fn children_of_a_deleted_namesake_are_waited_for() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    stage.delete::<Lamp>("x").await;
    stage.make("x", json!({})).await;
    time_passes(30).await;
    assert_eq!(stage.reason("x").as_deref(), Some("Applying"));
    stage.api.collect_garbage();
    stage.until_ready("x").await;
}

#[tokio::test(start_paused = true)]
async fn volume_claim_of_a_set_is_adjusted_and_kept() {
    let stage = Stage::new();
    stage.ready("x", json!({"claim": "x-volume"})).await;
    assert!(stage.object("persistentvolumeclaims", "x-volume").is_null());
    let labels = json!({
        label::MANAGED_BY: label::STACK, label::COMPONENT: "lamps", label::INSTANCE: "x", label::DATA: "true",
    });
    stage.claim("x-volume", labels).await;
    time_passes(10).await;
    assert_eq!(stage.object("persistentvolumeclaims", "x-volume")["metadata"]["annotations"]["lamp"], "on");
    stage.edit_spec("x", json!({"claim": null})).await;
    stage.until_ready("x").await;
    assert!(stage.object("persistentvolumeclaims", "x-volume").is_object());
    assert_eq!(stage.api.writes().last().unwrap(), "patch persistentvolumeclaims/x-volume");
}

#[tokio::test(start_paused = true)]
async fn volume_claim_without_our_labels_is_left_alone() {
    let stage = Stage::new();
    stage.claim("x-volume", json!({})).await;
    let before = stage.object("persistentvolumeclaims", "x-volume");
    stage.make("x", json!({"claim": "x-volume"})).await;
    stage.until_reason("x", "NameTaken").await;
    assert_eq!(stage.object("persistentvolumeclaims", "x-volume"), before);
    assert_eq!(stage.api.writes(), [] as [&str; 0]);
}
