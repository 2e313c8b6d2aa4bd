use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    HANG, One, Subject as _,
    peers::{Peer, until_answer},
    until,
};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{LogParams, PostParams};
use serde_json::json;
use temporal_stack_common::api::IpfsCluster;

use crate::ipfs::{deletion::namespace_goes, made, of_size, peers, with_ipfs};

const PEERS: u32 = 2;
const OUTSIDER: &str = include_str!("outsider.sh");

/// Runs a Kubo that is no peer and tries to connect with one; returns what it said.
async fn outsider(ipfs: &One<'_, IpfsCluster>, peer: &Peer) -> Result<String> {
    let pods = ipfs.api::<Pod>();
    let spec = pods.get(&IpfsCluster::pod(0)).await?.spec.context("the pod has no spec")?;
    let image = spec.containers.into_iter().find(|container| container.name == "kubo").and_then(|kubo| kubo.image);
    let key = json!({"name": IpfsCluster::child("secret-1"), "key": "swarm-key"});
    let address = format!("/ip4/{}/tcp/4001/p2p/{}", peer.address(), peer.kubo_id().await?);
    let pod: Pod = serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "outsider"},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "kubo",
                "image": image,
                "command": ["sh", "-c", OUTSIDER],
                "env": [
                    {"name": "ADDRESS", "value": address},
                    {"name": "SWARM_KEY", "valueFrom": {"secretKeyRef": key}},
                ],
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    }))?;
    pods.create(&PostParams::default(), &pod).await?;
    let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
    let has_ended = |pod: &Pod| matches!(phase(pod).as_str(), "Succeeded" | "Failed");
    until(&pods, "outsider", &format!("ended within {HANG:?}"), has_ended).await?;
    Ok(pods.logs("outsider", &LogParams::default()).await?)
}

#[tokio::test]
async fn private_network_admits_members_only_and_serves_files() {
    with_ipfs(peers(PEERS), async |ipfs| {
        let mut watch = made(ipfs, &of_size(PEERS, &json!({"gateway": {}, "proxy": true}))).await?;
        let all = ipfs.peers(PEERS).await?;
        let mut members = BTreeSet::new();
        for peer in &all {
            members.insert(peer.kubo_id().await?);
        }
        for peer in &all {
            let config = peer.config().await?;
            ensure!(config["Bootstrap"] == json!([]) && config["AutoConf"]["Enabled"] == false, "{config:#}");
            let mut others = members.clone();
            others.remove(&peer.kubo_id().await?);
            ensure!(peer.connected().await? == others, "{:?} instead of {others:?}", peer.connected().await?);
        }

        let said = outsider(ipfs, &all[0]).await?;
        watch.step("a Kubo that is no peer has tried to connect after");
        ensure!(said.contains("without: refused"), "without the key: {said}");
        // The address and the way of asking were right.
        ensure!(said.contains("with: connected"), "with the key: {said}");

        let content = format!("served {:032x}", rand::random::<u128>()).into_bytes();
        let cid = all[1].add(std::slice::from_ref(&content)).await?.remove(0);
        all[1].pin(&cid, &[]).await?;
        let gateway = Peer::new(ipfs.address_of(&IpfsCluster::child("gateway")).await?)?;
        let served = until_answer("the gateway", async || gateway.served(&cid).await, |_| true).await?;
        ensure!(served == content, "the gateway serves something else");
        let service = ipfs.service().await?;
        ensure!(members.contains(&service.proxied().await?), "the proxy leads to somebody else");
        namespace_goes(ipfs, &mut watch).await
    })
    .await;
}
