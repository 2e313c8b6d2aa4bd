//! Objects that have got past the schema: an older one was installed, or somebody loosened it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Controller, HANG, Space, Subject,
    prepare::{api_server, install_kinds},
    snapshot::children,
    subject::assert_told,
    until, with_namespace,
};
use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{IpfsCluster, MessageQueue, ObjectStorage, PostgresDatabase},
    condition,
};
use tokio::sync::Mutex;

use crate::step::complete;

/// Held by tests that loosen the schema, and by those that rely on it.
pub(crate) static SCHEMA: Mutex<()> = Mutex::const_new(());

/// An object that is past the schema: its name, its spec, and what the controller says about it.
pub(crate) type Past = (String, Value, Vec<&'static str>);

fn two_providers<K: Subject>() -> Past {
    let told = vec!["spec.provider", K::PROVIDER, "external", "one of them"];
    ("two-providers".to_owned(), json!({"provider": {K::PROVIDER: {}, "external": {"secretName": "x"}}}), told)
}

/// What no container can have, with the field of the spec and what to write.
fn resources<K: Subject>() -> [Past; 3] {
    let limits = |limits: Value| K::provider(&json!({"resources": {"limits": limits}}));
    let over = json!({"resources": {"requests": {"cpu": 1}, "limits": {"cpu": 0.5}}});
    [
        ("unit".to_owned(), limits(json!({"memory": "512mi"})), vec![K::PROVIDER, "limits.memory", "write 512Mi"]),
        ("milli".to_owned(), limits(json!({"memory": "512m"})), vec![K::PROVIDER, "limits.memory", "512Mi if"]),
        ("over".to_owned(), K::provider(&over), vec![K::PROVIDER, "requests.cpu is 1", "above", "lower the request"]),
    ]
}

pub(crate) fn unparsable() -> Past {
    let told = vec!["deletionPolicy", "does not parse", "correct the field"];
    ("unparsable".to_owned(), json!({"deletionPolicy": {"never": true}}), told)
}

fn objects<K: Subject>(space: &Space) -> Api<DynamicObject> {
    Api::namespaced_with(space.client.clone(), &space.name, &K::api_resource())
}

/// The kind without what refuses these objects, and otherwise as it is.
fn loosened<K: Subject>() -> Result<CustomResourceDefinition> {
    let mut crd = serde_json::to_value(K::crd())?;
    let policy = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/deletionPolicy";
    let policy = crd.pointer_mut(policy).context("the kind has no deletionPolicy")?;
    *policy = json!({"x-kubernetes-preserve-unknown-fields": true, "default": "Retain"});
    without_validations(&mut crd);
    Ok(serde_json::from_value(crd)?)
}

fn without_validations(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("x-kubernetes-validations");
            fields.values_mut().for_each(without_validations);
        }
        Value::Array(items) => items.iter_mut().for_each(without_validations),
        _ => {}
    }
}

/// Puts objects into a namespace past the schema, which is in force again afterwards.
pub(crate) async fn put_past_the_schema<K: Subject>(space: &Space, objects: &[Past]) -> Result<()> {
    let kinds = Api::<CustomResourceDefinition>::all(space.client.clone());
    kinds.patch(K::crd_name(), &PatchParams::apply("e2e").force(), &Patch::Apply(loosened::<K>()?)).await?;
    let (first, spec, _) = &objects[0];
    let mut put_all = until_result(|| put::<K>(space, first, spec, false), true).await;
    for (name, spec, _) in &objects[1..] {
        put_all = put_all.and(put::<K>(space, name, spec, false).await);
    }
    install_kinds(&space.client).await?;
    put_all?;
    until_result(|| put::<K>(space, "dry-run", spec, true), false).await
}

/// Makes an object without looking at it, or only asks whether it would be taken.
pub(crate) async fn put<K: Subject>(space: &Space, name: &str, spec: &Value, dry_run: bool) -> Result<()> {
    let object = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name},
        "spec": spec,
    });
    let params = PostParams { dry_run, ..PostParams::default() };
    objects::<K>(space).create(&params, &serde_json::from_value(object)?).await?;
    Ok(())
}

/// Tries until it goes as it should: the API server takes up a schema when it gets round to it, and tells nobody.
async fn until_result<F: Future<Output = Result<()>>>(attempt: impl Fn() -> F, succeeds: bool) -> Result<()> {
    let mut turns = tokio::time::interval(Duration::from_millis(50));
    let mut last = Ok(());
    let taken_up = async {
        loop {
            last = attempt().await;
            if last.is_ok() == succeeds {
                break;
            }
            turns.tick().await;
        }
    };
    let taken_up = tokio::time::timeout(HANG, taken_up).await;
    taken_up.with_context(|| format!("the API server did not take up the schema: {last:?}"))
}

/// Waits until the object is stalled for this reason, and returns what it says.
pub(crate) async fn stalled<K: Subject>(space: &Space, name: &str, reason: &str) -> Result<Condition> {
    let stalled = |object: &DynamicObject| {
        let conditions = object.data["status"]["conditions"].clone();
        let conditions: Vec<Condition> = serde_json::from_value(conditions).unwrap_or_default();
        condition::find(&conditions, condition::STALLED).filter(|stalled| stalled.reason == reason).cloned()
    };
    let what = format!("Stalled for {reason}");
    let object = until(&objects::<K>(space), name, &what, |object| stalled(object).is_some()).await?;
    stalled(&object).context("it was stalled")
}

/// Each object that got past the schema is told so, and nothing is made of it; what is valid goes on beside them.
async fn told_so<K: Subject>(more: &[Past]) {
    let cluster = &api_server().await.expect("an API server");
    let schema = SCHEMA.lock().await;
    with_namespace(cluster, async |space| {
        let all = [&[two_providers::<K>(), unparsable()], &resources::<K>()[..], more].concat();
        put_past_the_schema::<K>(space, &all).await?;
        drop(schema);

        let controller = Controller::start::<K>(space).await?;
        let broken = unparsable().0;
        for (name, _, told) in &all {
            let reason = if *name == broken { "Unparsable" } else { "InvalidSpec" };
            assert_told(&stalled::<K>(space, name, reason).await?, told)?;
        }
        ensure!(children(space).await?.is_empty(), "something was made");

        space.one::<K>().create(&K::embedded()).await?;
        complete::<K>(&space.one(), &controller).await?;
        let corrected = Patch::Merge(json!({"spec": {"deletionPolicy": "Retain"}}));
        objects::<K>(space).patch(&broken, &PatchParams::default(), &corrected).await?;
        stalled::<K>(space, &broken, "NoStorageClass").await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn database_past_the_schema_is_reported_and_others_go_on() {
    told_so::<PostgresDatabase>(&[]).await;
}

#[tokio::test]
async fn queue_past_the_schema_is_reported_and_others_go_on() {
    let replicas = |count: u32| MessageQueue::provider(&json!({"replicas": count}));
    let field = "spec.provider.rabbitmq.replicas";
    let past: [Past; 4] = [
        ("two".to_owned(), replicas(2), vec![field, "is 2", "set it to 1, 3 or 5"]),
        ("four".to_owned(), replicas(4), vec![field, "is 4", "set it to 1, 3 or 5"]),
        ("slash".to_owned(), json!({"virtualHost": "/"}), vec!["spec.virtualHost", "\"/\"", "give another name"]),
        ("dots".to_owned(), json!({"virtualHost": ".."}), vec!["spec.virtualHost", "\"..\"", "give another name"]),
    ];
    told_so::<MessageQueue>(&past).await;
}

#[tokio::test]
async fn ipfs_cluster_past_the_schema_is_reported_and_others_go_on() {
    let replication = |min: i32, max: i32| json!({"replicas": 3, "replication": {"min": min, "max": max}});
    let (replicas, factors) = ("spec.replicas is", "spec.replication.min and max");
    let past: [Past; 5] = [
        ("none".to_owned(), json!({"replicas": 0}), vec![replicas, "set it to a number from 1 to 32"]),
        ("many".to_owned(), json!({"replicas": 33}), vec![replicas, "set it to a number from 1 to 32"]),
        (
            "above".to_owned(),
            replication(3, 2),
            vec![factors, "set the first to 2 or less, or the second to 3 or more"],
        ),
        ("half".to_owned(), replication(1, -1), vec![factors, "set both to -1", "set both to -1"]),
        ("zero".to_owned(), replication(0, 2), vec![factors, "both to at least 1"]),
    ];
    told_so::<IpfsCluster>(&past).await;
}

#[tokio::test]
async fn object_storage_past_the_schema_is_reported_and_others_go_on() {
    let minio =
        |servers: u32, drives: u32| ObjectStorage::provider(&json!({"servers": servers, "drivesPerServer": drives}));
    let bucket = |bucket: Value| json!({"buckets": [bucket]});
    let lock = json!({"mode": "Governance", "days": 1});
    let past: [Past; 5] = [
        ("three".to_owned(), minio(3, 1), vec!["spec.provider.minio.servers is 3", "set it to 1, or to 4 to 16"]),
        ("drives".to_owned(), minio(1, 2), vec!["spec.provider.minio.drivesPerServer is 2", "set it to 1 or 4"]),
        ("dots".to_owned(), bucket(json!({"name": "a..b"})), vec!["spec.buckets[\"a..b\"].name", "use 3 to 63"]),
        (
            "lock".to_owned(),
            bucket(json!({"name": "photos", "objectLock": lock})),
            vec!["spec.buckets[\"photos\"].objectLock", "set versioning to true"],
        ),
        ("quota".to_owned(), bucket(json!({"name": "photos", "quota": "0"})), vec!["quota", "write 5Gi"]),
    ];
    told_so::<ObjectStorage>(&past).await;
}
