//! The settings of an installation of Linkerd.

use k8s_openapi::api::core::v1::ConfigMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use temporal_stack_common::{api::DefaultInboundPolicy, manifest::hex};

use super::certificate::Expiry;
use crate::names::{CONFIG_KEY, TRUST_ROOTS_KEY};

/// The settings that are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Config {
    /// The version.
    pub(crate) linkerd_version: Option<String>,
    /// The domain of identities.
    pub(crate) identity_trust_domain: String,
    /// The networks of the cluster, separated by commas.
    pub(crate) cluster_networks: String,
    /// The settings of proxies.
    pub(crate) proxy: ProxyConfig,
    /// What leads connections to proxies.
    pub(crate) proxy_init: ProxyInit,
    /// Whether a plugin of the network redirects connections, so that pods need no privileges for it.
    pub(crate) cni_enabled: bool,
}

/// The settings of proxies that are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ProxyConfig {
    /// What is done with connections to ports without a policy.
    pub(crate) default_inbound_policy: Option<DefaultInboundPolicy>,
}

/// The settings of what leads connections to proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ProxyInit {
    /// The ports that do not lead to proxies, unless a pod has others.
    pub(crate) ignore_inbound_ports: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            linkerd_version: None,
            identity_trust_domain: "cluster.local".to_owned(),
            cluster_networks: String::new(),
            proxy: ProxyConfig::default(),
            proxy_init: ProxyInit::default(),
            cni_enabled: false,
        }
    }
}

impl Config {
    /// The settings in the ConfigMap `linkerd-config`; defaults where it does not parse.
    pub(crate) fn read(map: &ConfigMap) -> Self {
        let values = map.data.as_ref().and_then(|data| data.get(CONFIG_KEY));
        let read = values.and_then(|values| serde_saphyr::from_str::<Self>(values).ok());
        read.unwrap_or_default()
    }
}

/// The trust anchors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Anchors {
    /// When they expire; `None` if they do not parse.
    pub(crate) expiry: Option<Expiry>,
    /// The hashes that an injector may write on pods for them.
    pub(crate) hashes: Vec<String>,
}

impl Anchors {
    /// The trust anchors in the ConfigMap `linkerd-identity-trust-roots`.
    pub(crate) fn read(map: &ConfigMap) -> Self {
        let Some(bundle) = map.data.as_ref().and_then(|data| data.get(TRUST_ROOTS_KEY)) else { return Self::default() };
        let trimmed = bundle.trim();
        let forms = [bundle.clone(), trimmed.to_owned(), format!("{trimmed}\n")];
        Self {
            expiry: Expiry::of_bundle(bundle.as_bytes()),
            hashes: forms.iter().map(|form| hexadecimal(form)).collect(),
        }
    }

    /// Whether a pod with this hash trusts these anchors.
    pub(crate) fn are(&self, hash: &str) -> bool {
        self.hashes.is_empty() || self.hashes.iter().any(|one| one == hash)
    }
}

fn hexadecimal(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn map(key: &str, value: &str) -> ConfigMap {
        ConfigMap { data: Some(BTreeMap::from([(key.to_owned(), value.to_owned())])), ..ConfigMap::default() }
    }

    #[test]
    fn settings_are_read_among_others() {
        let values = "cniEnabled: true\nidentityTrustDomain: example.org\nlinkerdVersion: stable-2.20.0\nproxy:\n  cores: 1\nproxyInit:\n  ignoreInboundPorts: 4567,4568\n";
        let config = Config::read(&map(CONFIG_KEY, values));
        assert_eq!(config.linkerd_version.as_deref(), Some("stable-2.20.0"));
        assert_eq!((config.identity_trust_domain.as_str(), config.cni_enabled), ("example.org", true));
        assert_eq!(config.proxy_init.ignore_inbound_ports, "4567,4568");
        assert_eq!(Config::read(&map(CONFIG_KEY, ": not yaml")), Config::default());
    }

    #[test]
    fn anchors_that_do_not_parse_have_no_expiry() {
        let anchors = Anchors::read(&map(TRUST_ROOTS_KEY, "not a certificate"));
        assert_eq!(anchors.expiry, None);
        assert!(anchors.are(&hexadecimal("not a certificate")) && !anchors.are("another"));
        assert!(Anchors::default().are("anything"), "unknown anchors make no pod outdated");
    }
}
