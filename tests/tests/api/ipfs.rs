//! What only the IPFS controller does, as far as it can be seen without any peer.

mod access;
mod external;
mod identities;
mod scale;
mod secret;
mod settings;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use e2e::{Controller, One, Subject as _, prepare::GROWS, subject::NAME};
use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::StatefulSet,
        core::v1::{Pod, Secret},
    },
};
use kube::{ResourceExt as _, api::ListParams};
use serde_json::{Value, json};
use temporal_stack_common::api::IpfsCluster;

use crate::step;

/// The cluster that tests make.
type Ipfs<'a> = One<'a, IpfsCluster>;

/// The user's ConfigMap.
const CONFIG: &str = "ipfs-cluster-config";

/// Runs a test with a controller of its own.
async fn with_controller(test: impl AsyncFnOnce(&Ipfs<'_>, &Controller) -> Result<()>) {
    crate::with_controller(test).await;
}

/// A spec with so many peers, and these fields of the provider.
fn spec(replicas: u32, fields: &Value) -> Value {
    let mut kubo = json!({"storage": {"size": "1Gi", "storageClassName": GROWS}});
    for (key, value) in fields.as_object().into_iter().flatten() {
        kubo[key] = value.clone();
    }
    let mut spec = IpfsCluster::provider(&kubo);
    spec["replicas"] = json!(replicas);
    spec
}

/// Makes a cluster of so many peers, and waits until only its pods are missing.
async fn made(space: &Ipfs<'_>, controller: &Controller, replicas: u32) -> Result<IpfsCluster> {
    space.create(&spec(replicas, &json!({}))).await?;
    step::complete(space, controller).await
}

/// Asks for another number of peers.
async fn scale(space: &Ipfs<'_>, replicas: u32) -> Result<IpfsCluster> {
    space.patch(&json!({"spec": {"replicas": replicas}})).await
}

async fn set(space: &Ipfs<'_>) -> Result<StatefulSet> {
    Ok(space.api::<StatefulSet>().get(&IpfsCluster::set()).await?)
}

/// The template of the pods, byte for byte.
async fn template(space: &Ipfs<'_>) -> Result<String> {
    let spec = set(space).await?.spec.context("the set is empty")?;
    Ok(serde_json::to_string(&spec.template)?)
}

/// UIDs of the set and its pods: one that was made again has another.
async fn lives(space: &Ipfs<'_>) -> Result<BTreeMap<String, String>> {
    let mut lives = BTreeMap::from([(IpfsCluster::set(), set(space).await?.uid().unwrap_or_default())]);
    for pod in space.api::<Pod>().list(&ListParams::default()).await? {
        lives.insert(pod.name_any(), pod.uid().unwrap_or_default());
    }
    Ok(lives)
}

/// Fails unless all that lived then live now.
async fn ensure_undisturbed(space: &Ipfs<'_>, then: &BTreeMap<String, String>) -> Result<()> {
    let now = lives(space).await?;
    let gone: Vec<&String> =
        then.iter().filter(|(name, uid)| now.get(*name) != Some(uid)).map(|(name, _)| name).collect();
    ensure!(gone.is_empty(), "made again: {gone:?}");
    Ok(())
}

/// The variables of IPFS Cluster's container.
async fn variables(space: &Ipfs<'_>) -> Result<BTreeMap<String, String>> {
    let set = serde_json::to_value(set(space).await?)?;
    let containers = set["spec"]["template"]["spec"]["containers"].as_array().cloned().unwrap_or_default();
    let cluster = containers.into_iter().find(|container| container["name"] == "cluster");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let variables = cluster.context("there is no container cluster")?["env"].as_array().cloned().unwrap_or_default();
    Ok(variables.iter().map(|variable| (text(&variable["name"]), text(&variable["value"]))).collect())
}

/// The keys of a Secret.
type Data = BTreeMap<String, ByteString>;

/// UID, version and keys of all Secrets whose names go on like this after the object's.
async fn secrets(space: &Ipfs<'_>, part: &str) -> Result<BTreeMap<String, (String, String, Data)>> {
    let prefix = format!("{NAME}-ipfscluster-{part}");
    let all = space.api::<Secret>().list(&ListParams::default()).await?;
    let found = all.into_iter().filter_map(|secret| {
        let rest = secret.name_any().strip_prefix(&prefix)?.to_owned();
        let version = secret.resource_version().unwrap_or_default();
        Some((rest, (secret.uid().unwrap_or_default(), version, secret.data.unwrap_or_default())))
    });
    Ok(found.collect())
}

/// Text in a Secret.
async fn text(space: &Ipfs<'_>, secret: &str, key: &str) -> Result<String> {
    let secret = space.api::<Secret>().get(secret).await?;
    let text = temporal_stack_common::binding::text(&secret, key);
    text.map(str::to_owned).with_context(|| format!("Secret/{} has no {key}", secret.name_any()))
}
