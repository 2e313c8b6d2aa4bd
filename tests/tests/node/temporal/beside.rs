//! Instances of tests' own: without references, on the stack's database, queue and peers, as the user's ConfigMap names them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use e2e::{Needs, One, Space, Subject as _, existing, temporal::ADMIN};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{IpfsCluster, MessageQueue, PostgresDatabase, Temporal},
    binding::text,
};

use crate::{cluster, in_namespace};

/// The ConfigMap of the instance.
pub(crate) const CONFIG: &str = "temporal-config";

/// What an instance weighs: its pods are many, and small.
const INSTANCE: u32 = 4;

/// Runs a test with a namespace of its own and that of the stack.
pub(crate) async fn beside(test: impl AsyncFnOnce(&One<'_, Temporal>, &Space) -> Result<()>) {
    in_namespace(Needs::stack().weighing(INSTANCE), async |space| {
        let stack = existing::of(&cluster(), "default").await?;
        test(&space.one::<Temporal>(), &stack).await
    })
    .await;
}

async fn binding(stack: &Space, name: &str, keys: &[&str]) -> Result<Vec<String>> {
    let secret = stack.api::<Secret>().get(name).await.with_context(|| format!("Secret/{name}"))?;
    let value = |key: &&str| text(&secret, key).map(str::to_owned).with_context(|| format!("{name} has no {key}"));
    keys.iter().map(value).collect()
}

/// Variables with which Temporal uses the stack's database, queue and peers.
pub(crate) async fn variables(stack: &Space) -> Result<BTreeMap<String, String>> {
    let database = binding(stack, &PostgresDatabase::binding(), &["host", "port", "username", "password"]).await?;
    let queue = binding(stack, &MessageQueue::binding(), &["uri"]).await?;
    let ipfs = binding(stack, &IpfsCluster::binding(), &["host", "port", "cluster-host", "cluster-port"]).await?;
    let names = [
        "DATABASE_URL",
        "DATABASE_PORT",
        "DATABASE_USERNAME",
        "DATABASE_PASSWORD",
        "RABBITMQ_URL",
        "IPFS_API_CONNECTION_HOST",
        "IPFS_API_CONNECTION_PORT",
        "IPFS_CLUSTER_API_CONNECTION_HOST",
        "IPFS_CLUSTER_API_CONNECTION_PORT",
    ];
    Ok(names.into_iter().map(str::to_owned).zip([database, queue, ipfs].concat()).collect())
}

/// Makes the ConfigMap of the instance, with these beside the variables that it needs.
pub(crate) async fn configured(temporal: &One<'_, Temporal>, stack: &Space, more: &[(&str, &str)]) -> Result<()> {
    let mut data = variables(stack).await?;
    data.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let map = ConfigMap {
        metadata: ObjectMeta { name: Some(CONFIG.to_owned()), ..ObjectMeta::default() },
        data: Some(data),
        ..ConfigMap::default()
    };
    temporal.api::<ConfigMap>().create(&PostParams::default(), &map).await?;
    Ok(())
}

/// Changes variables of the ConfigMap; null takes one off.
pub(crate) async fn reconfigure(temporal: &One<'_, Temporal>, changes: &Value) -> Result<()> {
    let patch = Patch::Merge(json!({ "data": changes }));
    temporal.api::<ConfigMap>().patch(CONFIG, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Makes the Secret of an administrator: that of the stack, whose account is in the database already.
pub(crate) async fn same_admin(temporal: &One<'_, Temporal>, stack: &Space) -> Result<()> {
    let secrets: Api<Secret> = stack.api();
    let data = secrets.get(ADMIN).await?.data;
    let secret = Secret {
        metadata: ObjectMeta { name: Some(ADMIN.to_owned()), ..ObjectMeta::default() },
        data,
        ..Secret::default()
    };
    temporal.api::<Secret>().create(&PostParams::default(), &secret).await?;
    Ok(())
}
