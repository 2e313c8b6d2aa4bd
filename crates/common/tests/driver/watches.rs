//! The events that start passes, and the namespaces that are watched.

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use serde_json::json;
use temporal_stack_common::{process::Scope, process::client::Verb, testkit::FakeApi};
use tokio::time::Instant;

use crate::{
    lamp::Lamp,
    stage::{Stage, time_passes},
};

fn two_namespaces() -> Scope {
    Scope::Namespaces(vec!["a".to_owned(), "b".to_owned()])
}

#[tokio::test(start_paused = true)]
async fn objects_of_several_namespaces_are_served_and_others_are_not() {
    let api = FakeApi::new();
    let here = Stage::with(api.clone(), two_namespaces());
    here.ready("x", json!({"colour": "red"})).await;
    let there = here.within("b");
    there.ready("x", json!({"colour": "blue"})).await;
    assert_eq!(there.object("configmaps", "x")["data"]["colour"], "blue");
    assert_eq!(api.get("configmaps", "a", "x").unwrap()["data"]["colour"], "red");
    let elsewhere = there.within("c");
    elsewhere.make("x", json!({})).await;
    time_passes(600).await;
    assert!(elsewhere.object("configmaps", "x").is_null());
}

#[tokio::test(start_paused = true)]
async fn deletion_in_one_namespace_keeps_the_namesake_elsewhere() {
    let api = FakeApi::new();
    let here = Stage::with(api.clone(), two_namespaces());
    here.ready("x", json!({})).await;
    let there = here.within("b");
    there.ready("x", json!({})).await;
    there.delete::<Lamp>("x").await;
    api.collect_garbage();
    let here = there.within("a");
    here.edit_spec("x", json!({"colour": "blue"})).await;
    here.until_ready("x").await;
    assert!(api.get("configmaps", "b", "x").is_none());
}

#[tokio::test(start_paused = true)]
async fn edit_is_acted_on_at_once() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    let start = Instant::now();
    for colour in ["red", "green", "blue"] {
        stage.edit_spec("x", json!({"colour": colour})).await;
        stage.until_ready("x").await;
        assert_eq!(stage.object("configmaps", "x")["data"]["colour"], colour);
    }
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn configuration_is_followed_when_it_comes_changes_and_goes() {
    let stage = Stage::new();
    stage.ready("x", json!({"colour": "red"})).await;
    let colour = || stage.object("configmaps", "x")["data"]["colour"].clone();
    stage.config_map("lamp-config", json!({"colour": "gold"})).await;
    time_passes(10).await;
    assert_eq!(colour(), "gold");
    stage.edit::<ConfigMap>("lamp-config", json!({"data": {"colour": "pink"}})).await;
    time_passes(10).await;
    assert_eq!(colour(), "pink");
    stage.delete::<ConfigMap>("lamp-config").await;
    time_passes(10).await;
    assert_eq!(colour(), "red");
}

#[tokio::test(start_paused = true)]
async fn configuration_written_before_the_object_counts() {
    let stage = Stage::new();
    stage.ready("before", json!({"plain": true})).await;
    stage.api.hold_watches("configmaps");
    stage.config_map("lamp-config", json!({"colour": "gold"})).await;
    stage.make("x", json!({"colour": "red"})).await;
    let colour = || stage.object("configmaps", "x")["data"]["colour"].clone();
    stage.api.until("the first write", |_| colour().is_string().then_some(())).await;
    assert_eq!(colour(), "gold");
    time_passes(5).await;
    assert_eq!(colour(), "gold");
    stage.api.release_watches();
    stage.until_ready("x").await;
    stage.delete::<ConfigMap>("lamp-config").await;
    time_passes(10).await;
    assert_eq!(colour(), "red");
}

#[tokio::test(start_paused = true)]
async fn standby_writes_nothing_and_leads_with_warm_caches() {
    let (stage, control) = Stage::standby(FakeApi::new());
    stage.make("x", json!({})).await;
    time_passes(600).await;
    assert_eq!(stage.api.calls(), []);
    control.lead();
    stage.until_ready("x").await;
}

#[tokio::test(start_paused = true)]
async fn missing_neighbour_kind_does_not_prevent_the_start() {
    let api = FakeApi::new();
    for _ in 0..3 {
        api.fail_next(Verb::List, "statefulsets", 404);
    }
    let stage = Stage::with(api, Scope::Cluster);
    stage.make("x", json!({})).await;
    let start = Instant::now();
    stage.api.until("the first write", |api| (!api.writes().is_empty()).then_some(())).await;
    assert!(start.elapsed().as_millis() < 500, "{:?}", start.elapsed());
    stage.until_ready("x").await;
}

/// A lamp's report about its neighbour.
async fn until_beside(stage: &Stage, said: &str) {
    let says = |_: &FakeApi| (stage.object("configmaps", "x")["data"]["beside"] == said).then_some(());
    stage.api.until(said, says).await;
}

#[tokio::test(start_paused = true)]
async fn changes_of_a_neighbour_are_noticed_at_once() {
    let stage = Stage::new();
    stage.ready("x", json!({"beside": "y"})).await;
    until_beside(&stage, "missing here").await;
    let service = |name: &str| serde_json::from_value::<Service>(json!({"metadata": {"name": name}})).unwrap();
    let start = Instant::now();
    let elsewhere: kube::Api<Service> = kube::Api::namespaced(stage.api.others(), "b");
    elsewhere.create(&kube::api::PostParams::default(), &service("y")).await.unwrap();
    stage.look_again("x").await;
    until_beside(&stage, "missing here").await;
    stage.others::<Service>().create(&kube::api::PostParams::default(), &service("y")).await.unwrap();
    until_beside(&stage, "y is there").await;
    stage.delete::<Service>("y").await;
    until_beside(&stage, "missing here").await;
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn absent_neighbour_kind_is_watched_when_it_appears() {
    let api = FakeApi::new();
    // Services are children of lamps, too.
    for _ in 0..2 {
        api.fail_next(Verb::List, "services", 404);
    }
    let stage = Stage::with(api, Scope::Cluster);
    stage.make("x", json!({"beside": "y"})).await;
    until_beside(&stage, "no kind").await;
    // The watch itself retries.
    until_beside(&stage, "missing here").await;
}
