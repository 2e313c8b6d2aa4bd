//! Who really talks to whom, by the kernel's list of connections, against the policies that were derived: nothing that the stack needs
//! would be denied, and nothing that it does not need would be allowed.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    One, Space,
    linkerd::{
        edges::{Edges, Seen},
        rules::{Client, Policies},
    },
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use temporal_stack_common::api::{IpfsCluster, Mesh, PostgresDatabase, Temporal, annotation};

use crate::{
    mesh::{all_are_proxied, component, is_proxied, one_of, pods},
    temporal::{credentials::rotate, defaults::keeps_an_upload},
};

/// The ports of the data components, by component.
const PORTS: [(&str, &[u16]); 3] =
    [("database", &[5432]), ("queue", &[5672, 15672, 4369, 25672]), ("ipfs", &[5001, 9094, 9096, 4001])];
/// The sidecar's own port, and that of its metrics, are no server's.
const OF_THE_PROXY: [u16; 2] = [4143, 4191];

/// Fails with every observed connection that the policies would deny if they were in force.
fn all_are_allowed(policies: &Policies, seen: &[Seen]) -> Result<()> {
    let mut denied = BTreeMap::new();
    for one in seen.iter().filter(|one| !OF_THE_PROXY.contains(&one.port) && is_proxied(&one.server)) {
        let verdict = policies.verdict(&one.client, &one.server, one.port);
        if !verdict.is_allowed() {
            let account = one.client.account.as_ref().map_or("unmeshed", |(_, account)| account);
            let edge = format!("{} ({account}) → {}:{}", one.name, one.server.name_any(), one.port);
            denied.insert(edge, format!("{verdict:?}"));
        }
    }
    ensure!(denied.is_empty(), "{} of {} connections would be denied: {denied:#?}", denied.len(), seen.len());
    Ok(())
}

/// Fails unless the observed connections reached each of these components on this port.
fn were_seen(seen: &[Seen], expected: &[(&str, &str, u16)]) -> Result<()> {
    for (client, server, port) in expected {
        let is_it = |one: &Seen| one.name.contains(client) && component(&one.server) == *server && one.port == *port;
        ensure!(seen.iter().any(is_it), "no connection of {client} with {server}:{port} was seen among {}", seen.len());
    }
    Ok(())
}

/// An upload, faults, a rotation, scaling, and the migration's Job: whatever makes connections.
async fn busy(space: &Space, temporal: &One<'_, Temporal>) -> Result<()> {
    keeps_an_upload(space, temporal).await?;
    for name in ["temporal-messagequeue-0", "temporal-ipfscluster-1"] {
        space.api::<Pod>().delete(name, &DeleteParams::default()).await?;
    }
    rotate(&space.one::<PostgresDatabase>(), temporal).await?;
    let ipfs = space.one::<IpfsCluster>();
    for replicas in [3, 2] {
        ipfs.patch(&json!({"spec": {"replicas": replicas}})).await?;
        ipfs.ready().await?;
    }
    temporal.annotate(annotation::RESTART, &json!("mesh")).await?;
    temporal
        .until("begun to restart", |object| {
            !e2e::subject::says(object, temporal_stack_common::condition::READY, "True", "Verified")
        })
        .await?;
    temporal.ready().await?;
    keeps_an_upload(space, temporal).await
}

pub(super) async fn every_observed_connection_is_allowed(
    mesh: &One<'_, Mesh>,
    temporal: &One<'_, Temporal>,
    edges: &Edges,
) -> Result<()> {
    busy(mesh, temporal).await?;
    let seen = edges.seen();
    println!("{} different connections were seen", seen.len());
    were_seen(
        &seen,
        &[
            ("temporal-temporal-api", "database", 5432),
            ("temporal-temporal-api", "queue", 5672),
            ("temporal-temporal-api", "ipfs", 5001),
            ("temporal-ipfscluster", "ipfs", 9096),
            ("migrate", "database", 5432),
            ("database-controller", "database", 5432),
            ("queue-controller", "queue", 15672),
            ("ipfs-controller", "ipfs", 9094),
        ],
    )?;
    let policies = Policies::read(mesh).await?.enforced();
    ensure!(policies.servers() >= 8, "{} ports have a policy", policies.servers());
    all_are_allowed(&policies, &seen)
}

pub(super) async fn strangers_and_other_components_would_be_denied(mesh: &One<'_, Mesh>) -> Result<()> {
    all_are_proxied(mesh).await?;
    let policies = Policies::read(mesh).await?.enforced();
    let all = pods(mesh).await?;
    let outside = Client { address: [10, 244, 0, 254].into(), account: None, is_node: false };
    let of = |namespace: &str, account: &str| {
        let account = Some((namespace.to_owned(), account.to_owned()));
        Client { account, ..outside.clone() }
    };
    let strangers = [outside.clone(), of(&mesh.name, "default"), of("elsewhere", "temporal-temporal-api")];
    for (wanted, ports) in PORTS {
        let server = all.values().find(|pod| component(pod) == wanted).context("a pod of each component")?;
        for port in ports {
            for client in &strangers {
                let verdict = policies.verdict(client, server, *port);
                ensure!(!verdict.is_allowed(), "{client:?} reaches {wanted}:{port}: {verdict:?}");
            }
        }
    }
    // Peers do not ask each other's RPC, the queue no database, and nobody but nodes of RabbitMQ its clustering.
    for (client, wanted, port) in [
        ("temporal-messagequeue", "database", 5432),
        ("temporal-ipfscluster", "ipfs", 5001),
        ("temporal-ipfscluster", "queue", 5672),
        ("temporal-temporal-api", "queue", 25672),
        ("temporal-temporal-krab", "database", 5432),
    ] {
        let server = all.values().find(|pod| component(pod) == wanted).context("a pod of each component")?;
        let verdict = policies.verdict(&of(&mesh.name, client), server, port);
        ensure!(!verdict.is_allowed(), "{client} reaches {wanted}:{port}: {verdict:?}");
    }
    Ok(())
}

pub(super) async fn address_of_a_second_controller_is_allowed(mesh: &One<'_, Mesh>) -> Result<()> {
    let database = one_of(mesh, "database").await?;
    let controllers = kube::Api::<Pod>::namespaced(mesh.client.clone(), e2e::installed::SYSTEM);
    let ours = kube::api::ListParams::default().labels("app.kubernetes.io/name=database-controller");
    // Another pod beside the installed one, which is what an update makes.
    let deployments =
        kube::Api::<k8s_openapi::api::apps::v1::Deployment>::namespaced(mesh.client.clone(), e2e::installed::SYSTEM);
    let replicas = async |count: u32| {
        let patch = Patch::Merge(json!({"spec": {"replicas": count}}));
        deployments.patch("database-controller", &PatchParams::default(), &patch).await
    };
    replicas(2).await?;
    let allowed = e2e::turns("the addresses of both are allowed", async || {
        let policies = Policies::read(mesh).await?.enforced();
        let pods = controllers.list(&ours).await?.items;
        let addresses = pods.iter().filter_map(|pod| pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok());
        let clients: Vec<Client> = addresses.map(|address| Client { address, account: None, is_node: false }).collect();
        Ok(clients.len() == 2 && clients.iter().all(|client| policies.verdict(client, &database, 5432).is_allowed()))
    })
    .await;
    replicas(1).await?;
    allowed
}
