//! Objects that have got past the schema: an older one was installed, or somebody loosened it.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Controller, Space,
    database::{NAME, embedded},
    prepare::{api_server, install_kinds},
    snapshot::children,
    with_namespace,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, CustomResourceExt as _,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::api::PostgresDatabase;

use crate::step::complete;

/// What the schema refuses.
fn refused() -> [Value; 2] {
    let both = json!({"provider": {"postgres": {}, "external": {"secretName": "x"}}});
    [both, json!({"deletionPolicy": {"never": true}})]
}

fn objects(space: &Space) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<PostgresDatabase>(&());
    Api::namespaced_with(space.client.clone(), &space.name, &resource)
}

async fn put(space: &Space, spec: &Value, params: &PostParams) -> Result<()> {
    let object = json!({"metadata": {"name": NAME}, "spec": spec, "apiVersion": "temporal-stack.dev/v1alpha1", "kind": "PostgresDatabase"});
    objects(space).create(params, &serde_json::from_value(object)?).await?;
    Ok(())
}

/// Takes the schema away until these objects have been put, each into its namespace.
async fn past_the_schema(put_in: [&Space; 2]) -> Result<()> {
    let client = &put_in[0].client;
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    let mut crd = PostgresDatabase::crd();
    let schema = crd.spec.versions[0].schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
    let spec = schema.and_then(|schema| schema.properties.as_mut()?.get_mut("spec")).context("the kind has no spec")?;
    *spec = serde_json::from_value(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}))?;
    let name = PostgresDatabase::crd_name();
    let patch = Patch::Apply(&crd);
    api.patch(name, &PatchParams::apply("e2e").force(), &patch).await?;
    let mut result = Ok(());
    for (space, spec) in put_in.iter().zip(refused()) {
        result = result.and(until_taken(space, &spec).await);
    }
    install_kinds(client).await?;
    result
}

/// The API server takes up another schema when it gets round to it, and tells nobody.
async fn until_taken(space: &Space, spec: &Value) -> Result<()> {
    let mut turns = tokio::time::interval(std::time::Duration::from_millis(50));
    let taken = tokio::time::timeout(e2e::HANG, async {
        loop {
            turns.tick().await;
            if put(space, spec, &PostParams::default()).await.is_ok() {
                return;
            }
        }
    });
    taken.await.context("the API server did not take up the schema")
}

#[tokio::test]
async fn an_object_past_the_schema_is_told_so_and_the_others_go_on() {
    let cluster = &api_server().await.expect("an API server");
    with_namespace(cluster, async |two_providers| {
        with_namespace(cluster, async |unparsable| {
            past_the_schema([two_providers, unparsable]).await?;
            let _first = Controller::start(two_providers).await?;
            two_providers.stalled("InvalidSpec", &["spec.provider", "both postgres and external", "name one of them"]).await?;
            ensure!(children(two_providers).await?.is_empty(), "something was made");

            let controller = Controller::start(unparsable).await?;
            let told = until_told(unparsable).await?;
            ensure!(told.contains("deletionPolicy") || told.contains("does not parse"), "{told}");
            ensure!(told.contains("correct the field"), "{told}");
            let other = Space { ..others(unparsable) };
            let _ = other;
            mended(unparsable, &controller).await
        })
        .await;
        Ok(())
    })
    .await;
}
