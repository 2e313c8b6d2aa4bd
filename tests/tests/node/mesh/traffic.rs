//! Figures of the traffic, from the metrics that the sidecars serve: recorded ones that grow by a known amount each second.

use anyhow::{Context as _, Result, ensure};
use e2e::{One, subject::says};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use temporal_stack_common::api::{ComponentKind, Mesh, TrafficClass};

use crate::mesh::one_of;

/// The line of a metric of the controller, and its value, whose labels have all of these.
fn value(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// The metrics of the installed controller, at the address of its pod.
async fn metrics(mesh: &One<'_, Mesh>) -> Result<String> {
    let controllers = Api::<Pod>::namespaced(mesh.client.clone(), e2e::installed::SYSTEM);
    let ours = ListParams::default().labels("app.kubernetes.io/name=mesh-controller");
    let pod = controllers.list(&ours).await?.items.into_iter().next().context("no pod of the controller")?;
    let address = pod.status.and_then(|status| status.pod_ip).context("the pod has no address")?;
    let client = e2e::http::builder().build()?;
    Ok(client.get(format!("http://{address}:8080/metrics")).send().await?.error_for_status()?.text().await?)
}

pub(super) async fn traffic_to_ipfs_is_classified_and_exported(mesh: &One<'_, Mesh>) -> Result<()> {
    let is_to_ipfs = |object: &Mesh| {
        let traffic = object.status.as_ref().map(|status| status.traffic.clone()).unwrap_or_default();
        traffic.iter().any(|edge| {
            edge.component.kind == ComponentKind::IpfsCluster
                && edge.port == "rpc"
                && edge.client.contains("Temporal")
                && edge.class != TrafficClass::Idle
        })
    };
    mesh.until("traffic of Temporal to IPFS", is_to_ipfs).await?;
    let text = metrics(mesh).await?;
    let namespace = format!("mesh_namespace=\"{}\"", mesh.name);
    // 25 uploads were recorded; each second adds as many requests as all of them made.
    let rate = value(
        &text,
        "temporal_stack_mesh_edge_requests_per_second",
        &[&namespace, "server=\"IpfsCluster/", "port=\"5001\""],
    );
    ensure!(rate.is_some_and(|rate| rate > 1.0), "{rate:?} requests a second:\n{text}");
    Ok(())
}

pub(super) async fn sidecar_serves_the_recorded_metrics(mesh: &One<'_, Mesh>) -> Result<()> {
    let peer = one_of(mesh, "ipfs").await?;
    let address = peer.status.and_then(|status| status.pod_ip).context("the pod has no address")?;
    let client = e2e::http::builder().build()?;
    let url = format!("http://{address}:4191/metrics");
    let read = async || anyhow::Ok(client.get(&url).send().await?.error_for_status()?.text().await?);
    let first = read().await?;
    let inbound = ["direction=\"inbound\"", "target_port=\"5001\"", "tls=\"true\""];
    let before = value(&first, "request_total", &inbound).context("no request was recorded")?;
    e2e::turns("the counters grow", async || {
        let later = read().await?;
        Ok(value(&later, "request_total", &inbound).is_some_and(|after| after > before))
    })
    .await?;
    ensure!(first.contains(&format!(".{}.serviceaccount.", mesh.name)), "identities of another namespace");
    let object = mesh.get().await?;
    ensure!(!says(&object, "TrafficHealthy", "True", "AsExpected"), "traffic is judged although it is not read");
    Ok(())
}
