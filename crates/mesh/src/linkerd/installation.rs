//! The settings of an installation of Linkerd.

use k8s_openapi::api::core::v1::ConfigMap;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use temporal_stack_common::{api::DefaultInboundPolicy, manifest::hex};

use super::certificate::Expiry;
use crate::names::{CONFIG_KEY, TRUST_ROOTS_KEY};

/// The settings that are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Config {
    /// The version.
    pub(crate) linkerd_version: Option<String>,
    /// The domain of identities; empty: that of the cluster, as charts have it.
    pub(crate) identity_trust_domain: String,
    /// The domain of the cluster.
    pub(crate) cluster_domain: String,
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
    /// What is done with connections to ports without a policy. Text, because a later release may know more of them, and the other
    /// settings are to be read nevertheless.
    pub(crate) default_inbound_policy: String,
}

/// The settings of what leads connections to proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ProxyInit {
    /// The ports that do not lead to proxies, unless a pod has others.
    pub(crate) ignore_inbound_ports: String,
}

impl Config {
    /// The settings in the ConfigMap `linkerd-config`; defaults where it does not parse.
    pub(crate) fn read(map: &ConfigMap) -> Self {
        let values = map.data.as_ref().and_then(|data| data.get(CONFIG_KEY));
        let read = values.and_then(|values| serde_saphyr::from_str::<Self>(values).ok());
        read.unwrap_or_default()
    }

    /// The domain of identities.
    pub(crate) fn trust_domain(&self) -> &str {
        let configured = [self.identity_trust_domain.as_str(), self.cluster_domain.as_str()];
        configured.into_iter().find(|domain| !domain.is_empty()).unwrap_or("cluster.local")
    }

    /// What is done with connections to ports without a policy, if it is known.
    pub(crate) fn default_policy(&self) -> Option<DefaultInboundPolicy> {
        serde_json::from_value(json!(self.proxy.default_inbound_policy)).ok()
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
        assert_eq!((config.trust_domain(), config.cni_enabled), ("example.org", true));
        assert_eq!(config.proxy_init.ignore_inbound_ports, "4567,4568");
        assert_eq!(Config::read(&map(CONFIG_KEY, ": not yaml")), Config::default());
    }

    #[test]
    fn trust_domain_is_that_of_the_cluster_unless_it_is_set() {
        for (values, domain) in [
            ("identityTrustDomain: \"\"\nclusterDomain: corp.local\n", "corp.local"),
            ("clusterDomain: corp.local\n", "corp.local"),
            ("identityTrustDomain: a.b\nclusterDomain: corp.local\n", "a.b"),
            ("cniEnabled: true\n", "cluster.local"),
        ] {
            assert_eq!(Config::read(&map(CONFIG_KEY, values)).trust_domain(), domain, "{values}");
        }
    }

    #[test]
    fn unknown_default_policy_hides_no_other_setting() {
        let with = |policy: &str| {
            let values = format!("linkerdVersion: edge-27.1.1\nproxy:\n  defaultInboundPolicy: {policy}\n");
            Config::read(&map(CONFIG_KEY, &values))
        };
        assert_eq!(with("deny").default_policy(), Some(DefaultInboundPolicy::Deny));
        for policy in ["\"\"", "something-new"] {
            let config = with(policy);
            assert_eq!((config.linkerd_version.as_deref(), config.default_policy()), (Some("edge-27.1.1"), None));
        }
    }

    #[test]
    fn anchors_that_do_not_parse_have_no_expiry() {
        let anchors = Anchors::read(&map(TRUST_ROOTS_KEY, "not a certificate"));
        assert_eq!(anchors.expiry, None);
        assert!(anchors.are(&hexadecimal("not a certificate")) && !anchors.are("another"));
        assert!(Anchors::default().are("anything"), "unknown anchors make no pod outdated");
    }
}
