//! Stacks for tests, as kubectl prints them.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::component::{Component, Word};
use super::snapshot::Snapshot;
use crate::controllers;

/// Three minutes after everything happened.
pub(super) fn now() -> Timestamp {
    "2026-11-20T10:03:00Z".parse().unwrap()
}

/// Everything exists, and is Ready.
pub(super) fn all_ready() -> Snapshot {
    let kinds = ["IpfsCluster", "MessageQueue", "PostgresDatabase", "Temporal"];
    let objects: Vec<Value> = kinds.iter().map(|kind| object(kind, "temporal", &[ready()])).collect();
    snapshot(&all_controllers(), &objects)
}

/// The database is stalled, Temporal waits for it, and the queue is Ready with a condition that is not as it should be.
pub(super) fn database_stalled() -> Snapshot {
    let why = "there is no default StorageClass; name a class in spec.provider.postgres.storage.storageClassName";
    let database =
        [condition("Ready", "False", "NoStorageClass", why), condition("Stalled", "True", "NoStorageClass", why)];
    let waits = "waits for PostgresDatabase/temporal";
    let temporal = [
        condition("Ready", "False", "DependencyNotReady", waits),
        condition("Reconciling", "True", "DependencyNotReady", waits),
        condition("DependenciesReady", "False", "DependencyNotReady", waits),
    ];
    let queue = [ready(), condition("QuorumSafe", "False", "QuorumCritical", "no node may go")];
    let objects = [
        object("IpfsCluster", "temporal", &[ready()]),
        object("MessageQueue", "temporal", &queue),
        object("PostgresDatabase", "temporal", &database),
        object("Temporal", "temporal", &temporal),
    ];
    snapshot(&all_controllers(), &objects)
}

/// The database's controller is not installed, and its object was never reconciled.
pub(super) fn controller_absent() -> Snapshot {
    let waits = condition("Ready", "False", "DependencyNotReady", "waits for PostgresDatabase/temporal");
    let objects = [
        object("IpfsCluster", "temporal", &[ready()]),
        object("MessageQueue", "temporal", &[ready()]),
        object("PostgresDatabase", "temporal", &[]),
        object("Temporal", "temporal", &[waits]),
    ];
    let deployments: Vec<Value> = all_controllers().into_iter().skip(1).collect();
    snapshot(&deployments, &objects)
}

/// An empty cluster.
pub(super) fn nothing() -> Snapshot {
    Snapshot::parse(&json!({"items": []}), &Value::Null)
}

/// A component in some state.
pub(super) fn component(kind: &str, name: &str, word: Word, reason: &str) -> Component {
    let mut component = Component::parse(&object(kind, name, &[ready()]));
    component.state.word = word;
    reason.clone_into(&mut component.state.reason);
    component
}

fn snapshot(deployments: &[Value], objects: &[Value]) -> Snapshot {
    Snapshot::parse(&json!({"items": deployments}), &json!({"items": objects}))
}

fn all_controllers() -> Vec<Value> {
    let deployment = |controller: &controllers::Controller| {
        let image = format!("temporal-stack/{}:0.1.0", controller.program);
        json!({
            "metadata": {"name": controller.program},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": image}]}}},
            "status": {"availableReplicas": 1},
        })
    };
    controllers::ALL.iter().map(deployment).collect()
}

fn object(kind: &str, name: &str, conditions: &[Value]) -> Value {
    let spec = match kind {
        "Temporal" => json!({"database": {"name": name}, "queue": {"name": name}, "ipfs": {"name": name}}),
        _ => json!({}),
    };
    json!({
        "kind": kind,
        "metadata": {"name": name, "namespace": "default", "generation": 1, "creationTimestamp": "2026-11-20T10:00:00Z"},
        "spec": spec,
        "status": {"conditions": conditions},
    })
}

fn ready() -> Value {
    condition("Ready", "True", "Verified", "it works")
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "observedGeneration": 1, "lastTransitionTime": "2026-11-20T10:00:00Z",
    })
}
