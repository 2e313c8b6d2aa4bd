//! What is asked of the cluster for [directions](super::directions).

use anyhow::{Context as _, Result};
use reqwest::Url;
use serde_json::Value;

use super::DATA;
use super::access::{Access, BINDING, IPFS_BINDING, Service, entry};
use super::objects::ADMIN;
use crate::cluster::Cluster;
use crate::step::Step;

/// What the directions are made of.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What has to be typed first, so that the other commands work.
    pub first: Vec<String>,
    /// The flags of kubectl that name the cluster.
    pub kubectl: String,
    /// The namespace of the stack.
    pub namespace: String,
    /// The image of Temporal.
    pub image: String,
    /// Temporal's API.
    pub api: Place,
    /// Whether its binding has the CA of its certificate; the user's own may need none.
    pub has_ca: bool,
    /// The gateway of the IPFS cluster, if it has one.
    pub gateway: Option<Place>,
    /// The first account.
    pub admin: String,
    /// The Secrets that are data.
    pub secrets: Vec<String>,
}

/// Something in the cluster that answers HTTP.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its URL within the cluster.
    pub url: Url,
    /// Its address, where that can be reached from here.
    pub address: Option<String>,
}

impl Facts {
    /// Asks the cluster.
    pub fn gather(step: &Step, access: &Access<'_>, context: Option<&str>) -> Result<Self> {
        let (kubectl, namespace) = (access.kubectl, access.namespace);
        let get = ["get", "temporal.temporal-stack.dev", "temporal", "--output=json", "--namespace", namespace];
        let temporal: Value = serde_json::from_str(&kubectl.command(step).args(get).read()?)?;
        let image = temporal["status"]["image"].as_str().unwrap_or_default().to_owned();
        let url = temporal["status"]["url"].as_str().context("Temporal is Ready and has no status.url")?;
        let ipfs = access.secret(step, IPFS_BINDING)?;
        let gateway = entry(&ipfs, "gateway-uri").ok().map(|url| Place::of(step, access, &url)).transpose()?;
        let data = kubectl.command(step).args(["get", "secrets", "--output=name", DATA, "--namespace", namespace]);
        let secrets = data.read()?.lines().map(|name| name.trim_start_matches("secret/").to_owned()).collect();
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
            api: Place::of(step, access, url)?,
            has_ca: access.secret(step, BINDING)?.contains_key("ca.crt"),
            gateway,
            admin: entry(&access.secret(step, ADMIN)?, "username")?,
            secrets,
        })
    }
}

impl Place {
    fn of(step: &Step, access: &Access<'_>, url: &str) -> Result<Self> {
        let url = Url::parse(url).with_context(|| format!("{url} is no URL"))?;
        let address = match Service::of(&url) {
            Some(service) if access.local => Some(access.address(step, &service)?.to_string()),
            Some(_) => None,
            None => Some(url.authority().to_owned()),
        };
        Ok(Self { url, address })
    }
}
