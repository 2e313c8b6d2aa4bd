//! Address families: the real programs, configured and started as their pods start them, in a network that has IPv6 alone or IPv4
//! alone, loopback included.
//!
//! ```text
//!   queue-children ── JSON ──▶ StatefulSet, Secrets, ConfigMaps ──▶ Pod: init containers, containers, probes
//!   xtask images ─── archive ─▶ Image: the root of each container ─┘      in namespaces of its own; no node, no API server
//! ```
//!
//! What is run is what the controllers make: the images, scripts, arguments, variables, volumes and probes of the manifests.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

mod image;
mod network;
mod pod;

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::built;
use serde_json::Value;

use crate::{network::Family, pod::Pod};

/// The images that the pods are to have, as their names in `TEMPORAL_STACK_IMAGES`.
const IMAGES: [(&str, &str); 6] = [
    ("RELATED_IMAGE_POSTGRES", "postgres"),
    ("RELATED_IMAGE_RABBITMQ", "rabbitmq"),
    ("RELATED_IMAGE_KUBO", "kubo"),
    ("RELATED_IMAGE_IPFS_CLUSTER", "ipfs-cluster"),
    ("RELATED_IMAGE_MINIO", "minio"),
    ("RELATED_IMAGE_VERSITY", "versity"),
];

/// What a controller makes of an object with this spec.
fn children(component: &str, spec: &Value) -> Result<Vec<Value>> {
    let program = built(&format!("examples/{component}-children"))?;
    let output = Command::new(program).args(["--spec", &spec.to_string()]).env_clear().envs(IMAGES).output()?;
    ensure!(output.status.success(), "{component}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("no list of children")
}

/// Starts the first pod of what a controller makes, in a network of that family, and waits until it is ready: its probes
/// succeed. These ports must accept connections then. Returns those that its containers declare and that were not asked for.
async fn serves(component: &str, spec: &Value, family: Family, ports: &[u16]) -> Vec<u16> {
    let run = async {
        let pod = Pod::start(&children(component, spec)?, family).await?;
        pod.is_ready().await?;
        for port in ports {
            pod.accepts(*port).await?;
        }
        anyhow::Ok(pod.declared().into_iter().filter(|port| !ports.contains(port)).collect())
    };
    match run.await {
        Ok(others) => others,
        Err(error) => panic!("{component} over {family:?}: {error:?}"),
    }
}

/// Makes a test of each network that pods have.
macro_rules! for_each_family {
    (without_ipv4: $bare:expr, $component:literal, $ports:expr) => {
        for_each_family!($component, {}, $ports);

        #[tokio::test]
        async fn programs_serve_without_ipv4_on_the_loopback() {
            serves($component, &serde_json::json!({}), Family::BareV6, &$bare).await;
        }
    };
    ($component:literal, $spec:tt, $ports:expr) => {
        use super::{Family, serves};

        #[tokio::test]
        async fn all_ports_accept_with_ipv4_alone() {
            assert!(serves($component, &serde_json::json!($spec), Family::V4, &$ports).await.is_empty());
        }

        #[tokio::test]
        async fn all_ports_accept_with_an_ipv6_address_alone() {
            assert!(serves($component, &serde_json::json!($spec), Family::V6, &$ports).await.is_empty());
        }
    };
}

mod postgres {
    for_each_family!(without_ipv4: [5432], "database", [5432]);
}

mod rabbitmq {
    const PORTS: [u16; 5] = [4369, 5672, 15672, 15692, 25672];

    for_each_family!(without_ipv4: PORTS, "queue", PORTS);
}

mod kubo_and_ipfs_cluster {
    // All but the metrics: where not even the loopback has IPv4, Go takes every wildcard for IPv4's, and they are told a wildcard.
    for_each_family!(without_ipv4: [4001, 5001, 8080, 9094, 9096], "ipfs", [4001, 5001, 8080, 8888, 9094, 9096]);
}

// Both listen on Go's wildcard alone: see above.
mod minio {
    for_each_family!("storage", {"provider": {"minio": {}}}, [9000]);
}

mod versity {
    for_each_family!("storage", {"provider": {"versity": {}}}, [9000, 9001]);
}
