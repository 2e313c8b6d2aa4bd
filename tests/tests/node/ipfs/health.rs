use anyhow::{Context as _, Result, ensure};
use e2e::{
    One, Pinset, Stopwatch, Subject as _,
    host::{Signal, signal_program},
    peers::{Copy, Peer, until_answer},
};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Condition};
use serde_json::json;
use temporal_stack_common::{api::IpfsCluster, condition};

use crate::ipfs::{count, lives, made, of_size, peers, with_ipfs};

/// How often a copy is tried before it is left to the user.
const MOST: u32 = 5;

/// Waits until all copies of a pin have failed, after at least so many tries.
async fn failed(peer: &Peer, cid: &str, tries: u32) -> Result<Vec<Copy>> {
    let ask = async || Ok(peer.copies(cid).await?.into_values().collect());
    let is_failed =
        |copies: &Vec<Copy>| copies.iter().all(|copy| copy.status == "pin_error" && copy.attempt_count >= tries);
    until_answer(&format!("{cid} to have failed {tries} times"), ask, is_failed).await
}

#[tokio::test]
async fn unavailable_pin_is_tried_five_times_and_delays_no_other() {
    with_ipfs(peers(2), async |ipfs| {
        // Only the controller is to try again.
        let config = json!({"CLUSTER_IPFSHTTP_PINTIMEOUT": "5s", "CLUSTER_PINRECOVERINTERVAL": "1h"});
        let mut watch = made(ipfs, &of_size(2, &json!({"clusterConfig": config}))).await?;
        let all = ipfs.peers(2).await?;
        let peer = &all[0];
        let nobodys = peer.cid_of(rand::random::<[u8; 32]>().to_vec()).await?;
        peer.pin(&nobodys, &[]).await?;
        let parts =
            ["2 copies could not be created or removed", nobodys.as_str(), "context canceled", "retried with backoff"];
        ipfs.condition_about("PinsHealthy", "False", "PinErrors", &parts).await?;
        watch.step("a pin that nobody has is told after");
        failed(peer, &nobodys, 2).await?;
        watch.step("the controller has had it tried again after");

        let mut pins = Pinset::default();
        pins.grow(&all, count(20, 200), (-1, -1)).await?;
        let ask = async || pins.holders(&all).await;
        let is_everywhere = |holders: &e2e::pinset::Holders| holders.values().all(|holders| holders.len() == 2);
        until_answer("the other pins", ask, is_everywhere).await?;
        watch.step(&format!("{} other pins on both peers after", pins.len()));

        for tries in 3..=MOST {
            peer.recover(&nobodys).await?;
            failed(peer, &nobodys, tries).await?;
        }
        let parts = [nobodys.as_str(), "failed 5 times and are no longer retried", "ipfs-cluster-ctl recover", "unpin"];
        ipfs.condition_about("PinsHealthy", "False", "PinErrors", &parts).await?;
        watch.step("that it waits for the user is told after");
        // Another one, which the controller has tried again, shows that it has not looked away.
        let another = peer.cid_of(rand::random::<[u8; 32]>().to_vec()).await?;
        peer.pin(&another, &[]).await?;
        failed(peer, &another, 2).await?;
        let copies = failed(peer, &nobodys, MOST).await?;
        ensure!(copies.iter().all(|copy| copy.attempt_count == MOST), "it was tried again: {copies:?}");

        for cid in [&nobodys, &another] {
            peer.unpin(cid).await?;
        }
        ipfs.condition("PinsHealthy", "True", "FullyReplicated").await?;
        watch.step("both were unpinned; all is healthy after");
        pins.heals(&all).await?;
        Ok(())
    })
    .await;
}

/// Waits until it is said that this peer is not connected.
async fn is_missed(ipfs: &One<'_, IpfsCluster>, pod: &str) -> Result<Condition> {
    let missed = |object: &IpfsCluster| {
        let conditions = object.status.iter().flat_map(|status| &status.conditions);
        let is_it = |condition: &&Condition| condition.type_ == "PeersConnected" && condition.status == "False";
        conditions.into_iter().find(is_it).filter(|condition| condition.message.contains(pod)).cloned()
    };
    let object = ipfs.until(&format!("PeersConnected False, naming {pod}"), |object| missed(object).is_some()).await?;
    missed(&object).context("it was there")
}

/// A program of a peer stops, and goes on: the peer is named meanwhile, and nothing is restarted.
pub(crate) async fn stopped_programs_are_named(
    ipfs: &One<'_, IpfsCluster>,
    pins: &Pinset,
    watch: &mut Stopwatch,
) -> Result<()> {
    ipfs.condition("PeersConnected", "True", "AllConnected").await?;
    let before = lives(ipfs).await?;
    for program in ["ipfs-cluster-service", "ipfs"] {
        let pod = ipfs.api::<Pod>().get(&IpfsCluster::pod(2)).await?;
        watch.step("all peers answer after");
        signal_program(&pod, program, Signal::STOP)?;
        let parts = is_missed(ipfs, &IpfsCluster::pod(2)).await;
        signal_program(&pod, program, Signal::CONT)?;
        let parts = parts?;
        watch.step(&format!("{program} of a peer does not answer; {} after", parts.reason));
        ipfs.condition("PeersConnected", "True", "AllConnected").await?;
        ipfs.condition(condition::READY, "True", "Verified").await?;
        watch.step("it answers again; Ready after");
    }
    ensure!(lives(ipfs).await? == before, "a peer was restarted");
    pins.heals(&ipfs.peers(3).await?).await?;
    Ok(())
}
