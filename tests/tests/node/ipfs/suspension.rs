use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use e2e::{One, Pinset, peers::Peer};
use serde_json::json;
use temporal_stack_common::{api::IpfsCluster, condition::SUSPENDED};

use crate::ipfs::{count, identities, lives, made, of_size, peers, with_ipfs};

const PEERS: u32 = 3;

/// Who is to hold each pin.
async fn allocations(peer: &Peer) -> Result<BTreeMap<String, Vec<String>>> {
    let all = peer.allocations().await?;
    Ok(all.into_iter().map(|(cid, pin)| (cid, pin.allocations)).collect())
}

async fn suspend(ipfs: &One<'_, IpfsCluster>, suspend: bool) -> Result<()> {
    ipfs.patch(&json!({"spec": {"suspend": suspend}})).await?;
    if suspend {
        ipfs.condition(SUSPENDED, "True", "Suspended").await?;
    } else {
        ipfs.ready().await?;
    }
    Ok(())
}

#[tokio::test]
async fn suspended_peers_keep_every_pin_and_move_none() {
    with_ipfs(peers(PEERS), async |ipfs| {
        let mut watch = made(ipfs, &of_size(PEERS, &json!({}))).await?;
        let before = ipfs.peers(PEERS).await?;
        let mut pins = Pinset::default();
        pins.grow(&before, count(30, 300), (1, 2)).await?;
        pins.grow(&before, count(10, 100), (-1, -1)).await?;
        pins.heals(&before).await?;
        let (held, ids) = (allocations(&before[0]).await?, identities(ipfs, PEERS).await?);
        // These have no copies yet when the peers stop.
        pins.grow(&before, count(10, 100), (2, 2)).await?;

        suspend(ipfs, true).await?;
        watch.step("suspended after");
        ensure!(lives(ipfs).await?.is_empty(), "there are pods");
        suspend(ipfs, false).await?;
        watch.step("resumed; Ready after");

        let after = ipfs.peers(PEERS).await?;
        ensure!(identities(ipfs, PEERS).await? == ids, "a peer is another one");
        pins.heals(&after).await?;
        let now = allocations(&after[0]).await?;
        for (cid, holders) in &held {
            ensure!(
                now.get(cid) == Some(holders),
                "{cid} was allocated to others: {holders:?}, now {:?}",
                now.get(cid)
            );
        }
        for peer in &after {
            ensure!(peer.id().await?.cluster_peers.len() == after.len(), "a peer was removed");
        }
        Ok(())
    })
    .await;
}
