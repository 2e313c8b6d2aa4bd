//! The facts about the cluster for the [directions](super::directions).

use anyhow::{Context as _, Result};
use reqwest::Url;
use serde_json::Value;

use super::access::{Access, BINDING, IPFS_BINDING, Service, entry};
use super::objects::ADMIN;
use super::{DATA, KEPT_BESIDE_VOLUMES};
use crate::cluster::Cluster;
use crate::step::Step;

/// The facts in the directions.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Commands that must be run before the others.
    pub first: Vec<String>,
    /// The flags of kubectl that name the cluster.
    pub kubectl: String,
    /// The namespace of the stack.
    pub namespace: String,
    /// The image of Temporal.
    pub image: String,
    /// Temporal's API.
    pub api: HttpServer,
    /// Whether its binding has the CA of its certificate; a certificate of the user may need none.
    pub has_ca: bool,
    /// The gateway of the IPFS cluster, if it has one.
    pub gateway: Option<HttpServer>,
    /// The first account.
    pub admin: String,
    /// The Secrets and ConfigMaps that are data, each as `Secret/NAME`.
    pub kept: Vec<String>,
    /// The kinds of data, as `kubectl get` takes them.
    pub data_kinds: String,
}

/// An HTTP server in the cluster.
#[derive(Debug, Clone)]
pub struct HttpServer {
    /// Its URL within the cluster.
    pub url: Url,
    /// Its address, if it is reachable from this machine.
    pub address: Option<String>,
}

impl Facts {
    /// Reads the facts from the cluster.
    pub fn gather(step: &Step, access: &Access<'_>, context: Option<&str>) -> Result<Self> {
        let (kubectl, namespace) = (access.kubectl, access.namespace);
        let get = ["get", "temporal.temporal-stack.dev", "temporal", "--output=json", "--namespace", namespace];
        let temporal: Value = serde_json::from_str(&kubectl.command(step).args(get).read()?)?;
        let image = temporal["status"]["image"].as_str().unwrap_or_default().to_owned();
        let url = temporal["status"]["url"]
            .as_str()
            .context("Temporal/temporal incomplete: it is Ready, but has no status.url")?;
        let ipfs = access.secret(step, IPFS_BINDING)?;
        let gateway = entry(&ipfs, "gateway-uri").ok().map(|url| HttpServer::locate(step, access, &url)).transpose()?;
        let get = ["get", KEPT_BESIDE_VOLUMES, "--output=name", DATA, "--namespace", namespace];
        let kept = kubectl.command(step).args(get).read()?.lines().map(titled).collect();
        let mut first = Vec::new();
        if let Some(folder) = kubectl.folder() {
            first.push(format!("export PATH=$PATH:{}", folder.display()));
        }
        if context.is_none() {
            first.push(format!("export KUBECONFIG={}", Cluster::node()?.kubeconfig().display()));
        }
        Ok(Self {
            first,
            kubectl: context.map_or("kubectl".to_owned(), |context| format!("kubectl --context {context}")),
            namespace: namespace.to_owned(),
            image,
            api: HttpServer::locate(step, access, url)?,
            has_ca: access.secret(step, BINDING)?.contains_key("ca.crt"),
            gateway,
            admin: entry(&access.secret(step, ADMIN)?, "username")?,
            kept,
            data_kinds: super::data_kinds(step, kubectl)?,
        })
    }
}

/// A line of `kubectl get --output=name`, as `Secret/NAME`.
fn titled(line: &str) -> String {
    match line.split_once('/') {
        Some(("secret", name)) => format!("Secret/{name}"),
        Some(("configmap", name)) => format!("ConfigMap/{name}"),
        _ => line.to_owned(),
    }
}

impl HttpServer {
    fn locate(step: &Step, access: &Access<'_>, url: &str) -> Result<Self> {
        let url = Url::parse(url).with_context(|| format!("URL {url} invalid"))?;
        let address = match Service::from_url(&url) {
            Some(service) if access.local => Some(access.address(step, &service)?.to_string()),
            Some(_) => None,
            None => Some(url.authority().to_owned()),
        };
        Ok(Self { url, address })
    }
}
