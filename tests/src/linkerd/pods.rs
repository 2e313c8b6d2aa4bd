//! What pods report that nobody runs, and the metrics of proxies that are none.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use axum::{Router, routing::get};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use linkerd_stand_in::{inject, proxy::ADMIN, recorded::Recording};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{Space, until};

/// The address of the control plane's pods: one that nobody has.
pub(super) const PLANE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Has a pod report that it runs at this address, and whether it is ready.
pub(super) async fn report(pods: &Api<Pod>, name: &str, address: IpAddr, is_ready: bool) -> Result<()> {
    let pod = pods.get(name).await?;
    let ready = if is_ready { "True" } else { "False" };
    let conditions: Vec<Value> = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
        .into_iter()
        .map(|kind| {
            let status = if kind.ends_with("Ready") { ready } else { "True" };
            json!({"type": kind, "status": status, "lastTransitionTime": "2026-01-01T00:00:00Z"})
        })
        .collect();
    let spec = pod.spec.unwrap_or_default();
    let running = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
    let status = |name: &str, image: Option<&str>| {
        json!({
            "name": name, "ready": is_ready, "started": true, "restartCount": 0, "state": running,
            "image": image.unwrap_or_default(), "imageID": "",
        })
    };
    let containers: Vec<Value> = spec.containers.iter().map(|one| status(&one.name, one.image.as_deref())).collect();
    let beside = spec.init_containers.iter().flatten().filter(|one| one.restart_policy.as_deref() == Some("Always"));
    let beside: Vec<Value> = beside.map(|one| status(&one.name, one.image.as_deref())).collect();
    let status = json!({
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": conditions,
        "containerStatuses": containers, "initContainerStatuses": beside,
    });
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(json!({ "status": status }))).await?;
    Ok(())
}

/// Has a pod of a namespace report that it runs at this address, and is ready.
pub async fn runs_at(space: &Space, name: &str, address: IpAddr) -> Result<()> {
    report(&space.api(), name, address, true).await
}

/// The metrics of a proxy, on an address of this machine's own; they end when this is dropped.
pub struct Proxy {
    /// Where they are: the pod's address.
    pub address: IpAddr,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// Serves the recording of a component, and of a role in Temporal, as if it came from this namespace.
    pub async fn start(component: &str, role: &str, namespace: &str) -> Result<Self> {
        let recording = Recording::new(component, role, namespace);
        let started = Instant::now();
        Self::serve(move || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            recording.at(started.elapsed().as_secs(), now.as_secs_f64())
        })
        .await
    }

    /// Serves what a function returns.
    pub async fn serve(text: impl Fn() -> String + Clone + Send + Sync + 'static) -> Result<Self> {
        // The port is always the same, so each has an address of its own.
        let [third, fourth]: [u8; 2] = rand::random();
        let address = IpAddr::V4(Ipv4Addr::new(127, 77, third, 1 + fourth % 254));
        let listener = TcpListener::bind((address, ADMIN)).await.context("the port of a proxy is taken")?;
        let router = Router::new()
            .route("/ready", get(|| async { "ready\n" }))
            .route("/metrics", get(move || async move { text() }));
        let serving = tokio::spawn(async move {
            // It ends only with the test.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, serving })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Waits until a pod exists with a proxy, has it report that it is ready, and serves the metrics of its proxy.
pub async fn proxied(space: &Space, name: &str) -> Result<Proxy> {
    let pod = with_proxy(space, name).await?;
    let label = |key: &str| pod.labels().get(key).cloned().unwrap_or_default();
    let (component, role) = (label("app.kubernetes.io/component"), label("temporal-stack.dev/role"));
    let proxy = Proxy::start(&component, &role, &space.name).await?;
    report(&space.api(), name, proxy.address, true).await?;
    Ok(proxy)
}

/// The same with metrics of the test's own.
pub async fn proxied_with(space: &Space, name: &str, metrics: String) -> Result<Proxy> {
    with_proxy(space, name).await?;
    let proxy = Proxy::serve(move || metrics.clone()).await?;
    report(&space.api(), name, proxy.address, true).await?;
    Ok(proxy)
}

async fn with_proxy(space: &Space, name: &str) -> Result<Pod> {
    let has_proxy = |pod: &Pod| serde_json::to_value(pod).is_ok_and(|pod| inject::has_proxy(&pod));
    until(&space.api(), name, "a proxy", has_proxy).await
}
