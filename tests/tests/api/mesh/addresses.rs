//! Addresses of controllers' pods that come and go: admitted before such a pod is ready, and for a while after it has gone, whichever
//! process of the mesh controller sees it.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use e2e::{Controller, Space, Subject as _, linkerd};
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use serde_json::json;
use temporal_stack_common::api::PostgresDatabase;

use super::policies::{Played, found, play, with_controllers};

/// The addresses that the database's controller is admitted from.
async fn admitted(space: &Space) -> Result<Vec<String>> {
    let found = found(space).await?;
    let networks =
        found.get("NetworkAuthentication/controller-database").map(|found| found.data["spec"]["networks"].clone());
    let networks = networks.iter().filter_map(|networks| networks.as_array()).flatten();
    Ok(networks.filter_map(|network| Some(network["cidr"].as_str()?.to_owned())).collect())
}

async fn become_admitted(space: &Space, what: &str, wanted: &[&str]) -> Result<()> {
    e2e::turns(what, async || Ok(admitted(space).await? == wanted)).await
}

#[tokio::test]
async fn address_of_a_gone_pod_is_admitted_across_a_restart() {
    with_controllers(async |mesh, Played { home, identity, mut controller }| {
        mesh.one::<PostgresDatabase>().create(&json!({})).await?;
        mesh.create(&json!({"policy": "Audit", "traffic": "Off"})).await?;
        become_admitted(mesh, "the first address", &["192.0.2.11/32"]).await?;

        // The next pod has its address before it is ready, and the first one has gone.
        play(home, PostgresDatabase::PROGRAM, "next").await?;
        linkerd::runs_at(home, "next", Ipv4Addr::new(192, 0, 2, 21).into()).await?;
        home.api::<Pod>().delete(PostgresDatabase::PROGRAM, &DeleteParams::default().grace_period(0)).await?;
        let both = ["192.0.2.11/32", "192.0.2.21/32"];
        become_admitted(mesh, "both addresses", &both).await?;

        controller.terminate()?;
        ensure!(controller.ended().await?.success(), "the controller did not end in order");
        let next = Controller::start_as(mesh, identity).await?;
        next.leads().await?;
        next.unchanged_passes(1).await?;
        ensure!(admitted(mesh).await? == both, "the next process has cut an address at once");
        become_admitted(mesh, "the address of the gone pod no longer", &["192.0.2.21/32"]).await
    })
    .await;
}
