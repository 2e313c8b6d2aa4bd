//! What the API server refuses, and why.

use anyhow::{Result, bail, ensure};
use e2e::{Space, Subject, prepare::api_server, with_namespace};
use serde_json::{Value, json};
use temporal_stack_common::api::{IpfsCluster, MessageQueue, PostgresDatabase};

use crate::schema::{SCHEMA, put};

/// Each spec is refused, with these words.
async fn refused<K: Subject>(specs: &[(Value, &str)], name: &str) {
    let cluster = api_server().await.expect("an API server");
    let _in_force = SCHEMA.lock().await;
    let attempt = async |space: &Space, name: &str, spec: &Value, told: &str| -> Result<()> {
        let Err(error) = put::<K>(space, name, spec, true).await else { bail!("{name} with {spec} was taken") };
        let error = format!("{error:?}");
        ensure!(error.contains(told), "`{told}` is not in: {error}");
        Ok(())
    };
    with_namespace(&cluster, async |space| {
        let both = json!({"provider": {K::PROVIDER: {}, "external": {"secretName": "x"}}});
        let no_size = K::provider(&json!({"storage": {"size": "plenty"}}));
        let not_both = format!("name one of {} and external, not both", K::PROVIDER);
        let resources = |resources: Value| K::provider(&json!({"resources": resources}));
        let bytes = "must be a quantity of bytes";
        let all = [
            (resources(json!({"limits": {"memory": "512mi"}})), bytes),
            (resources(json!({"limits": {"memory": "512m"}})), bytes),
            (resources(json!({"requests": {"memory": "-1Gi"}})), bytes),
            (
                resources(json!({"requests": {"memory": "256Mi"}, "limits": {"memory": "128Mi"}})),
                "requests.memory must not be above limits.memory",
            ),
            (resources(json!({"limits": {"cpu": "half"}})), "should match"),
            (K::provider(&json!({"storage": {"size": "10m"}})), "must be a quantity above zero"),
            (both, not_both.as_str()),
            (no_size, "must be a quantity above zero"),
            (json!({"deletionPolicy": "Shred"}), "Unsupported value: \"Shred\""),
        ];
        for (spec, told) in all.iter().chain(specs) {
            attempt(space, "temporal", spec, told).await?;
        }
        attempt(space, name, &json!({}), "metadata.name: at most").await?;
        attempt(space, "1st", &json!({}), "must be a DNS label that starts with a letter").await
    })
    .await;
}

async fn fractions_of_a_cpu_are_taken<K: Subject>() {
    let cluster = api_server().await.expect("an API server");
    let _in_force = SCHEMA.lock().await;
    with_namespace(&cluster, async |space| {
        let resources = json!({
            "requests": {"cpu": 0.25},
            "limits": {"cpu": 0.5, "memory": 536_870_912, "ephemeral-storage": "1Gi", "example.com/gpu": 1},
        });
        put::<K>(space, "temporal", &K::provider(&json!({"resources": resources})), true).await
    })
    .await;
}

for_each_kind!(fractions_of_a_cpu_are_taken);

#[tokio::test]
async fn the_api_server_refuses_what_no_database_can_be_and_says_why() {
    let specs = [
        (json!({"database": ""}), "must have 1 to 56 characters"),
        (json!({"username": "x".repeat(64)}), "must have 1 to 63 characters"),
    ];
    refused::<PostgresDatabase>(&specs, &"x".repeat(60)).await;
}

#[tokio::test]
async fn the_api_server_refuses_what_no_queue_can_be_and_says_why() {
    let replicas = |count: u32| MessageQueue::provider(&json!({"replicas": count}));
    let specs = [
        (replicas(2), "must be 1, 3 or 5"),
        (replicas(4), "must be 1, 3 or 5"),
        (json!({"virtualHost": "/"}), "neither /, which is RabbitMQ's own"),
        (json!({"virtualHost": ""}), "must have 1 to 100 characters"),
    ];
    refused::<MessageQueue>(&specs, &"x".repeat(36)).await;
}

#[tokio::test]
async fn the_api_server_refuses_what_no_ipfs_cluster_can_be_and_says_why() {
    let replication = |min: i32, max: i32| json!({"replicas": 5, "replication": {"min": min, "max": max}});
    let factors = "min and max are both -1 (a copy on every peer), or at least 1 with min not above max";
    let specs = [
        (json!({"replicas": 0}), "must be 1 to 32"),
        (json!({"replicas": 33}), "must be 1 to 32"),
        (json!({"network": "secret"}), "Unsupported value: \"secret\""),
        (replication(3, 2), factors),
        (replication(-1, 3), factors),
        (replication(1, -1), factors),
        (replication(0, 3), factors),
        (json!({"replication": {"min": 1}}), "spec.replication.max: Required value"),
    ];
    refused::<IpfsCluster>(&specs, &"x".repeat(36)).await;
}
