//! Other releases of Linkerd and of Gateway API: what they lack is not sent, and what they are is said.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Subject as _,
    linkerd::{Gateway, Installed, Setup},
};
use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, ListParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use temporal_stack_common::api::IpfsCluster;

use super::{Meshes, read_again, with_mesh, with_own_linkerd};

const INSTALLED: &str = "MeshInstalled";

/// The objects of a foreign kind in the namespace.
async fn listed(mesh: &Meshes<'_>, group: &str, version: &str, kind: &str) -> Result<Vec<DynamicObject>> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let api: Api<DynamicObject> = Api::namespaced_with(mesh.client.clone(), &mesh.name, &resource);
    Ok(api.list(&ListParams::default()).await?.items)
}

#[tokio::test]
async fn unknown_version_is_reported_and_held_against_nobody() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded().of_version("acme-nightly")).await?;
        mesh.create(&json!({})).await?;
        mesh.condition_about(INSTALLED, "Unknown", "VersionUnknown", &["acme-nightly"]).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn versions_of_vendors_and_edge_releases_are_read() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded()).await?;
        mesh.create(&json!({})).await?;
        for version in ["edge-26.5.2", "enterprise-2.18.3"] {
            linkerd.install_plane(&Setup::recorded().of_version(version)).await?;
            read_again(mesh).await?;
            let is_read = |object: &temporal_stack_common::api::Mesh| {
                object.status.as_ref().is_some_and(|status| status.version.as_deref() == Some(version))
            };
            mesh.until(version, is_read).await?;
            mesh.condition(INSTALLED, "True", "AsExpected").await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn release_that_is_too_old_is_refused_with_the_oldest_that_works() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::old().of_version("stable-2.11.5")).await?;
        mesh.create(&json!({})).await?;
        mesh.condition_about(INSTALLED, "False", "UnsupportedVersion", &["2.11.5", "2.14"]).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn old_release_gets_servers_of_its_own_version() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::old()).await?;
        mesh.one::<IpfsCluster>().create(&IpfsCluster::embedded()).await?;
        // Its Server cannot audit, so nothing is made of one until it is enforced.
        mesh.create(&json!({"policy": "Audit"})).await?;
        mesh.condition(INSTALLED, "True", "AsExpected").await?;
        let servers = listed(mesh, "policy.linkerd.io", "v1beta1", "Server").await?;
        ensure!(servers.is_empty(), "a Server of 2.14 denies at once: {servers:?}");
        let said = mesh
            .until("a word about the policy", |object| e2e::subject::condition_of(object, "PolicyEnforced").is_some());
        said.await.map(drop)
    })
    .await;
}

/// Whether a rule of a route has a field.
fn has(route: &DynamicObject, field: &str) -> bool {
    let rules = route.data["spec"]["rules"].as_array();
    rules.into_iter().flatten().any(|rule| !rule[field].is_null())
}

#[tokio::test]
async fn routes_have_only_fields_that_the_installed_kind_knows() {
    for gateway in [Gateway::RECORDED, Gateway::WITHOUT_TIMEOUTS, Gateway::WITH_RETRIES] {
        with_own_linkerd(async |mesh, linkerd, _| {
            linkerd.install(&Setup::recorded().with_kinds(Installed::RECORDED.with(gateway))).await?;
            mesh.one::<IpfsCluster>().create(&IpfsCluster::embedded()).await?;
            mesh.create(&json!({"routes": "On"})).await?;
            mesh.condition(INSTALLED, "True", "AsExpected").await?;
            let routes = e2e::turns("routes are made", async || {
                Ok(!listed(mesh, "gateway.networking.k8s.io", "v1", "HTTPRoute").await?.is_empty())
            });
            routes.await?;
            for route in listed(mesh, "gateway.networking.k8s.io", "v1", "HTTPRoute").await? {
                let name = route.name_any();
                ensure!(gateway.has_timeouts() || !has(&route, "timeouts"), "{name} has timeouts with {gateway:?}");
                ensure!(gateway.has_retries() || !has(&route, "retry"), "{name} has retries with {gateway:?}");
                // A field that is dropped would be sent again in each pass.
                let sent = managed(&route).context("nothing is applied")?;
                ensure!(sent["f:spec"].is_object(), "{sent}");
            }
            Ok(())
        })
        .await;
    }
}

/// The fields that the controller owns.
fn managed(object: &DynamicObject) -> Option<Value> {
    let entries = object.metadata.managed_fields.iter().flatten();
    let ours =
        entries.filter(|entry| entry.manager.as_deref() == Some("mesh")).find_map(|entry| entry.fields_v1.as_ref());
    serde_json::to_value(&ours?.0).ok()
}

#[tokio::test]
async fn missing_routes_are_no_obstacle_to_the_rest() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded().with_kinds(Installed::WITHOUT_ROUTES)).await?;
        mesh.create(&json!({"routes": "On"})).await?;
        mesh.condition(INSTALLED, "True", "AsExpected").await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn recorded_release_is_as_expected() {
    with_mesh(async |mesh, _| {
        mesh.create(&json!({})).await?;
        mesh.condition(INSTALLED, "True", "AsExpected").await?;
        mesh.condition("IdentityValid", "True", "AsExpected").await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn newer_release_is_used_and_said_to_be_untried() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded().of_version("stable-2.31.0")).await?;
        mesh.create(&json!({})).await?;
        mesh.condition_about(INSTALLED, "True", "UntriedVersion", &["2.31.0"]).await.map(drop)
    })
    .await;
}
