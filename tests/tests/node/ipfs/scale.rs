use anyhow::{Result, ensure};
use e2e::{
    One, Pinset, Stopwatch,
    peers::{Peer, until_answer},
    pinset::Holders,
};
use serde_json::json;
use temporal_stack_common::{
    api::IpfsCluster,
    condition::{self, READY},
};
use tokio::sync::watch;

use crate::ipfs::{Lives, count, lives, made, of_size, peers, random, scaled, with_ipfs};

/// Two copies are needed, and three wanted.
const SOME: (i32, i32) = (2, 3);
/// A copy on every peer.
const EVERYWHERE: (i32, i32) = (-1, -1);

/// How many copies there are that there were not before.
fn moved(before: &Holders, after: &Holders) -> usize {
    after
        .iter()
        .map(|(cid, holders)| before.get(cid).map_or(holders.len(), |old| holders.difference(old).count()))
        .sum()
}

/// Fails unless each of the pods is among others, and was not restarted.
fn are_untouched(pods: &Lives, among: &Lives) -> Result<()> {
    let touched: Vec<_> = pods.iter().filter(|(pod, life)| among.get(*pod) != Some(life)).collect();
    ensure!(touched.is_empty(), "peers were restarted: {touched:?} are no more among {among:?}");
    Ok(())
}

#[tokio::test]
async fn scaling_to_five_and_two_keeps_floor_bytes_and_options() {
    with_ipfs(peers(5), async |ipfs| {
        let mut watch = made(ipfs, &of_size(3, &json!({}))).await?;
        let mut pins = Pinset::default();
        let three = ipfs.peers(3).await?;
        pins.grow(&three, count(100, 1000), SOME).await?;
        pins.grow(&three, count(10, 100), EVERYWHERE).await?;
        pins.heals(&three).await?;
        watch.step(&format!("{} pins at three peers after", pins.len()));

        let lives_before = lives(ipfs).await?;
        scaled(ipfs, 3, 5).await?;
        watch.step("five peers after");
        are_untouched(&lives_before, &lives(ipfs).await?)?;
        let five = ipfs.peers(5).await?;
        // Those of before have enough copies without the two: these have not.
        pins.grow(&five, count(50, 500), SOME).await?;
        let before = pins.heals(&five).await?;
        watch.step(&format!("{} pins at five peers after", pins.len()));
        let on_leavers =
            |holders: &&std::collections::BTreeSet<usize>| holders.iter().filter(|peer| **peer < 2).count() < 2;
        let short = before.values().filter(on_leavers).count();
        ensure!(short > 0, "no pin would be short without the leavers");

        let lives_before = lives(ipfs).await?;
        scaled(ipfs, 5, 2).await?;
        watch.step(&format!("from five peers to two, {short} of {} pins short without the leavers,", pins.len()));
        are_untouched(&lives(ipfs).await?, &lives_before)?;
        let two = ipfs.peers(2).await?;
        let after = pins.is_kept(&two).await?;
        println!("{} copies moved", moved(&before, &after));
        watch.step("all was read back after");
        ipfs.condition("PinsHealthy", "True", "FullyReplicated").await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn single_peer_shares_its_pins_with_two_more() {
    with_ipfs(peers(3), async |ipfs| {
        let mut watch = made(ipfs, &of_size(1, &json!({}))).await?;
        ipfs.condition_about("PeersConnected", "True", "SinglePeer", &["spec.replicas"]).await?;
        let mut pins = Pinset::default();
        let one = ipfs.peers(1).await?;
        pins.grow(&one, count(50, 500), (1, 3)).await?;
        pins.grow(&one, count(10, 100), EVERYWHERE).await?;
        pins.heals(&one).await?;
        let before = lives(ipfs).await?;
        watch.step(&format!("{} pins at a single peer after", pins.len()));
        scaled(ipfs, 1, 3).await?;
        watch.step("three peers after");
        let three = ipfs.peers(3).await?;
        pins.grow(&three, count(10, 100), SOME).await?;
        pins.heals(&three).await?;
        watch.step(&format!("{} pins at three peers after", pins.len()));
        are_untouched(&before, &lives(ipfs).await?)
    })
    .await;
}

/// Uploads and pins through the Service until it is told to end; says how often it had to do so again.
async fn client(service: Peer, until: watch::Receiver<bool>) -> Result<(Pinset, u32)> {
    let (mut pins, mut again) = (Pinset::default(), 0);
    while !*until.borrow() {
        again += pins.add(&service, SOME).await?;
    }
    Ok((pins, again))
}

async fn is_refused_and_then_goes_on(ipfs: &One<'_, IpfsCluster>, demanding: &mut Pinset) -> Result<()> {
    let mut watch = Stopwatch::new();
    let before = lives(ipfs).await?;
    ipfs.patch(&json!({"spec": {"replicas": 2}})).await?;
    let first = demanding.cids().next().expect("a pin").as_str();
    let count = format!("{} pins have a replication minimum of up to 3, more than 2 peers can hold", demanding.len());
    let parts = [count.as_str(), first, "lower their replication", "spec.replicas to 3"];
    ipfs.condition_about(READY, "False", "ScaleDownBlocked", &parts).await?;
    watch.step("not enough peers, as said after");
    ensure!(lives(ipfs).await? == before, "a peer has left");
    demanding.replicate(&ipfs.peer(0).await?, SOME).await?;
    scaled(ipfs, 3, 2).await?;
    watch.step("the replication was lowered; two peers after");
    Ok(())
}

#[tokio::test]
async fn needed_peer_stays_and_clients_lose_nothing_meanwhile() {
    with_ipfs(peers(3), async |ipfs| {
        made(ipfs, &of_size(3, &json!({}))).await?;
        let three = ipfs.peers(3).await?;
        let mut demanding = Pinset::default();
        demanding.grow(&three, 3, (3, 3)).await?;
        demanding.heals(&three).await?;
        // With these a list of all pins takes its time, and the client pins more meanwhile.
        let mut others = Pinset::default();
        others.grow(&three, count(200, 1000), SOME).await?;

        let (end, until) = watch::channel(false);
        let story = async {
            let result = is_refused_and_then_goes_on(ipfs, &mut demanding).await;
            end.send_replace(true);
            result
        };
        let (result, clients) = tokio::join!(story, client(ipfs.service().await?, until));
        result?;
        let (pins, again) = clients?;
        println!("the client has pinned {} files meanwhile, and had to try {again} times again", pins.len());
        ensure!(pins.len() > 10, "the client has pinned {} files", pins.len());
        pins.and(demanding).and(others).heals(&ipfs.peers(2).await?).await?;
        ipfs.condition(condition::READY, "True", "Verified").await.map(drop)
    })
    .await;
}

/// How large a file is that takes its time to be copied.
const LARGE: usize = 64 << 20;

#[tokio::test]
async fn leaving_peer_waits_until_its_upload_has_been_copied() {
    with_ipfs(peers(3), async |ipfs| {
        let mut watch = made(ipfs, &of_size(3, &json!({}))).await?;
        let peers = ipfs.peers(3).await?;
        let content = random(LARGE);
        let cid = peers[2].add(std::slice::from_ref(&content)).await?.remove(0);
        watch.step("a large file was uploaded to a peer after");
        let id = peers[0].id().await?.id;
        let one = [("replication-min", "1"), ("replication-max", "1"), ("user-allocations", id.as_str())];
        peers[0].pin(&cid, &one).await?;
        ensure!(!peers[0].holds().await?.contains(&cid), "the file was copied in no time");
        scaled(ipfs, 3, 2).await?;
        watch.step("it was pinned on another, and the peer has left after");
        let ask = async || peers[0].holds().await;
        until_answer("the large file to be pinned", ask, |held| held.contains(&cid)).await?;
        ensure!(peers[0].read(&cid).await? == content, "other bytes are read");
        Ok(())
    })
    .await;
}
