//! What the API server refuses, and why.

use anyhow::{Result, bail, ensure};
use e2e::{Space, Subject, prepare::api_server, with_namespace};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use temporal_stack_common::api::{IpfsCluster, MessageQueue, ObjectStorage, PostgresDatabase};

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
            (both, K::ONE_OF),
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

async fn fractions_of_a_cpu_are_accepted<K: Subject>() {
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

e2e::for_each_kind!(fractions_of_a_cpu_are_accepted);

#[tokio::test]
async fn impossible_database_is_refused_with_the_reason() {
    let specs = [
        (json!({"database": ""}), "must have 1 to 56 characters"),
        (json!({"username": "x".repeat(64)}), "must have 1 to 63 characters"),
    ];
    refused::<PostgresDatabase>(&specs, &"x".repeat(60)).await;
}

#[tokio::test]
async fn impossible_queue_is_refused_with_the_reason() {
    let replicas = |count: u32| MessageQueue::provider(&json!({"replicas": count}));
    let specs = [
        (replicas(2), "must be 1, 3 or 5"),
        (replicas(4), "must be 1, 3 or 5"),
        (json!({"virtualHost": "/"}), "must not be /, . or .."),
        (json!({"virtualHost": "."}), "must not be /, . or .."),
        (json!({"virtualHost": ".."}), "must not be /, . or .."),
        (json!({"virtualHost": ""}), "must have 1 to 100 ASCII characters"),
    ];
    refused::<MessageQueue>(&specs, &"x".repeat(36)).await;
}

#[tokio::test]
async fn impossible_ipfs_cluster_is_refused_with_the_reason() {
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

#[tokio::test]
async fn impossible_object_storage_is_refused_with_the_reason() {
    let minio = |fields: Value| ObjectStorage::provider(&fields);
    let bucket = |fields: Value| {
        let mut bucket = json!({"name": "photos"});
        bucket.as_object_mut().into_iter().zip(fields.as_object()).for_each(|(all, more)| all.extend(more.clone()));
        json!({"buckets": [bucket]})
    };
    let lock = json!({"mode": "Compliance", "days": 1});
    let (servers, drives) = ("must be 1, or 4 to 16", "a single server has 1 drive, or 4");
    let (name, reserved) = ("must have 3 to 63 lower-case letters", "must not be an IP address");
    let many: Vec<Value> = (0..33).map(|number| json!({"name": format!("bucket-{number}")})).collect();
    let specs = [
        (minio(json!({"servers": 2})), servers),
        (minio(json!({"servers": 3})), servers),
        (minio(json!({"servers": 17})), servers),
        (minio(json!({"drivesPerServer": 2})), drives),
        (minio(json!({"servers": 4, "drivesPerServer": 17})), "must be 1 to 16"),
        (bucket(json!({"name": "ab"})), "should be at least 3 chars long"),
        (bucket(json!({"name": "Photos"})), name),
        (bucket(json!({"name": "a..b"})), name),
        (bucket(json!({"name": "-ab"})), name),
        (bucket(json!({"name": "192.168.0.1"})), reserved),
        (bucket(json!({"name": "xn--abc"})), reserved),
        (bucket(json!({"objectLock": lock})), "objectLock needs versioning"),
        (
            bucket(json!({"versioning": true, "objectLock": {"mode": "Governance", "days": 0}})),
            "must be 1 to 36500 days",
        ),
        (bucket(json!({"expirationDays": 0})), "must be 1 to 36500 days"),
        (bucket(json!({"quota": "0"})), "must be a quantity of bytes above zero"),
        (bucket(json!({"quota": "100m"})), "must be a quantity of bytes above zero"),
        (json!({"buckets": [{"name": "photos"}, {"name": "photos"}]}), "Duplicate value"),
        (json!({"buckets": many}), "must have at most 32 items"),
    ];
    refused::<ObjectStorage>(&specs, &"x".repeat(36)).await;
}

/// Applies a spec as a strict client does, and returns the refusal.
async fn applied_strictly<K: Subject>(space: &Space, spec: &Value) -> Result<String> {
    let object = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": "temporal"},
        "spec": spec,
    });
    let strict = PatchParams { dry_run: true, ..PatchParams::apply("e2e").validation_strict() };
    match space.api::<K>().patch("temporal", &strict, &Patch::Apply(object)).await {
        Ok(_) => bail!("{spec} was taken"),
        Err(error) => Ok(format!("{error:?}")),
    }
}

#[tokio::test]
async fn field_of_a_later_version_is_refused() {
    let cluster = api_server().await.expect("an API server");
    let _in_force = SCHEMA.lock().await;
    with_namespace(&cluster, async |space| {
        let postgres = |fields: Value| PostgresDatabase::provider(&fields);
        for (spec, field) in
            [(json!({"tls": {}}), "tls"), (postgres(json!({"extensions": ["pg_stat_statements"]})), "extensions")]
        {
            let refusal = applied_strictly::<PostgresDatabase>(space, &spec).await?;
            ensure!(refusal.contains(&format!(".{field}")), "`.{field}` is not in: {refusal}");
        }
        let announced = IpfsCluster::provider(&json!({"swarm": {"type": "NodePort", "announce": []}}));
        let refusal = applied_strictly::<IpfsCluster>(space, &announced).await?;
        ensure!(refusal.contains(".announce"), "{refusal}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn settings_of_an_object_storage_that_are_fixed_cannot_change() {
    let cluster = api_server().await.expect("an API server");
    let _in_force = SCHEMA.lock().await;
    with_namespace(&cluster, async |space| {
        let photos = |days: u32| json!({"name": "photos", "versioning": true, "objectLock": {"mode": "Governance", "days": days}});
        let mut spec = ObjectStorage::provider(&json!({"servers": 4, "drivesPerServer": 2}));
        spec["buckets"] = json!([photos(1)]);
        put::<ObjectStorage>(space, "temporal", &spec, false).await?;
        let objects = space.api::<ObjectStorage>();
        let dry_run = PatchParams { dry_run: true, ..PatchParams::default() };
        let (servers, drives) = ("provider.minio.servers: cannot change", "provider.minio.drivesPerServer: cannot change");
        let lock = "objectLock: cannot change";
        for (change, told) in [
            (ObjectStorage::provider(&json!({"servers": 5})), servers),
            (ObjectStorage::provider(&json!({"drivesPerServer": 4})), drives),
            (json!({"provider": {"minio": null}}), servers),
            (json!({"buckets": [photos(2)]}), lock),
            (json!({"buckets": [{"name": "photos", "versioning": true}]}), lock),
        ] {
            let patched = objects.patch("temporal", &dry_run, &Patch::Merge(json!({"spec": change}))).await;
            let Err(error) = patched else { bail!("{change} was taken") };
            ensure!(format!("{error:?}").contains(told), "`{told}` is not in: {error:?}");
        }
        let others = json!({"spec": {"buckets": [photos(1), {"name": "more"}]}});
        objects.patch("temporal", &dry_run, &Patch::Merge(others)).await?;
        Ok(())
    })
    .await;
}
