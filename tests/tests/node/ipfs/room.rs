use anyhow::ensure;
use e2e::{Pinset, Subject as _, host::Small, until, witness::is_ready};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt as _, api::DeleteParams};
use serde_json::json;
use temporal_stack_common::api::IpfsCluster;

use crate::ipfs::{made, of_size, peers, random, with_ipfs};

/// Room for what both products make at their start, and for little more.
const ROOM: u64 = 64 << 20;

#[tokio::test]
async fn full_volume_is_reported_and_other_peers_keep_their_pins() {
    with_ipfs(peers(2), async |ipfs| {
        // What is too large is given up after this time without progress.
        let config = json!({"CLUSTER_IPFSHTTP_PINTIMEOUT": "10s"});
        let mut watch = made(ipfs, &of_size(2, &json!({"clusterConfig": config}))).await?;
        ipfs.condition("StorageAvailable", "True", "AsExpected").await?;
        let mut pins = Pinset::default();
        pins.grow(&ipfs.peers(2).await?, 20, (1, 2)).await?;
        pins.heals(&ipfs.peers(2).await?).await?;

        let small = Small::over(ipfs.volume_of(&IpfsCluster::volume(1)).await?, ROOM)?;
        let (pods, name) = (ipfs.api::<Pod>(), IpfsCluster::pod(1));
        let before = pods.delete(&name, &DeleteParams::default()).await?.left().and_then(|pod| pod.uid());
        until(&pods, &name, "been made again", |pod: &Pod| pod.uid() != before && is_ready(pod)).await?;
        ipfs.ready().await?;
        let peers = ipfs.peers(2).await?;
        pins.heals(&peers).await?;
        watch.step("a peer has a small volume after");

        let large = peers[0].add(&[random(usize::try_from(ROOM)?)]).await?.remove(0);
        peers[0].pin(&large, &[]).await?;
        watch.step("a file that is too large for it was pinned after");
        let parts = [name.as_str(), "full", "spec.provider.kubo.storage.size"];
        ipfs.condition_about("StorageAvailable", "False", "VolumeFull", &parts).await?;
        watch.step("a volume that is full is told after");
        let few = &peers[..1];
        let holders = pins.holders(few).await?;
        ensure!(holders.values().all(|holders| holders.len() == 1), "a pin has gone from the other peer");
        let mut meanwhile = Pinset::default();
        for _ in 0..5 {
            meanwhile.add(&peers[0], (1, 1)).await?;
        }

        peers[0].unpin(&large).await?;
        drop(small);
        let before = pods.delete(&name, &DeleteParams::default()).await?.left().and_then(|pod| pod.uid());
        until(&pods, &name, "been made again", |pod: &Pod| pod.uid() != before && is_ready(pod)).await?;
        ipfs.condition("StorageAvailable", "True", "AsExpected").await?;
        ipfs.ready().await?;
        watch.step("it was unpinned, and the volume has room; Ready after");
        pins.and(meanwhile).heals(&ipfs.peers(2).await?).await?;
        Ok(())
    })
    .await;
}
