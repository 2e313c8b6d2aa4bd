//! The reads of the cluster that objects share.

use k8s_openapi::api::storage::v1::StorageClass;
use kube::{Api, api::PostParams};
use serde_json::json;
use temporal_stack_common::process::client::Verb;

use crate::stage::{Stage, time_passes};

async fn make_class(stage: &Stage, name: &str) {
    let class: StorageClass = serde_json::from_value(json!({"metadata": {"name": name}, "provisioner": "p"})).unwrap();
    Api::all(stage.api.others()).create(&PostParams::default(), &class).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn cluster_wide_reads_are_shared_by_all_objects() {
    let stage = Stage::new();
    make_class(&stage, "fast").await;
    stage.ready("x", json!({"class": "fast"})).await;
    stage.api.fail_next(Verb::List, "storageclasses", 500);
    stage.ready("y", json!({"class": "fast"})).await;
    assert_eq!(stage.events("y"), stage.events("x"));

    // A pass after an edit reads the current objects.
    stage.edit_spec("x", json!({"colour": "blue"})).await;
    stage.until_reason("x", "ReconcileError").await;
    stage.until_ready("x").await;
}

#[tokio::test(start_paused = true)]
async fn stale_shared_read_stalls_no_object() {
    let stage = Stage::new();
    make_class(&stage, "fast").await;
    stage.ready("x", json!({"class": "fast"})).await;
    time_passes(5).await;
    make_class(&stage, "new").await;
    stage.ready("y", json!({"class": "new"})).await;
    assert!(!stage.events("y").contains(&"StorageClassMissing".to_owned()), "{:?}", stage.events("y"));
}

#[tokio::test(start_paused = true)]
async fn remedy_in_the_cluster_is_noticed_soon() {
    let stage = Stage::new();
    stage.make("x", json!({"class": "fast"})).await;
    stage.until_reason("x", "StorageClassMissing").await;
    make_class(&stage, "fast").await;
    time_passes(31).await;
    assert_eq!(stage.reason("x").as_deref(), Some("Verified"));
}
