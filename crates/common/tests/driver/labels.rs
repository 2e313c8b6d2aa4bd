//! Labels of pods that a set creates: the driver sets them while it owns them, and no other field of the pod.

use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{annotation, label},
    component::Component,
    driver,
    process::client::Verb,
    watches::{Child, Relation},
};

use crate::{
    lamp::Lamps,
    stage::{Stage, time_passes},
};

/// A lamp with a pod, in a room.
async fn in_the(room: &str) -> Stage {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "room": room})).await;
    stage.pod("x", 0).await;
    time_passes(10).await;
    stage
}

fn room(stage: &Stage) -> Value {
    stage.object("pods", "x-0")["metadata"]["labels"]["room"].clone()
}

fn writes(stage: &Stage) -> Vec<String> {
    stage.api.writes().into_iter().filter(|write| write.contains(" pods/")).collect()
}

#[tokio::test(start_paused = true)]
async fn label_is_set_once_when_the_pod_appears() {
    let stage = in_the("hall").await;
    assert_eq!(room(&stage), "hall");
    time_passes(600).await;
    stage.look_again("x").await;
    assert_eq!(writes(&stage), ["patch pods/x-0"]);
    assert_eq!(stage.reason("x").as_deref(), Some("Verified"));
}

#[tokio::test(start_paused = true)]
async fn only_the_label_of_a_pod_is_written() {
    let stage = in_the("hall").await;
    let uid = stage.object("pods", "x-0")["metadata"]["uid"].clone();
    let sent = stage.api.calls().into_iter().find(|call| call.verb == Verb::Patch && call.resource == "pods").unwrap();
    let metadata = json!({"name": "x-0", "uid": uid, "labels": {"room": "hall"}});
    assert_eq!(sent.body, json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata}));
    let notes = stage.object("pods", "x-0")["metadata"]["annotations"].clone();
    assert!(notes[annotation::INTENT].is_null() && notes[annotation::OWNER].is_null());
}

#[tokio::test(start_paused = true)]
async fn changed_or_removed_label_is_restored() {
    let stage = in_the("hall").await;
    for theirs in [json!("cellar"), Value::Null] {
        stage.edit::<Pod>("x-0", json!({"metadata": {"labels": {"room": theirs}}})).await;
        time_passes(10).await;
        assert_eq!(room(&stage), "hall");
    }
    assert_eq!(writes(&stage).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn changed_label_is_set_on_the_pod_and_its_successor() {
    let stage = in_the("hall").await;
    stage.edit_spec("x", json!({"room": "attic"})).await;
    stage.until_ready("x").await;
    assert_eq!(room(&stage), "attic");
    stage.delete::<Pod>("x-0").await;
    time_passes(10).await;
    stage.pod("x", 0).await;
    time_passes(10).await;
    assert_eq!(room(&stage), "attic");
    assert_eq!(writes(&stage).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn pod_with_the_right_labels_is_not_written_to() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1})).await;
    stage.pod("x", 0).await;
    stage.edit::<Pod>("x-0", json!({"metadata": {"labels": {"room": "hall"}}})).await;
    stage.edit_spec("x", json!({"room": "hall"})).await;
    stage.until_ready("x").await;
    stage.edit_spec("x", json!({"room": null})).await;
    stage.until_ready("x").await;
    time_passes(600).await;
    assert_eq!(writes(&stage), [] as [&str; 0]);
    assert_eq!(room(&stage), "hall");
}

#[tokio::test(start_paused = true)]
async fn pod_of_a_foreign_set_is_left_alone() {
    let stage = Stage::new();
    stage.ready("x", json!({"room": "hall"})).await;
    let labels = json!({label::MANAGED_BY: label::STACK, label::COMPONENT: "lamps", label::INSTANCE: "x"});
    let owner =
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "x", "uid": "theirs", "controller": true});
    for owners in [json!([owner]), json!([])] {
        let pod = json!({"metadata": {"name": "x-0", "labels": labels, "ownerReferences": owners}});
        let pod = serde_json::from_value(pod).unwrap();
        stage.others::<Pod>().create(&PostParams::default(), &pod).await.unwrap();
        time_passes(60).await;
        assert_eq!(room(&stage), Value::Null);
        stage.delete::<Pod>("x-0").await;
    }
    assert_eq!(writes(&stage), [] as [&str; 0]);
    assert_eq!(stage.reason("x").as_deref(), Some("Verified"));
}

#[tokio::test(start_paused = true)]
async fn terminating_pod_is_left_alone() {
    let stage = in_the("hall").await;
    stage.edit::<Pod>("x-0", json!({"metadata": {"finalizers": ["somebody/waits"]}})).await;
    stage.delete::<Pod>("x-0").await;
    stage.edit_spec("x", json!({"room": "attic"})).await;
    time_passes(60).await;
    assert_eq!(room(&stage), "hall");
}

#[test]
fn labelling_needs_patch_and_prunes_nothing() {
    let pods = Child::new::<Pod>(Relation::Restarted { labelled: true });
    assert!(!pods.is_owned());
    let rules = driver::rules::<Lamps>();
    let of_pods = rules.iter().find(|rule| rule.resources.as_deref() == Some(&["pods".to_owned()])).unwrap();
    assert_eq!(of_pods.verbs, ["delete", "list", "patch", "watch"]);
    assert_eq!(Lamps::watches().children.iter().filter(|child| child.is_owned()).count(), 7);
}
