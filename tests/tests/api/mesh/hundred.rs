//! What a Mesh of a hundred pods costs its controller: memory, requests, and reads of metrics.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Controller, full,
    linkerd::{self, Proxy},
    subject::NAME,
};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::{ResourceExt as _, api::PostParams};
use serde_json::{Value, json};
use temporal_stack_common::api::{ComponentKind, IpfsCluster, MessageQueue, PostgresDatabase, Temporal};

use super::{Meshes, with_mesh};
use crate::step::{look, quiet};

/// How many pods there are.
const PODS: usize = 100;
/// What the controller may hold.
const BUDGET: u64 = 60_000_000;
/// How often the controller has read the metrics of a proxy, and how many bytes they had.
const SCRAPES: &str = "temporal_stack_mesh_scrapes_total{result=\"success\"}";
const BYTES: &str = "temporal_stack_mesh_scraped_bytes_total";

/// A pod with a proxy as the injector makes it, owned by the component itself.
fn pod(name: &str, kind: ComponentKind, role: &str, owner: &Value) -> Result<Pod> {
    let labels = json!({
        "app.kubernetes.io/managed-by": "temporal-stack",
        "app.kubernetes.io/component": kind.component(),
        "app.kubernetes.io/instance": NAME,
        "temporal-stack.dev/role": role,
        "linkerd.io/control-plane-ns": "linkerd",
    });
    let annotations = json!({
        "linkerd.io/inject": "enabled",
        "config.linkerd.io/shutdown-grace-period": "5s",
        "config.linkerd.io/proxy-outbound-discovery-cache-unused-timeout": "300s",
    });
    let container = |name: &str| json!({"name": name, "image": "registry.invalid/nothing:0"});
    let mut proxy = container(linkerd::PROXY);
    proxy["restartPolicy"] = json!("Always");
    Ok(serde_json::from_value(json!({
        "metadata": {"name": name, "labels": labels, "annotations": annotations, "ownerReferences": [owner]},
        "spec": {"initContainers": [proxy], "containers": [container("program")], "terminationGracePeriodSeconds": 0},
    }))?)
}

/// The owner reference to a component.
async fn owner<K: e2e::Subject>(mesh: &Meshes<'_>, spec: &Value) -> Result<Value> {
    let object = mesh.one::<K>().create(spec).await?;
    Ok(json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()), "name": object.name_any(),
        "uid": object.uid().context("no uid")?, "controller": true,
    }))
}

/// Pods of four components, each of which reports what the proxy of such a pod was recorded to report.
async fn pods(mesh: &Meshes<'_>) -> Result<Vec<Proxy>> {
    e2e::until(&mesh.api::<ServiceAccount>(), "default", "been made", |_| true).await?;
    let reference = json!({"name": NAME});
    let temporal = json!({"database": reference, "queue": reference, "ipfs": reference});
    let parts = [
        (ComponentKind::PostgresDatabase, "", owner::<PostgresDatabase>(mesh, &json!({})).await?),
        (ComponentKind::MessageQueue, "", owner::<MessageQueue>(mesh, &json!({})).await?),
        (ComponentKind::IpfsCluster, "", owner::<IpfsCluster>(mesh, &json!({})).await?),
        (ComponentKind::Temporal, "api", owner::<Temporal>(mesh, &temporal).await?),
    ];
    let mut proxies = Vec::new();
    for (kind, role, _) in &parts {
        // One for all pods of a component: the controller asks it once for each of them.
        proxies.push(Proxy::start(kind.component(), role, &mesh.name).await?);
    }
    for number in 0..PODS {
        let ((kind, role, owner), proxy) = (&parts[number % parts.len()], &proxies[number % parts.len()]);
        let name = format!("{}-{number}", kind.component());
        mesh.api::<Pod>().create(&PostParams::default(), &pod(&name, *kind, role, owner)?).await?;
        linkerd::runs_at(mesh, &name, proxy.address).await?;
    }
    Ok(proxies)
}

/// The reads of metrics so far, and their bytes.
fn scraped(controller: &Controller) -> Result<(u64, u64)> {
    let metrics = controller.metrics()?;
    Ok((metrics.count(SCRAPES), metrics.count(BYTES)))
}

fn held(controller: &Controller, when: &str) -> Result<u64> {
    let held = controller.metrics()?.resident_memory().context("no resident memory is reported")?;
    println!("{held} bytes resident {when}, at most {} until then", controller.peak_memory()?);
    ensure!(held < BUDGET, "{held} bytes {when}");
    Ok(held)
}

/// Waits until all proxies have been read once more.
async fn round(controller: &Controller) -> Result<()> {
    let before = scraped(controller)?.0;
    let pods = u64::try_from(PODS)?;
    controller.until("a round over all proxies", |metrics| metrics.count(SCRAPES) >= before + pods).await.map(drop)
}

#[tokio::test]
async fn hundred_pods_are_read_within_bounds() {
    with_mesh(async |mesh, controller| {
        let idle = held(controller, "without pods")?;
        let _proxies = pods(mesh).await?;
        let requests = controller.requests()?.of_passes();
        mesh.create(&json!({"policy": "Audit"})).await?;
        mesh.ready().await?;
        round(controller).await?;
        let full_of_pods = held(controller, &format!("with {PODS} pods"))?;
        println!("{} bytes for each pod", full_of_pods.saturating_sub(idle) / u64::try_from(PODS)?);
        println!("requests before:\n{requests}and until the Mesh is Ready:\n{}", controller.requests()?.of_passes());

        let before = quiet(mesh, controller).await?;
        let (scrapes, bytes) = scraped(controller)?;
        let passes = if full() { 1000 } else { 20 };
        for _ in 0..passes {
            look(mesh, controller).await?;
        }
        let after = controller.requests()?.of_passes();
        ensure!(after == before, "{passes} passes made requests; before:\n{before}after:\n{after}");
        round(controller).await?;
        let (more, read) = scraped(controller)?;
        println!("{} reads with {} bytes in {passes} passes and a round", more - scrapes, read - bytes);
        held(controller, "after some rounds")?;
        let status = mesh.get().await?.status.unwrap_or_default();
        ensure!(status.injected.as_deref() == Some("100/100"), "{:?}", status.injected);
        ensure!(!status.traffic.is_empty(), "no edge was found among the recorded metrics");
        Ok(())
    })
    .await;
}
