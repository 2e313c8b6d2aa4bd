//! What a cluster needs before the first test: the kinds, and classes of volumes that nobody makes.

use anyhow::Result;
use k8s_openapi::{
    api::storage::v1::StorageClass, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{Api, Client, CustomResourceExt as _, ResourceExt as _};
use serde_json::json;
use temporal_stack_common::api::{IpfsCluster, Mesh, MessageQueue, ObjectStorage, PostgresDatabase, Temporal};
use tokio::sync::OnceCell;

use crate::{Cluster, controller::apply, until};

/// A class whose volumes may grow.
pub const GROWS: &str = "e2e-grows";
/// A class whose volumes may not.
pub const FIXED: &str = "e2e-fixed";

/// The API server, with the kinds and classes installed: once for all tests of a process, because the garbage collector
/// learns of a new kind only after half a minute. No class is the default one.
pub async fn api_server() -> Result<Cluster> {
    static PREPARED: OnceCell<()> = OnceCell::const_new();
    let cluster = Cluster::api()?;
    PREPARED.get_or_try_init(|| prepare(&cluster)).await?;
    Ok(cluster)
}

async fn prepare(cluster: &Cluster) -> Result<()> {
    let client = cluster.client().await?;
    install_kinds(&client).await?;
    install_storage_classes(&client).await
}

/// Installs the classes of volumes.
pub async fn install_storage_classes(client: &Client) -> Result<()> {
    for (name, grows) in [(GROWS, true), (FIXED, false)] {
        let class = json!({
            "metadata": {"name": name},
            "provisioner": "temporal-stack.dev/nobody",
            "allowVolumeExpansion": grows,
        });
        apply(&Api::<StorageClass>::all(client.clone()), &class).await?;
    }
    Ok(())
}

/// Installs the kinds as their types say, and waits until they are served.
pub async fn install_kinds(client: &Client) -> Result<()> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    let kinds = [
        PostgresDatabase::crd(),
        MessageQueue::crd(),
        IpfsCluster::crd(),
        ObjectStorage::crd(),
        Mesh::crd(),
        Temporal::crd(),
    ];
    for crd in kinds {
        apply(&api, &serde_json::to_value(&crd)?).await?;
        until_established(&api, &crd.name_any()).await?;
    }
    Ok(())
}

/// Waits until a kind is served.
pub async fn until_established(kinds: &Api<CustomResourceDefinition>, name: &str) -> Result<()> {
    until(kinds, name, "been established", |kind| {
        let conditions = kind.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().any(|condition| condition.type_ == "Established" && condition.status == "True")
    })
    .await
    .map(drop)
}
