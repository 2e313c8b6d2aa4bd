use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use e2e::{One, Pinset, Subject as _, Witness, host::environment, peers::until_answer};
use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use serde_json::{Value, json};
use temporal_stack_common::{api::IpfsCluster, condition::READY};

use crate::ipfs::{count, lives, made, of_size, peers, with_ipfs};

const PEERS: u32 = 3;
/// How long a pin may be on its way, in seconds.
const NEW: i64 = 60;
/// The label of the pods.
const IPFS: &str = "ipfs";

/// What each Kubo is configured with, and the environment of the IPFS Cluster beside it.
async fn configured(ipfs: &One<'_, IpfsCluster>) -> Result<Vec<(Value, BTreeMap<String, String>)>> {
    let mut all = Vec::new();
    for ordinal in 0..PEERS {
        let pod = ipfs.api::<Pod>().get(&IpfsCluster::pod(ordinal)).await?;
        all.push((ipfs.peer(ordinal).await?.config().await?, environment(&pod, "ipfs-cluster-service")?));
    }
    Ok(all)
}

#[tokio::test]
async fn settings_reach_one_peer_at_a_time_and_wait_for_pins() {
    with_ipfs(peers(PEERS), async |ipfs| {
        let mut watch = made(ipfs, &of_size(PEERS, &json!({}))).await?;
        let peers = ipfs.peers(PEERS).await?;
        let mut pins = Pinset::default();
        pins.grow(&peers, count(50, 500), (2, 3)).await?;
        pins.grow(&peers, count(10, 100), (-1, -1)).await?;
        pins.heals(&peers).await?;

        // A copy that only Kubo knows to be missing.
        let lost = pins.cids().find(|cid| pins.is_everywhere(cid)).context("no pin is everywhere")?;
        peers[1].lose(lost).await?;
        let nobodys = peers[0].cid_of(rand::random::<[u8; 32]>().to_vec()).await?;
        peers[0].pin(&nobodys, &[]).await?;
        let before = lives(ipfs).await?;
        let witness = Witness::start(ipfs, IPFS).await?;
        let (timeout, interval) = ("CLUSTER_IPFSHTTP_PINTIMEOUT", "CLUSTER_DISK_METRICTTL");
        let set = json!({
            "pubsub": true,
            "kuboConfig": {"Gateway": {"NoFetch": true}},
            "clusterConfig": {timeout: "7m0s", interval: "8s"},
        });
        ipfs.patch_provider(&set).await?;
        // What was just pinned may still be on its way; later it is short, and no peer is restarted.
        until_answer("a peer to restart", async || lives(ipfs).await, |now| *now != before).await?;
        ipfs.peer(0).await?.unpin(&nobodys).await?;
        ipfs.ready().await?;
        watch.step("settings were changed; all peers restarted after");
        ensure!(witness.least() == 2, "{} peers were ready", witness.least());
        for (kubo, cluster) in configured(ipfs).await? {
            ensure!(kubo["Pubsub"]["Enabled"] == true && kubo["Gateway"]["NoFetch"] == true, "{kubo:#}");
            ensure!(cluster[timeout] == "7m0s" && cluster[interval] == "8s", "{cluster:#?}");
        }
        let after = lives(ipfs).await?;
        ensure!(before.iter().all(|(pod, life)| after[pod].0 != life.0), "a pod was not restarted");

        ipfs.peer(0).await?.pin(&nobodys, &[]).await?;
        let ask = async || {
            Ok(Timestamp::now().as_second() - ipfs.peer(0).await?.allocations().await?[&nobodys].timestamp.as_second())
        };
        until_answer("a pin to be no more a new one", ask, |age| *age > NEW).await?;
        watch.step("a pin that nobody has is no more a new one after");
        let back = json!({"pubsub": null, "kuboConfig": null, "clusterConfig": null});
        ipfs.patch_provider(&back).await?;
        let parts = ["will be restarted when it is safe", "1 pin", "replication minimum", nobodys.as_str()];
        ipfs.condition_about(READY, "False", "Applying", &parts).await?;
        ensure!(lives(ipfs).await? == after, "a peer was restarted while a pin was short");
        watch.step("taken back; that no peer is restarted while a pin is short is told after");
        ipfs.peer(0).await?.unpin(&nobodys).await?;
        ipfs.ready().await?;
        watch.step("it was unpinned; all peers restarted after");
        ensure!(witness.least() == 2, "{} peers were ready", witness.least());
        for (kubo, cluster) in configured(ipfs).await? {
            ensure!(kubo["Pubsub"]["Enabled"] == false && kubo["Gateway"]["NoFetch"].is_null(), "{kubo:#}");
            ensure!(!cluster.contains_key(timeout) && cluster[interval] == "10s", "{cluster:#?}");
        }
        pins.heals(&ipfs.peers(PEERS).await?).await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn invalid_kubo_setting_stops_one_peer_and_the_others_go_on() {
    with_ipfs(peers(PEERS), async |ipfs| {
        let mut watch = made(ipfs, &of_size(PEERS, &json!({}))).await?;
        let peers = ipfs.peers(PEERS).await?;
        let mut pins = Pinset::default();
        pins.grow(&peers, count(20, 200), (2, 2)).await?;
        pins.heals(&peers).await?;
        let before = lives(ipfs).await?;
        let witness = Witness::start(ipfs, IPFS).await?;
        ipfs.patch_provider(&json!({"kuboConfig": {"Gateway": {"PublicGateways": {"example.com": "yes"}}}})).await?;
        let parts = [IpfsCluster::pod(2), "cannot unmarshal string into Go struct field".to_owned()];
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        ipfs.condition_about(READY, "False", "Applying", &parts).await?;
        watch.step("Kubo's own words are in the condition after");
        ipfs.condition("PeersConnected", "False", "PeersNotReady").await?;
        // Clients are served by the others meanwhile, and what they pin is pinned.
        let service = ipfs.service().await?;
        for _ in 0..10 {
            pins.add(&service, (1, 2)).await?;
        }
        // Something else to do for the controller, so that it would have gone on to the next pod by now.
        ipfs.annotate("e2e", &json!("look")).await?;
        ipfs.condition("PeersConnected", "False", "PeersNotReady").await?;
        let remaining = lives(ipfs).await?;
        ensure!(before.iter().filter(|(pod, life)| remaining.get(*pod) == Some(life)).count() == 2, "{remaining:?}");
        ensure!(witness.least() == 2, "{} peers were ready", witness.least());

        ipfs.patch_provider(&json!({"kuboConfig": null})).await?;
        ipfs.ready().await?;
        watch.step("taken back; Ready after");
        ensure!(witness.least() == 2, "{} peers were ready", witness.least());
        pins.heals(&ipfs.peers(PEERS).await?).await?;
        Ok(())
    })
    .await;
}
