//! A namespace for each test.

use std::{fmt::Debug, panic::AssertUnwindSafe, path::PathBuf};

use anyhow::{Context as _, Result};
use futures::FutureExt as _;
use k8s_openapi::{NamespaceResourceScope, api::core::v1::Namespace};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use rand::{RngExt as _, distr::Alphanumeric};
use serde::de::DeserializeOwned;
use serde_json::json;
use temporal_stack_common::api::{Mesh, PostgresDatabase};

use crate::{Cluster, cluster::shared_folder, dump, installed::SYSTEM};

/// What the names of the namespaces of tests begin with.
pub const PREFIX: &str = "e2e-";

/// A namespace, and who looks into it.
pub struct Space {
    /// The cluster.
    pub cluster: Cluster,
    /// The administrator's client.
    pub client: Client,
    /// The namespace's name.
    pub name: String,
    /// The namespace's UID: cluster-wide objects that name it as their owner go with it.
    pub uid: String,
    /// Where logs and kubeconfigs of this namespace's controllers are.
    pub folder: PathBuf,
    /// Where tests on this cluster keep what they tell each other.
    pub shared: PathBuf,
}

impl Space {
    async fn new(cluster: &Cluster) -> Result<Self> {
        let client = cluster.client().await?;
        let shared = shared_folder(&client).await?;
        let suffix: String = rand::rng().sample_iter(Alphanumeric).take(8).map(char::from).collect();
        let name = format!("{PREFIX}{}", suffix.to_lowercase());
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        let made = Api::all(client.clone())
            .create(&PostParams::default(), &namespace)
            .await
            .context("could not make a namespace")?;
        let folder = shared.join(&name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self { cluster: cluster.clone(), client, name, uid: made.uid().unwrap_or_default(), folder, shared })
    }

    /// The objects of a kind in this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Deletes the namespace, without waiting for its end.
    pub async fn delete(&self) -> kube::Result<()> {
        self.release::<PostgresDatabase>().await?;
        self.release::<Mesh>().await?;
        match Api::<Namespace>::all(self.client.clone()).delete(&self.name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if !matches!(status.code, 404 | 409) => Err(kube::Error::Api(status)),
            Err(kube::Error::Api(_)) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes the finalizers of a controller that has gone with the test, unless it is installed.
    async fn release<K>(&self) -> kube::Result<()>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        if Api::<Namespace>::all(self.client.clone()).get_metadata_opt(SYSTEM).await?.is_some() {
            return Ok(());
        }
        let objects = self.api::<K>();
        let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        // The kind may not be installed, and the controller's last request may have removed the object.
        for object in objects.list_metadata(&ListParams::default()).await.map(|list| list.items).unwrap_or_default() {
            if !object.finalizers().is_empty()
                && let Err(error) = objects.patch(&object.name_any(), &PatchParams::default(), &free).await
                && !matches!(&error, kube::Error::Api(status) if status.code == 404)
            {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Runs a test in a namespace of its own, which is deleted afterwards. When the test fails, what is in the namespace and what
/// its controllers have logged is printed first.
///
/// # Panics
///
/// When the test fails.
pub async fn with_namespace(cluster: &Cluster, test: impl AsyncFnOnce(&Space) -> Result<()>) {
    let space = Space::new(cluster).await.expect("a namespace for the test");
    let result = AssertUnwindSafe(test(&space)).catch_unwind().await;
    let succeeded = matches!(result, Ok(Ok(())));
    if !succeeded {
        dump::dump(&space).await;
    }
    let deleted = space.delete().await;
    match result {
        Ok(Ok(())) => {
            // Logs are worth keeping only of failures.
            let _ = std::fs::remove_dir_all(&space.folder);
            deleted.expect("the namespace can be deleted");
        }
        Ok(Err(error)) => panic!("{error:?}"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
