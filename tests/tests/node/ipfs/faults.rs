use anyhow::{Result, ensure};
use e2e::{One, Pinset, Subject as _, until, witness::is_ready};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::{ResourceExt as _, api::DeleteParams};
use serde_json::json;
use temporal_stack_common::api::IpfsCluster;

use crate::ipfs::{count, health::stopped_programs_are_named, identities, made, of_size, peers, with_ipfs};

/// Deletes pods at once, and waits until others are ready in their place.
async fn lose_pods(ipfs: &One<'_, IpfsCluster>, ordinals: &[u32]) -> Result<()> {
    let pods = ipfs.api::<Pod>();
    let mut before = Vec::new();
    for ordinal in ordinals {
        before.push(pods.get(&IpfsCluster::pod(*ordinal)).await?);
    }
    for pod in &before {
        pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
    }
    for pod in &before {
        let another = |new: &Pod| new.uid() != pod.uid() && is_ready(new);
        until(&pods, &pod.name_any(), "been made again", another).await?;
    }
    Ok(())
}

/// Waits until all pins are at full replication again, and that is said, too.
async fn is_healthy(ipfs: &One<'_, IpfsCluster>, pins: &Pinset) -> Result<()> {
    pins.heals(&ipfs.peers(3).await?).await?;
    ipfs.condition("PeersConnected", "True", "AllConnected").await?;
    ipfs.condition("PinsHealthy", "True", "FullyReplicated").await?;
    ipfs.ready().await.map(drop)
}

#[tokio::test]
async fn lost_pods_and_volumes_and_stopped_programs_lose_no_pin() {
    with_ipfs(peers(3), async |ipfs| {
        let mut watch = made(ipfs, &of_size(3, &json!({}))).await?;
        let mut pins = Pinset::default();
        let all = ipfs.peers(3).await?;
        pins.grow(&all, count(100, 1000), (2, 3)).await?;
        pins.grow(&all, count(30, 300), (2, 2)).await?;
        pins.grow(&all, count(10, 100), (-1, -1)).await?;
        is_healthy(ipfs, &pins).await?;
        let ids = identities(ipfs, 3).await?;
        watch.step(&format!("{} pins at three peers after", pins.len()));

        lose_pods(ipfs, &[0]).await?;
        is_healthy(ipfs, &pins).await?;
        watch.step("a pod was deleted; at full replication after");

        let claims = ipfs.api::<PersistentVolumeClaim>();
        let name = IpfsCluster::volume(1);
        let claim = claims.delete(&name, &DeleteParams::default()).await?.left().and_then(|claim| claim.uid());
        lose_pods(ipfs, &[1]).await?;
        ensure!(claims.get(&name).await?.uid() != claim, "the volume claim is the one that was deleted");
        is_healthy(ipfs, &pins).await?;
        watch.step("a volume was lost; at full replication after");

        lose_pods(ipfs, &[1, 2]).await?;
        is_healthy(ipfs, &pins).await?;
        watch.step("two pods were deleted at once; at full replication after");
        ensure!(identities(ipfs, 3).await? == ids, "a peer is another one");
        stopped_programs_are_named(ipfs, &pins, &mut watch).await
    })
    .await;
}
