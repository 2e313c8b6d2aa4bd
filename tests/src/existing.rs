//! Tests of what `xtask up` has made: in a namespace that is there already, and stays.

use std::panic::AssertUnwindSafe;

use anyhow::Result;
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt as _};

use crate::{Cluster, Space, cluster::shared_folder, dump};

/// Runs a test in the namespace `default`, where the seed goes. When the test fails, what is there is printed.
///
/// # Panics
///
/// When the test fails.
pub async fn in_default(cluster: &Cluster, test: impl AsyncFnOnce(&Space) -> Result<()>) {
    let space = of(cluster, "default").await.expect("the namespace default");
    let result = AssertUnwindSafe(test(&space)).catch_unwind().await;
    if !matches!(result, Ok(Ok(()))) {
        dump::dump(&space).await;
    }
    match result {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("{error:?}"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// A namespace that is there already.
pub async fn of(cluster: &Cluster, name: &str) -> Result<Space> {
    let client = cluster.client().await?;
    let shared = shared_folder(&client).await?;
    let uid = Api::<Namespace>::all(client.clone()).get(name).await?.uid().unwrap_or_default();
    let folder = shared.join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(Space { cluster: cluster.clone(), client, name: name.to_owned(), uid, folder, shared })
}
