//! What all peers share, which takes one full stop and start.

use anyhow::{Result, ensure};
use e2e::{One, Pinset, Stopwatch, subject::says};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use temporal_stack_common::{
    api::{IpfsCluster, annotation::FULL_RESTART},
    condition::{CONFIG_HONOURED, READY},
};

use crate::ipfs::{count, identities, lives, made, of_size, peers, with_ipfs};

const PEERS: u32 = 2;

/// Writes the ConfigMap of the default name.
async fn give_secret(ipfs: &One<'_, IpfsCluster>, secret: &str) -> Result<()> {
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "ipfs-cluster-config"},
        "data": {"CLUSTER_SECRET": secret},
    });
    let params = PatchParams::apply("e2e").force();
    ipfs.api::<ConfigMap>().patch("ipfs-cluster-config", &params, &Patch::Apply(map)).await?;
    Ok(())
}

/// What was edited is refused with a remedy, and taken with a full stop when that is permitted.
async fn takes_a_full_stop(
    ipfs: &One<'_, IpfsCluster>,
    what: &str,
    permission: &str,
    pins: &Pinset,
    edit: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let (before, ids) = (lives(ipfs).await?, identities(ipfs, PEERS).await?);
    let mut watch = Stopwatch::new();
    edit().await?;
    let told = ipfs.condition_about(CONFIG_HONOURED, "False", "Refused", &[what, FULL_RESTART]).await?;
    watch.step(&format!("another {what} is refused after"));
    ensure!(!told.message.contains(&other_secret()), "the secret is in the condition");
    ipfs.ready().await?;
    pins.is_kept(&ipfs.peers(PEERS).await?).await?;
    ensure!(lives(ipfs).await? == before, "peers were restarted");

    ipfs.annotate(FULL_RESTART, &json!(permission)).await?;
    ipfs.until("the full stop", |object| says(object, READY, "False", "FullRestart")).await?;
    watch.step("all peers stop, as said after");
    ipfs.ready().await?;
    watch.step(&format!("Ready with the other {what} after"));
    let after = lives(ipfs).await?;
    let count = usize::try_from(PEERS)?;
    ensure!(after.len() == count && before.iter().all(|(pod, life)| after[pod].0 != life.0), "a peer was not stopped");
    ensure!(identities(ipfs, PEERS).await? == ids, "a peer is another one");
    pins.heals(&ipfs.peers(PEERS).await?).await?;
    Ok(())
}

fn secret() -> String {
    "0123456789abcdef".repeat(4)
}

fn other_secret() -> String {
    "fedcba9876543210".repeat(4)
}

#[tokio::test]
async fn changed_secret_or_network_waits_for_a_permitted_full_stop() {
    with_ipfs(peers(PEERS), async |ipfs| {
        give_secret(ipfs, &secret()).await?;
        let mut spec = of_size(PEERS, &json!({}));
        // The default: the public one.
        spec.as_object_mut().and_then(|spec| spec.remove("network"));
        made(ipfs, &spec).await?;
        ipfs.condition_about(CONFIG_HONOURED, "True", "Adapted", &["CLUSTER_SECRET", "is in a ConfigMap"]).await?;
        let peers = ipfs.peers(PEERS).await?;
        let mut pins = Pinset::default();
        pins.grow(&peers, count(30, 300), (1, 2)).await?;
        pins.grow(&peers, count(10, 100), (-1, -1)).await?;
        pins.heals(&peers).await?;

        let edit = async || give_secret(ipfs, &other_secret()).await;
        takes_a_full_stop(ipfs, "CLUSTER_SECRET", "first", &pins, edit).await?;
        let edit = async || ipfs.patch(&json!({"spec": {"network": "private"}})).await.map(drop);
        takes_a_full_stop(ipfs, "spec.network", "second", &pins, edit).await?;
        let config = ipfs.peer(0).await?.config().await?;
        ensure!(config["Bootstrap"] == json!([]) && config["Routing"]["Type"] == "none", "{config:#}");
        Ok(())
    })
    .await;
}
