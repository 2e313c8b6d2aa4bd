//! How many pins a second are taken with the controller and without it, and what the controller needs for many. Of the full run
//! only: times are printed, not asserted.

use std::{net::SocketAddr, time::Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Needs, Space, Subject as _, full,
    host::resident_memory,
    installed::{SYSTEM, installed},
    peers::Peer,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use serde_json::json;
use temporal_stack_common::{api::IpfsCluster, process::Scrape};

use crate::{
    in_namespace,
    ipfs::{made, of_size, own_images},
};

/// How many pins are made at once, as a busy client does.
const AT_ONCE: usize = 16;
/// How many pins a rate is measured with.
const SAMPLE: usize = 1000;
/// How many there are in the end.
const MANY: usize = 10_000;

/// What was added and is to be pinned.
async fn added(peer: &Peer, count: usize) -> Result<Vec<String>> {
    let salt = rand::random::<u64>();
    let files: Vec<Vec<u8>> = (0..count).map(|number| format!("{number} of {salt:016x}\n").into_bytes()).collect();
    let mut cids = Vec::new();
    for files in files.chunks(500) {
        cids.extend(peer.add(files).await?);
    }
    Ok(cids)
}

/// Pins all, and says how many a second were taken.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
async fn rate(peer: &Peer, cids: &[String]) -> Result<f64> {
    let began = Instant::now();
    let factors = [("replication-min", "2"), ("replication-max", "3")];
    let pinned = stream::iter(cids).map(Ok::<_, anyhow::Error>);
    pinned.try_for_each_concurrent(AT_ONCE, async |cid| peer.pin(cid, &factors).await).await?;
    Ok(cids.len() as f64 / began.elapsed().as_secs_f64())
}

/// The resident memory of the installed controller, in bytes.
async fn memory(space: &Space) -> Result<u64> {
    let pods = Api::<Pod>::namespaced(space.client.clone(), SYSTEM);
    let pods = pods.list(&ListParams::default().labels("app.kubernetes.io/name=ipfs-controller")).await?;
    let address = pods.items.first().and_then(|pod| pod.status.as_ref()?.pod_ip.clone()).context("no controller")?;
    let admin = SocketAddr::new(address.parse()?, 8080);
    Scrape::read(admin)?.resident_memory().context("the metrics have no memory")
}

#[tokio::test]
async fn ten_thousand_pins_do_not_grow_the_controller() {
    if !full() || own_images().is_some() {
        println!("not measured: it takes minutes, and the installed controller");
        return;
    }
    in_namespace(Needs::alone(), async |space| {
        let ipfs = &space.one::<IpfsCluster>();
        made(ipfs, &of_size(3, &json!({}))).await?;
        let peer = &ipfs.peer(0).await?;
        let before = memory(space).await?;
        let pod = space.api::<Pod>().get(&IpfsCluster::pod(0)).await?;
        let peer_before = resident_memory(&pod);
        let with = rate(peer, &added(peer, SAMPLE).await?).await?;
        installed::<IpfsCluster>(space, 0).await?;
        let without = rate(peer, &added(peer, SAMPLE).await?).await;
        installed::<IpfsCluster>(space, 1).await?;
        println!("pins a second: {with:.0} with the controller, {:.0} without", without?);
        rate(peer, &added(peer, MANY - 2 * SAMPLE).await?).await?;
        // A new process has looked through all of them when it knows how many there are.
        ipfs.until("all pins to be counted", |object| {
            let pins = object.status.as_ref().and_then(|status| status.pins.clone()).unwrap_or_default();
            usize::try_from(pins.total).is_ok_and(|total| total >= MANY) && pins.queued + pins.pinning == 0
        })
        .await?;
        let after = memory(space).await?;
        println!("resident memory: {before} bytes with no pin, {after} with {MANY}");
        println!(
            "resident memory of a peer with Kubo: {peer_before} MiB with no pin, {} with {MANY}",
            resident_memory(&pod)
        );
        ensure!(after < before + 64 * 1024 * 1024, "the controller keeps the pinset in memory");
        Ok(())
    })
    .await;
}
