//! Without references the user's variables say where everything is.

use anyhow::{Result, ensure};
use e2e::{Subject as _, snapshot::children};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{IpfsCluster, Temporal},
    condition::{CONFIG_HONOURED, STALLED},
};

use super::{CONFIG, PASSWORD, Subjects, complete, sibling, text, waits_for_the_broker, with_controller};
use crate::step::{configure, ensure_untold};

const SEED: &str = include_str!("../../../fixtures/seed/temporal-config.yaml");

/// The seed's ConfigMap.
fn seed() -> Result<ConfigMap> {
    let mut seed: ConfigMap = serde_saphyr::from_str(SEED)?;
    seed.metadata.namespace = None;
    Ok(seed)
}

/// Variables with which all that Temporal needs is somewhere, and nobody answers there.
fn whole() -> Value {
    json!({
        "DATABASE_URL": "database.invalid",
        "DATABASE_PORT": "1",
        "DATABASE_USERNAME": "app",
        "DATABASE_PASSWORD": PASSWORD,
        "RABBITMQ_URL": format!("amqp://app:{PASSWORD}@broker.invalid:1/"),
        "IPFS_API_CONNECTION_HOST": "kubo.example.com",
        "IPFS_API_CONNECTION_PORT": "5001",
        "IPFS_CLUSTER_API_CONNECTION_HOST": "10.255.255.1",
        "IPFS_CLUSTER_API_CONNECTION_PORT": "9094",
    })
}

/// Waits until the user is told of a key.
async fn told(space: &Subjects<'_>, reason: &str, key: &str, what: &str, by: &str) -> Result<()> {
    let (key, by) = (format!("ConfigMap/{CONFIG}: {key} "), format!("or set {by} instead"));
    space.condition_about(STALLED, "True", reason, &[&key, what, &by]).await?;
    space.condition_about("DependenciesReady", "False", reason, &[&key, what]).await.map(drop)
}

#[tokio::test]
async fn unchanged_seed_stalls_on_each_unusable_key() {
    with_controller(async |space, controller| {
        space.api::<ConfigMap>().create(&PostParams::default(), &seed()?).await?;
        space.create(&Temporal::embedded()).await?;
        told(space, "InvalidSpec", "DATABASE_URL", "is not a host name or address", "spec.database").await?;
        ensure!(children(space).await?.is_empty(), "something was made");

        let mut data = json!(seed()?.data);
        let (database, queue, ipfs) = ("spec.database", "spec.queue", "spec.ipfs");
        let (kubo, cluster) = ("IPFS_API_CONNECTION_HOST", "IPFS_CLUSTER_API_CONNECTION_HOST");
        let (pod, guest) = ("names the pod itself, where no broker runs", "has no login, or the login guest");
        let unreachable = "is not a host that other pods can reach";
        for (key, value, next, what, by) in [
            ("DATABASE_URL", "0.0.0.0", "DATABASE_URL", "is not a host name or address", database),
            ("DATABASE_URL", "127.0.0.1", "DATABASE_URL", "names the pod itself", database),
            ("DATABASE_URL", "database.invalid", "RABBITMQ_URL", pod, queue),
            ("RABBITMQ_URL", "amqp://localhost:5672/", "RABBITMQ_URL", pod, queue),
            ("RABBITMQ_URL", "rabbit", "RABBITMQ_URL", "is not an AMQP URI", queue),
            ("RABBITMQ_URL", "amqp://rabbit.example.com/", "RABBITMQ_URL", guest, queue),
            ("RABBITMQ_URL", "amqp://app:pw@127.0.0.2:1/", "RABBITMQ_URL", pod, queue),
            ("RABBITMQ_URL", "amqp://app:pw@broker.invalid:1/", kubo, unreachable, ipfs),
            (kubo, "kubo.example.com", cluster, unreachable, ipfs),
            (cluster, "0.0.0.0", cluster, unreachable, ipfs),
            ("DATABASE_PORT", "none", "DATABASE_PORT", "is not a port number", database),
        ] {
            data[key] = json!(value);
            configure(space, CONFIG, &data).await?;
            told(space, "InvalidSpec", next, what, by).await?;
        }
        ensure!(children(space).await?.is_empty(), "something was made");
        data[cluster] = json!("10.255.255.1");
        data["DATABASE_PORT"] = json!("5432");
        configure(space, CONFIG, &data).await?;
        waits_for_the_broker(space).await?;
        ensure_untold(space, controller, "password123").await
    })
    .await;
}

#[tokio::test]
async fn each_missing_key_is_named() {
    with_controller(async |space, controller| {
        space.create(&Temporal::embedded()).await?;
        // There is no ConfigMap at all.
        let incomplete = "ConfigurationIncomplete";
        told(space, incomplete, "DATABASE_URL", "is absent", "spec.database").await?;
        space.condition(CONFIG_HONOURED, "True", "AsWritten").await?;
        ensure!(children(space).await?.is_empty(), "something was made");
        for (key, name, by) in [
            ("DATABASE_URL", "DATABASE_URL", "spec.database"),
            ("DATABASE_PASSWORD", "DATABASE_PASSWORD", "spec.database"),
            ("RABBITMQ_URL", "RABBITMQ_URL", "spec.queue"),
            ("IPFS_API_CONNECTION_HOST", "IPFS_APICONNECTION_HOST", "spec.ipfs"),
            ("IPFS_CLUSTER_API_CONNECTION_HOST", "IPFSCLUSTER_APICONNECTION_HOST", "spec.ipfs"),
        ] {
            let mut data = whole();
            data.as_object_mut().map(|data| data.remove(key));
            configure(space, CONFIG, &data).await?;
            told(space, incomplete, name, "is absent", by).await?;
            // Empty is the same as absent.
            data[key] = json!("");
            configure(space, CONFIG, &data).await?;
            told(space, incomplete, name, "is absent", by).await?;
        }
        configure(space, CONFIG, &whole()).await?;
        complete(space, controller).await?;
        let environment = "temporal-temporal-environment";
        for (key, value) in [
            ("DATABASE_URL", "database.invalid"),
            ("DATABASE_PORT", "1"),
            ("DATABASE_USERNAME", "app"),
            // The bridge is between: it is the bridge that is told of these hosts.
            ("IPFS_APICONNECTION_HOST", "127.0.0.1"),
            ("IPFSCLUSTER_APICONNECTION_HOST", "127.0.0.1"),
        ] {
            let said = text(space, environment, key).await?;
            ensure!(said == value, "{key} is {said}");
        }
        space.patch(&json!({"spec": {"bridge": "Off"}})).await?;
        complete(space, controller).await?;
        let host = text(space, environment, "IPFS_APICONNECTION_HOST").await?;
        ensure!(host == "kubo.example.com", "without the bridge Kubo is at {host}");
        ensure_untold(space, controller, PASSWORD).await?;

        space.api::<ConfigMap>().delete(CONFIG, &DeleteParams::default()).await?;
        told(space, incomplete, "DATABASE_URL", "is absent", "spec.database").await?;
        let host = text(space, environment, "IPFS_APICONNECTION_HOST").await?;
        ensure!(host == "kubo.example.com", "what was made has changed: {host}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn references_and_variables_can_be_combined() {
    with_controller(async |space, controller| {
        sibling::<IpfsCluster>(space).await?;
        let mut wanted = Temporal::embedded();
        wanted["ipfs"] = json!({"name": "temporal"});
        configure(space, CONFIG, &whole()).await?;
        space.create(&wanted).await?;
        complete(space, controller).await?;
        let told =
            ["IPFS_API_CONNECTION_HOST is overridden by spec.ipfs", "IPFS_CLUSTER_API_CONNECTION_HOST is overridden"];
        let honoured = space.condition_about(CONFIG_HONOURED, "True", "Adapted", &told).await?;
        ensure!(!honoured.message.contains("DATABASE_URL"), "{}", honoured.message);
        ensure!(!honoured.message.contains("CONNECTION_PORT"), "the same ports are remarked: {}", honoured.message);
        Ok(())
    })
    .await;
}
