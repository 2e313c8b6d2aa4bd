//! The clusters that tests run on.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config, ResourceExt,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use temporal_stack_common::process::install_crypto;

/// Names the kubeconfig of an API server and a controller manager without nodes.
pub const API_KUBECONFIG: &str = "TEMPORAL_STACK_API_KUBECONFIG";
/// Names the kubeconfig of a cluster that runs pods.
pub const NODE_KUBECONFIG: &str = "TEMPORAL_STACK_NODE_KUBECONFIG";

/// A cluster, as its administrator.
#[derive(Clone, Debug)]
pub struct Cluster {
    kubeconfig: PathBuf,
}

impl Cluster {
    /// The API server and its controllers, without nodes.
    pub fn api() -> Result<Self> {
        Self::named(API_KUBECONFIG)
    }

    /// The cluster that runs pods.
    pub fn node() -> Result<Self> {
        Self::named(NODE_KUBECONFIG)
    }

    fn named(variable: &str) -> Result<Self> {
        let kubeconfig = std::env::var_os(variable).with_context(|| {
            format!("{variable} is not set: `cargo xtask test` sets it; by hand, it is the path that `cargo xtask node up` prints")
        })?;
        Ok(Self { kubeconfig: kubeconfig.into() })
    }

    /// The cluster of this administrator's kubeconfig.
    pub fn of(kubeconfig: PathBuf) -> Self {
        Self { kubeconfig }
    }

    /// The path of the administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A client of the administrator's. Each test makes its own, because a client belongs to the runtime it was made in.
    pub async fn client(&self) -> Result<Client> {
        install_crypto();
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)
            .with_context(|| format!("could not read {}", self.kubeconfig.display()))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// A kubeconfig for the same API server, with a token instead of the administrator's key.
    pub fn kubeconfig_with_token(&self, token: &str, namespace: &str) -> Result<String> {
        let text = std::fs::read_to_string(&self.kubeconfig)?;
        let mut config: Value = serde_saphyr::from_str(&text)?;
        let cluster = config["clusters"][0]["name"].clone();
        config["users"] = json!([{"name": "controller", "user": {"token": token}}]);
        config["contexts"] = json!([{
            "name": "controller",
            "context": {"cluster": cluster, "user": "controller", "namespace": namespace},
        }]);
        config["current-context"] = json!("controller");
        Ok(config.to_string())
    }
}

/// Where the tests on this very cluster keep what they tell each other: a new cluster starts with an empty folder.
pub async fn shared_folder(client: &Client) -> Result<PathBuf> {
    let system = Api::<Namespace>::all(client.clone()).get("kube-system").await?;
    let folder = std::env::temp_dir().join("temporal-stack-e2e").join(system.uid().unwrap_or_default());
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
