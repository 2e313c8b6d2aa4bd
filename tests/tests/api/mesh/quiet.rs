//! A pass that finds nothing to do sends nothing.

use anyhow::ensure;
use e2e::{Subject as _, full};
use serde_json::json;
use temporal_stack_common::api::{IpfsCluster, PostgresDatabase};

use super::with_mesh;
use crate::step::{look, quiet};

#[tokio::test]
async fn pass_over_an_unchanged_mesh_sends_no_request() {
    with_mesh(async |mesh, controller| {
        mesh.one::<PostgresDatabase>().create(&PostgresDatabase::embedded()).await?;
        mesh.one::<IpfsCluster>().create(&IpfsCluster::embedded()).await?;
        mesh.create(&json!({"policy": "Audit", "routes": "On"})).await?;
        mesh.ready().await?;
        let before = quiet(mesh, controller).await?;
        let passes = controller.metrics()?.passes("unchanged");
        let looks = if full() { 1000 } else { 10 };
        for _ in 0..looks {
            look(mesh, controller).await?;
        }
        let metrics = controller.metrics()?;
        ensure!(metrics.passes("unchanged") >= passes + looks, "there were too few passes");
        let after = metrics.requests().of_passes();
        println!("requests until a Mesh is Ready:\n{before}");
        ensure!(after == before, "{looks} passes made requests; before:\n{before}after:\n{after}");
        Ok(())
    })
    .await;
}
