//! The driver with this component, on an API server in memory: a cluster of CloudNativePG from its creation to its adoption.

mod moving;

use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    driver,
    process::{Control, Process, Requests, Scope},
    testkit::FakeApi,
};

use super::*;
use crate::{Database, fixture::defaults};

const CLUSTER: &str = "temporal-postgresdatabase";
const FINALIZER: &str = "temporal-stack.dev/postgresdatabases";
const SILENT: &str = "Internal error occurred: failed calling webhook \"mcluster.cnpg.io\": connection refused";

/// A driver that leads, and the handle that ends it.
fn start() -> (FakeApi, Control) {
    let api = FakeApi::new();
    let control = drive(&api);
    (api, control)
}

/// The same on this API server.
fn drive(api: &FakeApi) -> Control {
    let (process, control) = Process::new(COMPONENT, api.client(), Scope::Cluster, Requests::default());
    tokio::spawn(driver::run(Database::new(defaults()), process));
    control.lead();
    control
}

fn objects<K: Resource<DynamicType = ()>>(api: &FakeApi) -> Api<DynamicObject> {
    Api::namespaced_with(api.others(), "a", &ApiResource::erase::<K>(&()))
}

async fn make(api: &FakeApi, policy: &str) {
    let object = json!({
        "apiVersion": "temporal-stack.dev/v1alpha1", "kind": "PostgresDatabase", "metadata": {"name": "temporal"},
        "spec": {"provider": {"cloudNativePg": {}}, "deletionPolicy": policy},
    });
    let object = serde_json::from_value(object).unwrap();
    objects::<PostgresDatabase>(api).create(&PostParams::default(), &object).await.unwrap();
}

fn cluster(api: &FakeApi) -> Option<Value> {
    api.get("clusters", "a", CLUSTER)
}

fn object(api: &FakeApi) -> Option<Value> {
    api.get("postgresdatabases", "a", "temporal")
}

/// Waits until the object is not Ready for this reason, and returns the message.
async fn until_not_ready(api: &FakeApi, reason: &str) -> String {
    api.until(reason, |api| {
        let object = object(api)?;
        let conditions = object["status"]["conditions"].as_array()?.iter();
        let ready = conditions.clone().find(|condition| condition["type"] == "Ready")?;
        (ready["reason"] == reason).then(|| ready["message"].as_str().unwrap_or_default().to_owned())
    })
    .await
}

async fn report_healthy(api: &FakeApi) {
    let status = json!({"status": {
        "phase": "Cluster in healthy state", "instances": 3, "readyInstances": 3,
        "currentPrimary": "temporal-postgresdatabase-1", "targetPrimary": "temporal-postgresdatabase-1",
    }});
    let params = PatchParams::default();
    objects::<Cluster>(api).patch_status(CLUSTER, &params, &Patch::Merge(status)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn cluster_is_created_when_the_webhook_answers() {
    let (api, _control) = start();
    api.refuse_next("clusters", 500, SILENT);
    make(&api, "Retain").await;
    let message = until_not_ready(&api, "OperatorNotReady").await;
    assert!(message.contains("connection refused") && message.contains("kubectl get pods -A"), "{message}");
    api.until("the cluster", cluster).await;
    until_not_ready(&api, "ClusterPending").await;
}

#[tokio::test(start_paused = true)]
async fn generation_is_recorded_some_seconds_after_the_status_is_healthy() {
    let (api, _control) = start();
    make(&api, "Retain").await;
    api.until("the cluster", cluster).await;
    report_healthy(&api).await;
    let recorded = api.until("the generation", |api| {
        let recorded = object(api)?["status"]["cluster"].clone();
        recorded["generation"].is_i64().then_some(recorded)
    });
    let recorded = recorded.await;
    let cluster = cluster(&api).unwrap();
    assert_eq!(recorded["generation"], cluster["metadata"]["generation"]);
    assert_eq!(recorded["uid"], cluster["metadata"]["uid"]);
}

#[tokio::test(start_paused = true)]
async fn retained_cluster_is_hibernated_and_woken_by_the_next_object() {
    let (api, _control) = start();
    make(&api, "Retain").await;
    let before = api.until("the cluster", cluster).await;
    assert_eq!(before["metadata"].get("ownerReferences"), None);
    assert_eq!(object(&api).unwrap()["metadata"]["finalizers"], json!([FINALIZER]));
    until_not_ready(&api, "ClusterPending").await;
    objects::<PostgresDatabase>(&api).delete("temporal", &DeleteParams::default()).await.unwrap();
    api.until("its end", |api| object(api).is_none().then_some(())).await;
    let retained = cluster(&api).unwrap();
    assert_eq!(retained["metadata"]["annotations"][HIBERNATION], "on");
    assert_eq!(
        retained["metadata"]["annotations"][HIBERNATED],
        retained["metadata"]["annotations"]["temporal-stack.dev/owner"]
    );

    make(&api, "Retain").await;
    let is_awake = |api: &FakeApi| {
        let cluster = cluster(api)?;
        let annotations = &cluster["metadata"]["annotations"];
        (annotations.get(HIBERNATION).is_none() && annotations.get(HIBERNATED).is_none()).then_some(cluster)
    };
    let adopted = api.until("the adopted cluster", is_awake).await;
    assert_eq!(adopted["metadata"]["uid"], before["metadata"]["uid"]);
    let owner = object(&api).unwrap()["metadata"]["uid"].clone();
    assert_eq!(adopted["metadata"]["annotations"]["temporal-stack.dev/owner"], owner);
}

#[tokio::test(start_paused = true)]
async fn cluster_under_delete_has_an_owner_and_no_finalizer_waits() {
    let (api, _control) = start();
    make(&api, "Delete").await;
    let cluster = api.until("the cluster", cluster).await;
    assert_eq!(cluster["metadata"]["ownerReferences"][0]["kind"], "PostgresDatabase");
    assert_eq!(object(&api).unwrap()["metadata"].get("finalizers"), None);
}
