//! Proxies come into pods, in which order, and what is said while some lack one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Needs, One, Space, Stopwatch,
    linkerd::node::{INJECTOR, scaled},
    subject::{NAME, condition_of, says},
};
use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{ResourceExt as _, api::DeleteParams};
use serde_json::json;
use temporal_stack_common::{
    api::{IpfsCluster, Kind, Mesh, MessageQueue, PostgresDatabase, Temporal, annotation},
    condition::READY,
};

use crate::{
    mesh::{all_are_proxied, component, is_proxied, pods, with_linkerd},
    temporal::defaults::{WEIGHT, keeps_an_upload, made},
};

/// The order in which components restart.
const ORDER: [&str; 4] = ["database", "queue", "ipfs", "temporal"];

/// What the object counts: pods with a current proxy, and all.
async fn injected(mesh: &One<'_, Mesh>) -> Result<String> {
    let status = mesh.get().await?.status.unwrap_or_default();
    status.injected.context("no number of injected pods")
}

pub(super) async fn every_pod_has_a_proxy(mesh: &One<'_, Mesh>, temporal: &One<'_, Temporal>) -> Result<()> {
    let mut watch = Stopwatch::new();
    let count = all_are_proxied(mesh).await?;
    ensure!(injected(mesh).await? == format!("{count}/{count}"), "{}", injected(mesh).await?);
    mesh.ready().await?;
    watch.step("the mesh Ready after");
    mesh.one::<PostgresDatabase>().ready().await?;
    mesh.one::<MessageQueue>().ready().await?;
    mesh.one::<IpfsCluster>().ready().await?;
    keeps_an_upload(mesh, temporal).await
}

#[tokio::test]
async fn pods_from_before_are_listed_and_restarted_when_asked() {
    with_linkerd(Needs::whole(WEIGHT), async |mesh, _| {
        let temporal = made(mesh).await?;
        let before = pods(mesh).await?;
        mesh.create(&json!({})).await?;
        let parts = [annotation::RESTART, "temporal-postgresdatabase-0"];
        let said = mesh.condition_about("Injected", "False", "ProxiesMissing", &parts).await?;
        ensure!(injected(mesh).await? == format!("0/{}", before.len()), "{}: {}", injected(mesh).await?, said.message);
        for (name, pod) in pods(mesh).await? {
            ensure!(before.get(&name).is_some_and(|old| old.uid() == pod.uid()), "{name} was replaced unasked");
        }
        let mut watch = Stopwatch::new();
        mesh.patch(&json!({"spec": {"rollout": "Automatic"}})).await?;
        mesh.condition("Injected", "True", "AsExpected").await?;
        watch.step("the whole stack was restarted with proxies after");
        all_are_proxied(mesh).await?;
        in_order(&pods(mesh).await?)?;
        temporal.ready().await?;
        mesh.ready().await?;
        keeps_an_upload(mesh, &temporal).await
    })
    .await;
}

/// Fails unless all pods of a component came before the first pod of the next one.
fn in_order(pods: &BTreeMap<String, Pod>) -> Result<()> {
    let mut last: Option<(Timestamp, String)> = None;
    for wanted in ORDER {
        let of = || pods.values().filter(move |pod| component(pod) == wanted);
        let times = || of().filter_map(|pod| Some((pod.creation_timestamp()?.0, pod.name_any())));
        let first = times().min().with_context(|| format!("no pod of the {wanted}"))?;
        if let Some((time, name)) = &last {
            ensure!(first.0 >= *time, "{} came before {name}", first.1);
        }
        last = times().max();
    }
    Ok(())
}

#[tokio::test]
async fn pod_that_came_without_the_injector_is_named_and_replaced() {
    // The injector is of all tests with a mesh.
    with_linkerd(Needs::whole(WEIGHT).ending::<Mesh>(), async |mesh, plane| {
        mesh.create(&json!({"rollout": "Automatic"})).await?;
        let temporal = made(mesh).await?;
        mesh.condition("Injected", "True", "AsExpected").await?;
        scaled(plane, INJECTOR, 0).await?;
        let result = without_injector(mesh).await;
        scaled(plane, INJECTOR, 1).await?;
        let name = result?;
        mesh.condition("MeshInstalled", "True", "AsExpected").await?;
        mesh.condition("Injected", "True", "AsExpected").await?;
        ensure!(pods(mesh).await?.get(&name).is_some_and(is_proxied), "{name} has no proxy");
        temporal.ready().await.map(drop)
    })
    .await;
}

/// A pod is made without a proxy, and stays while there is no injector; returns its name.
async fn without_injector(mesh: &One<'_, Mesh>) -> Result<String> {
    mesh.condition_about("MeshInstalled", "False", "ControlPlaneDown", &[INJECTOR]).await?;
    let name = "temporal-temporal-krab-0";
    let api = mesh.api::<Pod>();
    let old = api.get(name).await?.uid();
    api.delete(name, &DeleteParams::default()).await?;
    let bare = e2e::until(&api, name, "been made again", |pod| pod.uid() != old).await?;
    ensure!(!is_proxied(&bare), "{name} has a proxy although there is no injector");
    mesh.condition_about("Injected", "False", "ProxiesMissing", &[name]).await?;
    ensure!(
        api.get(name).await?.uid() == bare.uid(),
        "a pod was restarted although the next one would lack a proxy, too"
    );
    Ok(name.to_owned())
}

pub(super) async fn deleted_mesh_leaves_a_working_stack(
    mesh: &One<'_, Mesh>,
    temporal: &One<'_, Temporal>,
) -> Result<()> {
    mesh.condition("Injected", "True", "AsExpected").await?;
    temporal.ready().await?;
    let lives = async || {
        let pods = pods(mesh).await?.into_iter();
        anyhow::Ok(pods.map(|(name, pod)| (name, pod.uid(), is_proxied(&pod))).collect::<BTreeSet<_>>())
    };
    let before = lives().await?;
    mesh.objects().delete(NAME, &DeleteParams::default()).await?;
    e2e::until_gone(&mesh.objects(), NAME).await?;
    temporal.ready().await?;
    keeps_an_upload(mesh, temporal).await?;
    let after = lives().await?;
    ensure!(after == before, "pods were replaced unasked: {before:?} became {after:?}");
    Ok(())
}

/// Whether an object is Ready.
fn is_ready<K: Kind>(object: &K) -> bool {
    says(object, READY, "True", "Verified")
}

/// Restarts the only node of the queue, and returns the reasons that were given until it was Ready again.
async fn restarts_alone(space: &Space) -> Result<BTreeSet<String>> {
    let queue = space.one::<MessageQueue>();
    let before = space.api::<Pod>().get("temporal-messagequeue-0").await?.uid();
    queue.annotate(annotation::RESTART, &json!("alone")).await?;
    let reasons = Mutex::new(BTreeSet::new());
    let is_over = |object: &MessageQueue| {
        let reason = condition_of(object, READY).map(|ready| ready.reason.clone());
        let mut reasons = reasons.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.extend(reason);
        // The one from before the restart is not the last.
        reasons.len() > 1 && is_ready(object)
    };
    queue.until("restarted and Ready", is_over).await?;
    let after = space.api::<Pod>().get("temporal-messagequeue-0").await?;
    ensure!(after.uid() != before && is_proxied(&after), "the node was not restarted beside a proxy");
    ensure!(is_ready(&space.one::<PostgresDatabase>().get().await?), "the database was disturbed");
    Ok(reasons.into_inner().unwrap_or_else(PoisonError::into_inner))
}

pub(super) async fn restart_beside_a_proxy_is_short(mesh: &One<'_, Mesh>, temporal: &One<'_, Temporal>) -> Result<()> {
    let pod = mesh.api::<Pod>().get("temporal-messagequeue-0").await?;
    let grace = pod.annotations().get("config.linkerd.io/shutdown-grace-period");
    ensure!(grace.is_some_and(|grace| grace == "5s"), "the proxy would wait for two minutes: {grace:?}");
    let mut watch = Stopwatch::new();
    let reasons = restarts_alone(mesh).await?;
    // The sidecar runs for as long as the pod, and is no preparation that waits for a lost volume.
    ensure!(!reasons.contains("NoRunningMember"), "{reasons:?}");
    watch.step("a node of RabbitMQ restarted beside its proxy after");
    temporal.ready().await.map(drop)
}
