//! Enforcement when something is missing that policies rest on: no Server denies without what admits its clients.

use anyhow::{Result, ensure};
use e2e::{
    Subject as _,
    linkerd::{Installed, Setup},
};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, ListParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;
use temporal_stack_common::api::IpfsCluster;

use super::{Meshes, with_mesh, with_own_linkerd};

/// The condition about policies.
const ENFORCED: &str = "PolicyEnforced";
/// The kind by whose identities peers admit each other.
const IDENTITIES: &str = "meshtlsauthentications";

/// What each Server of the namespace does with connections that nothing admits.
async fn access(mesh: &Meshes<'_>) -> Result<Vec<String>> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("policy.linkerd.io", "v1beta3", "Server"));
    let api: Api<DynamicObject> = Api::namespaced_with(mesh.client.clone(), &mesh.name, &resource);
    let servers = api.list(&ListParams::default()).await?.items;
    Ok(servers
        .iter()
        .map(|server| server.data["spec"]["accessPolicy"].as_str().unwrap_or_default().to_owned())
        .collect())
}

/// Replaces the verbs that the controller has for a kind of policies; returns those that it had.
async fn permit(mesh: &Meshes<'_>, kind: &str, verbs: &[String]) -> Result<Vec<String>> {
    let roles = Api::<ClusterRole>::all(mesh.client.clone());
    let mut role = roles.get(&format!("mesh-controller-{}", mesh.name)).await?;
    let is_it = |rule: &&mut PolicyRule| rule.resources.iter().flatten().any(|resource| resource == kind);
    let mut before = Vec::new();
    for rule in role.rules.iter_mut().flatten().filter(is_it) {
        before = std::mem::replace(&mut rule.verbs, verbs.to_vec());
    }
    ensure!(!before.is_empty(), "the controller has no permission for {kind}");
    roles.replace(&role.name_any(), &PostParams::default(), &role).await?;
    Ok(before)
}

fn reading() -> Vec<String> {
    ["get", "list", "watch"].map(str::to_owned).to_vec()
}

#[tokio::test]
async fn missing_permission_enforces_nothing_and_is_told() {
    with_mesh(async |mesh, _| {
        let before = permit(mesh, IDENTITIES, &reading()).await?;
        mesh.one::<IpfsCluster>().create(&IpfsCluster::embedded()).await?;
        mesh.create(&json!({"policy": "Enforce"})).await?;
        mesh.stalled("ChildRefused", &["MeshTLSAuthentication"]).await?;
        mesh.condition_about(ENFORCED, "False", "PoliciesMissing", &["ClusterRole"]).await?;
        let access = access(mesh).await?;
        ensure!(!access.is_empty() && access.iter().all(|access| access == "audit"), "{access:?}");
        permit(mesh, IDENTITIES, &before).await?;
        mesh.condition(ENFORCED, "True", "AsExpected").await?;
        let access = self::access(mesh).await?;
        ensure!(access.iter().all(|access| access == "deny"), "{access:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn vanished_kind_ends_enforcement_until_it_is_back() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded()).await?;
        mesh.one::<IpfsCluster>().create(&IpfsCluster::embedded()).await?;
        mesh.create(&json!({"policy": "Enforce"})).await?;
        mesh.condition(ENFORCED, "True", "AsExpected").await?;
        let gone = ["meshtlsauthentications.policy.linkerd.io"];
        linkerd.remove_kinds(&gone).await?;
        mesh.condition_about(ENFORCED, "False", "KindsMissing", &gone).await?;
        let audited = async || Ok(access(mesh).await?.iter().all(|access| access == "audit"));
        e2e::turns("no Server denies", audited).await?;
        linkerd.install_kinds(Installed::RECORDED).await?;
        mesh.condition(ENFORCED, "True", "AsExpected").await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn end_of_enforcement_leaves_no_server_without_policies() {
    with_mesh(async |mesh, _| {
        mesh.one::<IpfsCluster>().create(&IpfsCluster::embedded()).await?;
        mesh.create(&json!({"policy": "Enforce"})).await?;
        mesh.condition(ENFORCED, "True", "AsExpected").await?;
        mesh.patch(&json!({"spec": {"policy": "Off"}})).await?;
        e2e::turns("all Servers are gone", async || Ok(access(mesh).await?.is_empty())).await
    })
    .await;
}
