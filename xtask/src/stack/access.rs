//! Access from this machine to servers in the cluster.
//!
//! Services have names that only pods can look up. On the local node the host reaches their addresses itself; on other clusters
//! through `kubectl port-forward`. The name always stays in the URL, because certificates are for names.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Url;
use serde_json::Value;

use super::forward::Forward;
use crate::kubectl::Kubectl;
use crate::step::Step;

/// The binding of the `Temporal` in `deploy/stack`.
pub const BINDING: &str = "temporal-temporal-binding";
/// The binding of its `IpfsCluster`.
pub const IPFS_BINDING: &str = "temporal-ipfscluster-binding";

/// A cluster, as accessed from this machine.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// The kubectl of the cluster.
    pub kubectl: &'a Kubectl,
    /// Whether this is the machine of the local node.
    pub local: bool,
    /// The namespace of the stack.
    pub namespace: &'a str,
}

/// A URL that works from this machine.
#[derive(Debug)]
pub struct Reached {
    /// The URL; its host is the name that certificates are for.
    pub url: Url,
    /// The address of that host, unless it can be looked up.
    pub address: Option<SocketAddr>,
    /// Open while the URL is used.
    #[expect(dead_code, reason = "held, not read")]
    forward: Option<Forward>,
}

/// A Service of the cluster, by its name in a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The port.
    pub port: u16,
}

impl Access<'_> {
    /// Translates a URL within the cluster to one that works from this machine.
    pub fn reach(&self, step: &Step, within: &str) -> Result<Reached> {
        let mut url = Url::parse(within).with_context(|| format!("URL {within} invalid"))?;
        let Some(service) = Service::from_url(&url) else {
            return Ok(Reached { url, address: None, forward: None });
        };
        if self.local {
            return Ok(Reached::at(url, self.address(step, &service)?));
        }
        let forward = Forward::open(self.kubectl, &service.namespace, &service.name, service.port)?;
        let address = forward.address;
        if url.set_port(Some(address.port())).is_err() {
            bail!("URL {within} invalid: it cannot have a port");
        }
        Ok(Reached { url, address: Some(address), forward: Some(forward) })
    }

    /// The address of a Service, which is reachable on the local node's machine.
    pub fn address(&self, step: &Step, service: &Service) -> Result<SocketAddr> {
        let get = self.kubectl.command(step).args(["get", "service", &service.name, "--namespace", &service.namespace]);
        let text = get.arg("--output=jsonpath={.spec.clusterIP}").read()?;
        let address: IpAddr =
            text.trim().parse().with_context(|| format!("Service/{} has no cluster IP", service.name))?;
        Ok(SocketAddr::from((address, service.port)))
    }

    /// The content of a Secret in the stack's namespace.
    pub fn secret(&self, step: &Step, name: &str) -> Result<BTreeMap<String, Vec<u8>>> {
        let get = self.kubectl.command(step).args(["get", "secret", name, "--namespace", self.namespace]);
        let secret: Value = serde_json::from_str(&get.arg("--output=json").read()?)?;
        let entries = secret["data"].as_object().into_iter().flatten();
        let decode = |(key, value): (&String, &Value)| {
            let value = BASE64_STANDARD.decode(value.as_str().unwrap_or_default());
            Ok((key.clone(), value.with_context(|| format!("key {key} of Secret/{name} invalid: it is not Base64"))?))
        };
        entries.map(decode).collect()
    }
}

impl Reached {
    /// A URL with a host at an address that is reachable from this machine.
    pub fn at(url: Url, address: SocketAddr) -> Self {
        Self { url, address: Some(address), forward: None }
    }
}

impl Service {
    /// The Service in the host of a URL: `<name>.<namespace>.svc…`.
    pub fn from_url(url: &Url) -> Option<Self> {
        let labels: Vec<&str> = url.host_str()?.split('.').collect();
        let [name, namespace, "svc", ..] = labels.as_slice() else { return None };
        let port = url.port_or_known_default()?;
        Some(Self { name: (*name).to_owned(), namespace: (*namespace).to_owned(), port })
    }
}

/// A text entry of a Secret.
pub fn entry(secret: &BTreeMap<String, Vec<u8>>, key: &str) -> Result<String> {
    let value = secret.get(key).with_context(|| format!("key {key} missing in the Secret"))?;
    String::from_utf8(value.clone()).with_context(|| format!("key {key} of the Secret invalid: it is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_of_a_service_names_it() {
        let service = |url: &str| Service::from_url(&Url::parse(url).unwrap());
        let expected = Service { name: "temporal-api".to_owned(), namespace: "team".to_owned(), port: 6767 };
        assert_eq!(service("https://temporal-api.team.svc:6767"), Some(expected.clone()));
        assert_eq!(service("https://temporal-api.team.svc.cluster.local:6767/v2"), Some(expected));
        assert_eq!(service("https://ipfs.example.com"), None);
        assert_eq!(service("http://10.96.0.1:9094"), None);
    }
}
