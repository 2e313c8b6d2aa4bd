use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use e2e::{Needs, Space, Stopwatch, installed::SYSTEM};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{Api, ResourceExt as _, api::ListParams};
use reqwest::Method;
use serde_json::{Value, json};
use temporal_stack_common::{
    api::PostgresDatabase,
    condition::{CONFIG_HONOURED, READY},
    manifest::bytes,
};

use crate::{
    on_stack,
    temporal::{Ipfs, is_kept, of_stack, random},
};

/// The test's own copy of the seed.
const SEED: &str = include_str!("../../../fixtures/seed/temporal-config.yaml");
/// What becomes of each key of the seed that is not taken as it is written.
const TOLD: [&str; 3] = [
    "IPFS_KEYSTORE_PATH is replaced by the key server's volume",
    "DATABASE_URL is overridden by spec.database",
    "RABBITMQ_URL is overridden by spec.queue",
];

#[tokio::test]
async fn uploaded_file_is_pinned_on_every_peer_and_served() {
    on_stack(Needs::stack(), async |space| {
        let temporal = of_stack(space);
        temporal.ready().await?;
        for kind in ["DependenciesReady", "Migrated", "QueuesServed", "AdminsReady"] {
            temporal.condition(kind, "True", "AsExpected").await?;
        }
        let ipfs = Ipfs::of(space).await?;
        let caller = temporal.admin().await?;
        ensure!(caller.base.starts_with("https://"), "the seed asks for TLS, and the API is at {}", caller.base);
        let mut watch = Stopwatch::new();
        let file = random(100_000);
        let cid = is_kept(&caller, &ipfs, file.clone()).await?;
        watch.step("a file was uploaded, pinned on every peer and read back after");

        // What the bridge translates beside that.
        let stat = caller.answer(caller.ask(Method::GET, &format!("ipfs/public/stat/{cid}"))).await?;
        ensure!(stat.response()?["CumulativeSize"].as_u64().is_some_and(|size| size > 100_000), "{stat:?}");
        let publish = caller.ask(Method::POST, "ipfs/public/pubsub/publish/e2e").form(&[("message", "hello")]);
        caller.answer(publish).await?.response()?;
        let download = caller.ask(Method::POST, &format!("ipfs/utils/download/{cid}")).send().await?;
        ensure!(download.bytes().await? == file, "another file is downloaded");
        let statistics = caller.answer(caller.ask(Method::GET, "statistics/stats")).await?;
        statistics.response()?;
        ipfs.forget(&cid).await
    })
    .await;
}

#[tokio::test]
async fn each_adapted_key_of_the_seed_is_reported() {
    on_stack(Needs::stack(), async |space| {
        let honoured = of_stack(space).condition_about(CONFIG_HONOURED, "True", "Adapted", &TOLD).await?;
        let seed: ConfigMap = serde_saphyr::from_str(SEED)?;
        for silent in ["CONFIG_DAG", "CERTPATH", "KEYPATH", "DATABASE_NAME", "IPFS_API", "IPFS_CLUSTER"] {
            ensure!(!honoured.message.contains(silent), "{silent} is not taken as written: {}", honoured.message);
        }
        let live = space.api::<ConfigMap>().get("temporal-config").await?;
        ensure!(live.data == seed.data, "the ConfigMap was changed");
        Ok(())
    })
    .await;
}

#[test]
fn deployed_temporal_config_equals_the_seed() {
    let deployed = include_str!("../../../../deploy/stack/configuration/temporal-config.yaml");
    assert!(deployed == SEED, "deploy/stack/configuration/temporal-config.yaml differs from the seed's");
}

/// Thousandths of a processor.
fn millis(cpu: &str) -> u64 {
    cpu.strip_suffix('m').map_or_else(|| cpu.parse::<u64>().map(|whole| whole * 1000), str::parse).unwrap_or_default()
}

/// What a pod asks the scheduler for: its containers together with those that run beside them.
fn requests(pod: &Pod) -> (u64, u64) {
    let spec = serde_json::to_value(&pod.spec).unwrap_or_default();
    let beside = spec["initContainers"].as_array().into_iter().flatten();
    let beside = beside.filter(|container| container["restartPolicy"] == "Always");
    let all = spec["containers"].as_array().into_iter().flatten().chain(beside);
    let of = |container: &Value, resource: &str| {
        container["resources"]["requests"][resource].as_str().unwrap_or_default().to_owned()
    };
    all.fold((0, 0), |(cpu, memory), container| {
        let more = bytes(&of(container, "memory")).unwrap_or_default();
        (cpu + millis(&of(container, "cpu")), memory + more)
    })
}

async fn running(space: &Space, namespace: &str) -> Result<Vec<Pod>> {
    let pods = Api::<Pod>::namespaced(space.client.clone(), namespace).list(&ListParams::default()).await?;
    let is_over = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed")) || pod.metadata.deletion_timestamp.is_some()
    };
    Ok(pods.items.into_iter().filter(|pod| !is_over(pod)).collect())
}

#[tokio::test]
async fn default_stack_requests_at_most_one_cpu_and_4_gibibytes() {
    on_stack(Needs::stack(), async |space| {
        if space.one::<PostgresDatabase>().get().await?.spec.provider.cloud_native_pg.is_some() {
            println!("left out: servers of CloudNativePG are no part of the default stack");
            return Ok(());
        }
        of_stack(space).condition(READY, "True", "Verified").await?;
        let mut pods = running(space, "default").await?;
        pods.extend(running(space, SYSTEM).await?);
        let each: BTreeMap<String, (u64, u64)> = pods.iter().map(|pod| (pod.name_any(), requests(pod))).collect();
        let (cpu, memory) = each.values().fold((0, 0), |(cpu, memory), (c, m)| (cpu + c, memory + m));
        println!("{} pods request {cpu}m and {} MiB", each.len(), memory >> 20);
        ensure!(each.len() >= 18, "that are not all pods: {each:?}");
        ensure!(cpu <= 1000 && memory <= 4 << 30, "{cpu}m and {memory} bytes: {}", json!(each));
        Ok(())
    })
    .await;
}
