//! What others change or delete is as it should be again; what they have set themselves stays.

use anyhow::{Context as _, Result, ensure};
use e2e::{Subject as _, linkerd::INJECT, subject::NAME, until};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;
use temporal_stack_common::api::PostgresDatabase;

use super::{Meshes, with_mesh};

fn servers(mesh: &Meshes<'_>) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("policy.linkerd.io", "v1beta3", "Server"));
    Api::namespaced_with(mesh.client.clone(), &mesh.name, &resource)
}

/// The first Server of the namespace.
async fn first(mesh: &Meshes<'_>) -> Result<DynamicObject> {
    let all = servers(mesh).list(&ListParams::default()).await?.items;
    all.into_iter().next().context("there is no Server")
}

#[tokio::test]
async fn removed_annotation_comes_back() {
    with_mesh(async |mesh, _| {
        mesh.create(&json!({})).await?;
        mesh.ready().await?;
        let namespaces = Api::<Namespace>::all(mesh.client.clone());
        let none = json!({"metadata": {"annotations": {INJECT: null}}});
        let params = PatchParams { field_manager: Some("kubectl".to_owned()), ..PatchParams::default() };
        namespaces.patch(&mesh.name, &params, &Patch::Merge(none)).await?;
        let is_back =
            |namespace: &Namespace| namespace.annotations().get(INJECT).is_some_and(|value| value == "enabled");
        until(&namespaces, &mesh.name, "its annotation again", is_back).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn edited_or_deleted_policies_are_restored() {
    with_mesh(async |mesh, _| {
        mesh.one::<PostgresDatabase>().create(&PostgresDatabase::embedded()).await?;
        mesh.create(&json!({"policy": "Audit"})).await?;
        mesh.ready().await?;
        let server = first(mesh).await?;
        let name = server.name_any();
        let open = json!({"spec": {"accessPolicy": "all-unauthenticated"}});
        servers(mesh).patch(&name, &PatchParams::default(), &Patch::Merge(open)).await?;
        until(&servers(mesh), &name, "audited again", |server| server.data["spec"]["accessPolicy"] == "audit").await?;
        servers(mesh).delete(&name, &DeleteParams::default()).await?;
        until(&servers(mesh), &name, "been made again", |again| again.uid() != server.uid()).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn policies_of_a_component_go_with_it() {
    with_mesh(async |mesh, _| {
        let database = mesh.one::<PostgresDatabase>();
        database.create(&PostgresDatabase::embedded()).await?;
        mesh.create(&json!({"policy": "Audit"})).await?;
        mesh.ready().await?;
        let name = first(mesh).await?.name_any();
        database.objects().delete(NAME, &DeleteParams::default()).await?;
        e2e::until_gone(&servers(mesh), &name).await?;
        let left = servers(mesh).list(&ListParams::default()).await?.items;
        ensure!(left.is_empty(), "there are others: {left:?}");
        Ok(())
    })
    .await;
}
