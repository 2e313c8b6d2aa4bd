//! Objects that have got past the schema: an older one was installed, or somebody loosened it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Controller, HANG, Space,
    database::{assert_told, embedded},
    prepare::{api_server, install_kinds},
    snapshot::children,
    until, with_namespace,
};
use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, CustomResourceExt as _,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{api::PostgresDatabase, condition};
use tokio::sync::Mutex;

use crate::step::complete;

/// Held by tests that loosen the schema, and by those that rely on it.
pub(crate) static SCHEMA: Mutex<()> = Mutex::const_new(());

/// The name of the object that is past the schema, beside the one that all tests have.
const BROKEN: &str = "broken";

fn two_providers() -> Value {
    json!({"provider": {"postgres": {}, "external": {"secretName": "x"}}})
}

fn unparsable() -> Value {
    json!({"deletionPolicy": {"never": true}})
}

fn objects(space: &Space) -> Api<DynamicObject> {
    Api::namespaced_with(space.client.clone(), &space.name, &PostgresDatabase::api_resource())
}

/// The kind without what refuses these objects, and otherwise as it is.
fn loosened() -> Result<CustomResourceDefinition> {
    let mut crd = serde_json::to_value(PostgresDatabase::crd())?;
    let spec = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties");
    let spec = spec.context("the kind has no spec")?;
    spec["deletionPolicy"] = json!({"x-kubernetes-preserve-unknown-fields": true, "default": "Retain"});
    spec["provider"].as_object_mut().map(|provider| provider.remove("x-kubernetes-validations"));
    Ok(serde_json::from_value(crd)?)
}

/// Puts an object into each namespace past the schema, which is in force again afterwards.
async fn put_past_the_schema(objects: [(&Space, Value); 2]) -> Result<()> {
    let client = &objects[0].0.client;
    let kinds = Api::<CustomResourceDefinition>::all(client.clone());
    let name = PostgresDatabase::crd_name();
    kinds.patch(name, &PatchParams::apply("e2e").force(), &Patch::Apply(loosened()?)).await?;
    let mut put_all = Ok(());
    for (space, spec) in &objects {
        put_all = put_all.and(until_result(|| put(space, spec, false), true).await);
    }
    install_kinds(client).await?;
    put_all?;
    for (space, spec) in &objects {
        until_result(|| put(space, spec, true), false).await?;
    }
    Ok(())
}

/// Makes an object without looking at it, or only asks whether it would be taken.
pub(crate) async fn put(space: &Space, spec: &Value, dry_run: bool) -> Result<()> {
    let name = if dry_run { "dry-run" } else { BROKEN };
    let object = json!({
        "apiVersion": "temporal-stack.dev/v1alpha1",
        "kind": "PostgresDatabase",
        "metadata": {"name": name},
        "spec": spec,
    });
    let params = PostParams { dry_run, ..PostParams::default() };
    objects(space).create(&params, &serde_json::from_value(object)?).await?;
    Ok(())
}

/// Tries until it goes as it should: the API server takes up a schema when it gets round to it, and tells nobody.
async fn until_result<F: Future<Output = Result<()>>>(attempt: impl Fn() -> F, succeeds: bool) -> Result<()> {
    let mut turns = tokio::time::interval(Duration::from_millis(50));
    let taken_up = async {
        while attempt().await.is_ok() != succeeds {
            turns.tick().await;
        }
    };
    tokio::time::timeout(HANG, taken_up).await.context("the API server did not take up the schema")
}

/// Waits until the object is stalled for this reason, and returns what it says.
async fn stalled(space: &Space, reason: &str) -> Result<Condition> {
    let stalled = |object: &DynamicObject| {
        let conditions = object.data["status"]["conditions"].clone();
        let conditions: Vec<Condition> = serde_json::from_value(conditions).unwrap_or_default();
        condition::find(&conditions, condition::STALLED).filter(|stalled| stalled.reason == reason).cloned()
    };
    let what = format!("Stalled for {reason}");
    let object = until(&objects(space), BROKEN, &what, |object| stalled(object).is_some()).await?;
    stalled(&object).context("it was stalled")
}

#[tokio::test]
async fn an_object_past_the_schema_is_told_so_and_the_others_go_on() {
    let cluster = &api_server().await.expect("an API server");
    let schema = SCHEMA.lock().await;
    with_namespace(cluster, async |both| {
        with_namespace(cluster, async |broken| {
            put_past_the_schema([(both, two_providers()), (broken, unparsable())]).await?;
            drop(schema);

            let _controller = Controller::start::<PostgresDatabase>(both).await?;
            let told = stalled(both, "InvalidSpec").await?;
            assert_told(&told, &["spec.provider", "both postgres and external", "name one of them"])?;
            ensure!(children(both).await?.is_empty(), "something was made");

            let controller = Controller::start::<PostgresDatabase>(broken).await?;
            let told = stalled(broken, "Unparsable").await?;
            assert_told(&told, &["deletionPolicy", "does not parse", "correct the field"])?;
            broken.create(&embedded()).await?;
            complete(broken, &controller).await?;

            let mended = Patch::Merge(json!({"spec": {"deletionPolicy": "Retain"}}));
            objects(broken).patch(BROKEN, &PatchParams::default(), &mended).await?;
            stalled(broken, "NoStorageClass").await.map(drop)
        })
        .await;
        Ok(())
    })
    .await;
}
