//! What belongs to somebody else: policies of the same name, Servers on the same port, annotations, another Mesh. Never a fight.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Controller, Subject as _,
    linkerd::INJECT,
    subject::{NAME, says},
    until,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{Mesh, PostgresDatabase},
    condition::STALLED,
};

use super::{Meshes, with_mesh};

/// Servers of this namespace.
fn servers(mesh: &Meshes<'_>) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("policy.linkerd.io", "v1beta3", "Server"));
    Api::namespaced_with(mesh.client.clone(), &mesh.name, &resource)
}

/// Makes a Server of somebody else's for the database's port.
async fn foreign(mesh: &Meshes<'_>, name: &str) -> Result<DynamicObject> {
    let server: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "policy.linkerd.io/v1beta3",
        "kind": "Server",
        "metadata": {"name": name},
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/component": "database"}},
            "port": 5432,
            "accessPolicy": "all-unauthenticated",
        },
    }))?;
    Ok(servers(mesh).create(&PostParams::default(), &server).await?)
}

/// The name of the Server that the controller makes for the database's port.
async fn own_name(mesh: &Meshes<'_>) -> Result<String> {
    let is_ours = |server: &DynamicObject| {
        server.labels().get("app.kubernetes.io/managed-by").is_some_and(|by| by == "temporal-stack")
            && [json!("postgresql"), json!(5432)].contains(&server.data["spec"]["port"])
    };
    let mut name = None;
    e2e::turns("the database has a Server", async || {
        let all = servers(mesh).list(&ListParams::default()).await?;
        name = all.items.into_iter().find(is_ours).map(|server| server.name_any());
        Ok(name.is_some())
    })
    .await?;
    name.context("it was there")
}

#[tokio::test]
async fn policy_with_the_same_name_is_not_touched() {
    with_mesh(async |mesh, _| {
        mesh.one::<PostgresDatabase>().create(&PostgresDatabase::embedded()).await?;
        let spec = json!({"policy": "Audit"});
        mesh.create(&spec).await?;
        let name = own_name(mesh).await?;
        mesh.objects().delete(NAME, &DeleteParams::default()).await?;
        e2e::until_gone(&mesh.objects(), NAME).await?;
        e2e::until_gone(&servers(mesh), &name).await?;
        let theirs = foreign(mesh, &name).await?;
        mesh.create(&spec).await?;
        mesh.stalled("NameTaken", &[&name, "another owner"]).await?;
        let after = servers(mesh).get(&name).await?;
        ensure!(after.resource_version() == theirs.resource_version(), "the Server was written to");
        servers(mesh).delete(&name, &DeleteParams::default()).await?;
        until(&servers(mesh), &name, "been made", |server| server.uid() != theirs.uid()).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn older_server_on_the_same_port_is_named() {
    with_mesh(async |mesh, _| {
        // A Server counts for the pods that it selects; of two from the same second, the one with the first name does.
        let _databases = Controller::start::<PostgresDatabase>(mesh).await?;
        let theirs = foreign(mesh, "earlier").await?;
        mesh.one::<PostgresDatabase>().create(&PostgresDatabase::embedded()).await?;
        mesh.create(&json!({"policy": "Enforce"})).await?;
        // Linkerd takes the older one, and says so in a log only.
        mesh.condition_about("PolicyEnforced", "False", "ForeignServer", &["earlier", "PostgresDatabase"]).await?;
        let after = servers(mesh).get("earlier").await?;
        ensure!(after.resource_version() == theirs.resource_version(), "the Server was written to");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn second_mesh_of_a_namespace_leaves_it_to_the_first() {
    with_mesh(async |mesh, _| {
        // Of two objects made within one second, the first by name counts.
        const YOUNGER: &str = "younger";
        mesh.create(&json!({})).await?;
        mesh.condition("MeshInstalled", "True", "AsExpected").await?;
        let second: Mesh = serde_json::from_value(json!({
            "apiVersion": "temporal-stack.dev/v1alpha1", "kind": "Mesh", "metadata": {"name": YOUNGER},
            "spec": {"defaultInboundPolicy": "deny", "policy": "Enforce"},
        }))?;
        mesh.objects().create(&PostParams::default(), &second).await?;
        let is_stalled = |object: &Mesh| says(object, STALLED, "True", "NotOldest");
        until(&mesh.objects(), YOUNGER, "stalled because of the other", is_stalled).await?;
        let namespaces = Api::<Namespace>::all(mesh.client.clone());
        let annotations = namespaces.get(&mesh.name).await?.annotations().clone();
        let default = annotations.get("config.linkerd.io/default-inbound-policy");
        ensure!(default.is_none(), "the second one has set {default:?}");
        // When the first one goes, the second one takes its place.
        mesh.objects().delete(NAME, &DeleteParams::default()).await?;
        until(&mesh.objects(), YOUNGER, "taken its place", |object| !is_stalled(object)).await?;
        let denies = |namespace: &Namespace| {
            namespace.annotations().get("config.linkerd.io/default-inbound-policy").is_some_and(|value| value == "deny")
        };
        until(&namespaces, &mesh.name, "the second one's annotation", denies).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn annotation_that_a_user_wrote_is_kept() {
    with_mesh(async |mesh, _| {
        let namespaces = Api::<Namespace>::all(mesh.client.clone());
        let theirs =
            json!({"config.linkerd.io/shutdown-grace-period": "30s", "config.linkerd.io/proxy-log-level": "warn"});
        annotate(&namespaces, &mesh.name, &theirs).await?;
        mesh.create(&json!({})).await?;
        let is_injected = |namespace: &Namespace| namespace.annotations().contains_key(INJECT);
        let namespace = until(&namespaces, &mesh.name, "the injector's annotation", is_injected).await?;
        let log = namespace.annotations().get("config.linkerd.io/proxy-log-level").cloned();
        ensure!(log.as_deref() == Some("warn"), "another annotation was changed: {log:?}");
        let grace = namespace.annotations().get("config.linkerd.io/shutdown-grace-period").cloned();
        ensure!(grace.as_deref() == Some("30s"), "the user's value was overwritten: {grace:?}");
        mesh.objects().delete(NAME, &DeleteParams::default()).await?;
        let is_gone = |namespace: &Namespace| !namespace.annotations().contains_key(INJECT);
        let after = until(&namespaces, &mesh.name, "no annotation of the object's", is_gone).await?;
        for key in ["config.linkerd.io/shutdown-grace-period", "config.linkerd.io/proxy-log-level"] {
            ensure!(after.annotations().contains_key(key), "{key} went along");
        }
        Ok(())
    })
    .await;
}

async fn annotate(namespaces: &Api<Namespace>, name: &str, annotations: &Value) -> Result<()> {
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    // By a manager of its own, as a user's command does.
    namespaces
        .patch(name, &PatchParams { field_manager: Some("kubectl".to_owned()), ..PatchParams::default() }, &patch)
        .await?;
    Ok(())
}
