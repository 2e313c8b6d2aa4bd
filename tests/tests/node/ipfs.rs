//! The IPFS controller on a cluster that runs pods: each test in a namespace of its own, side by side.

mod configuration;
mod deletion;
mod faults;
mod health;
mod network;
mod performance;
mod restart;
mod room;
mod scale;
mod suspension;
mod transfer;

use std::collections::BTreeMap;

use anyhow::Result;
use e2e::{Controller, Needs, One, Stopwatch, Subject as _, full, host::restarts, until_gone, with_namespace};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt as _, api::ListParams};
use serde_json::{Value, json};
use temporal_stack_common::api::IpfsCluster;

use crate::cluster;

/// Names the images of Kubo and IPFS Cluster, with a comma between them, and with that says that each test is to start a
/// controller of its own, the one that cargo has built: to try a change without installing it. The installed controller must
/// have been scaled to 0.
const OWN: &str = "TEMPORAL_STACK_TEST_OWN_CONTROLLER";

/// The images, if each test has a controller of its own.
fn own_images() -> Option<(String, String)> {
    let images = std::env::var(OWN).ok()?;
    let (kubo, cluster) = images.split_once(',').expect("two images with a comma between them");
    Some((kubo.to_owned(), cluster.to_owned()))
}

/// What a test with so many peers needs.
fn peers(count: u32) -> Needs {
    Needs::pods::<IpfsCluster>(count)
}

/// Runs a test in a namespace of its own, about the cluster of peers there, when it is its turn.
async fn with_ipfs(needs: Needs, test: impl AsyncFnOnce(&One<'_, IpfsCluster>) -> Result<()>) {
    let _turn = needs.turn().await;
    with_another(test).await;
}

/// The same within the turn of a test that has one already.
async fn with_another(test: impl AsyncFnOnce(&One<'_, IpfsCluster>) -> Result<()>) {
    with_namespace(&cluster(), async |space| {
        let _controller =
            if own_images().is_some() { Some(Controller::start::<IpfsCluster>(space).await?) } else { None };
        test(&space.one()).await
    })
    .await;
}

/// A spec of a private network with so many peers, small enough for many of them, with these fields of the provider.
fn of_size(replicas: u32, more: &Value) -> Value {
    let small = json!({"requests": {"cpu": "10m", "memory": "64Mi"}});
    let mut provider = json!({"storage": {"size": "1Gi"}, "resources": small, "clusterResources": small});
    if let Some((kubo, cluster)) = own_images() {
        provider["image"] = json!(kubo);
        provider["clusterImage"] = json!(cluster);
    }
    for (key, value) in more.as_object().into_iter().flatten() {
        provider[key] = value.clone();
    }
    let mut spec = IpfsCluster::provider(&provider);
    spec["replicas"] = json!(replicas);
    spec["network"] = json!("private");
    spec
}

/// Makes a cluster of peers and waits until it is Ready.
async fn made(ipfs: &One<'_, IpfsCluster>, spec: &Value) -> Result<Stopwatch> {
    let mut watch = Stopwatch::new();
    ipfs.create(spec).await?;
    ipfs.ready().await?;
    watch.step("Ready after");
    Ok(watch)
}

/// Sets the number of peers, and waits until the cluster is Ready with it.
async fn scaled(ipfs: &One<'_, IpfsCluster>, from: u32, to: u32) -> Result<()> {
    ipfs.patch(&json!({"spec": {"replicas": to}})).await?;
    ipfs.ready().await?;
    for ordinal in to..from {
        until_gone(&ipfs.api::<Pod>(), &IpfsCluster::pod(ordinal)).await?;
    }
    Ok(())
}

/// One number for the default run, and a larger one for the full run.
fn count(usual: usize, larger: usize) -> usize {
    if full() { larger } else { usual }
}

/// Which pods there are, and how often their containers were started again: the same while nothing was restarted.
type Lives = BTreeMap<String, (Option<String>, i32)>;

async fn lives(ipfs: &One<'_, IpfsCluster>) -> Result<Lives> {
    let pods = ipfs.api::<Pod>().list(&ListParams::default().labels("app.kubernetes.io/name=ipfs")).await?;
    Ok(pods.iter().map(|pod| (pod.name_any(), (pod.uid(), restarts(pod)))).collect())
}

/// Who the peers are, in IPFS Cluster and as Kubos.
async fn identities(ipfs: &One<'_, IpfsCluster>, peers: u32) -> Result<Vec<(String, String)>> {
    let mut ids = Vec::new();
    for peer in ipfs.peers(peers).await? {
        ids.push((peer.id().await?.id, peer.kubo_id().await?));
    }
    Ok(ids)
}

/// Blocks that are all different.
fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rand::fill(&mut bytes[..]);
    bytes
}
