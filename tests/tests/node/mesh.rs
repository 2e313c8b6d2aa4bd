//! The mesh around the whole stack, in namespaces of the tests' own, with the stand-in for Linkerd: its sidecars are in the pods, and
//! clients come to the pods' ports directly, as no routes are changed. What Linkerd would do with a connection is computed.

mod edges;
mod injection;
mod sidecar;
mod traffic;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Needs, One, Space, Stopwatch,
    linkerd::{self, Plane, edges::Edges, has_proxy, node},
    subject::NAME,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt as _, api::ListParams};
use serde_json::json;
use temporal_stack_common::api::{Mesh, label};

use crate::{
    cluster, in_namespace,
    temporal::defaults::{WEIGHT, made},
};

/// Runs a test with Linkerd, in a namespace that its injector looks at, when it is its turn.
async fn with_linkerd(needs: Needs, test: impl AsyncFnOnce(&One<'_, Mesh>, &Plane) -> Result<()>) {
    in_namespace(needs, async |space| {
        let plane = node::installed(&cluster().client().await?).await?;
        linkerd::open(space).await?;
        test(&space.one(), &plane).await
    })
    .await;
}

/// One stack for everything that leaves it as it was, or only restarts it; a stack for each would take minutes.
#[tokio::test]
async fn meshed_stack_is_verified_measured_and_reached_by_its_own_only() {
    with_linkerd(Needs::whole(WEIGHT), async |mesh, _| {
        mesh.create(&json!({"policy": "Audit", "traffic": "Off"})).await?;
        mesh.condition("MeshInstalled", "True", "AsExpected").await?;
        let mut watch = Stopwatch::new();
        // From the beginning: the migration connects once.
        let observed = Edges::start(&mesh.client, &mesh.name).await?;
        let temporal = made(mesh).await?;
        mesh.condition("Injected", "True", "AsExpected").await?;
        watch.step("a stack with a proxy in every pod was Ready after");

        injection::every_pod_has_a_proxy(mesh, &temporal).await.context("injection")?;
        sidecar::proxy_leads_to_the_ports_of_its_pod(mesh).await.context("the proxy")?;
        sidecar::no_probe_is_answered_by_a_proxy(mesh).await.context("probes")?;
        sidecar::each_component_has_an_identity_of_its_own(mesh).await.context("identities")?;
        sidecar::port_of_the_proxy_admits_users_of_the_pod_only(mesh).await.context("network policies")?;
        traffic::sidecar_serves_the_recorded_metrics(mesh).await.context("recorded metrics")?;
        mesh.patch(&json!({"spec": {"traffic": "On"}})).await?;
        traffic::traffic_to_ipfs_is_classified_and_exported(mesh).await.context("traffic")?;
        watch.step("injection, identities, ports and traffic were checked after");

        edges::strangers_and_other_components_would_be_denied(mesh).await.context("strangers")?;
        edges::address_of_a_second_controller_is_allowed(mesh).await.context("controllers")?;
        injection::restart_beside_a_proxy_is_short(mesh, &temporal).await.context("restart")?;
        edges::every_observed_connection_is_allowed(mesh, &temporal, &observed)
            .await
            .context("observed connections")?;
        watch.step("restarts, rotation and scaling made allowed connections only, after");

        injection::deleted_mesh_leaves_a_working_stack(mesh, &temporal).await.context("deletion")
    })
    .await;
}

/// The pods of the stack that run or will run, by name.
async fn pods(space: &Space) -> Result<BTreeMap<String, Pod>> {
    let ours = ListParams::default().labels(&format!("{}=temporal-stack", label::MANAGED_BY));
    let is_over = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed")) || pod.metadata.deletion_timestamp.is_some()
    };
    let all = space.api::<Pod>().list(&ours).await?.items;
    Ok(all.into_iter().filter(|pod| !is_over(pod)).map(|pod| (pod.name_any(), pod)).collect())
}

/// Whether a pod has a proxy.
fn is_proxied(pod: &Pod) -> bool {
    serde_json::to_value(pod).is_ok_and(|pod| has_proxy(&pod))
}

/// Fails unless every pod of the stack has a proxy; returns how many there are.
async fn all_are_proxied(space: &Space) -> Result<usize> {
    let pods = pods(space).await?;
    let without: Vec<&String> = pods.iter().filter(|(_, pod)| !is_proxied(pod)).map(|(name, _)| name).collect();
    ensure!(without.is_empty() && !pods.is_empty(), "without a proxy: {without:?}");
    Ok(pods.len())
}

/// The component of a pod.
fn component(pod: &Pod) -> &str {
    pod.labels().get(label::COMPONENT).map_or("", String::as_str)
}

/// The first pod of a component.
async fn one_of(space: &Space, wanted: &str) -> Result<Pod> {
    let pods = pods(space).await?;
    pods.into_values().find(|pod| component(pod) == wanted).with_context(|| format!("no pod of the {wanted}"))
}

/// A pod that only waits, under the namespace's default ServiceAccount, with this image.
async fn stranger(space: &Space, image: &str) -> Result<Pod> {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "stranger"},
        "spec": {
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": NAME, "image": image, "command": ["sleep", "3600"]}],
        },
    }))?;
    let pods = space.api::<Pod>();
    pods.create(&kube::api::PostParams::default(), &pod).await?;
    e2e::until(&pods, "stranger", "an address", |pod| {
        pod.status.as_ref().is_some_and(|status| status.pod_ip.is_some() && status.phase.as_deref() == Some("Running"))
    })
    .await
}
