//! Which connections a `NetworkPolicy` lets through, computed: the local node's network enforces none.
//!
//! A pod that no policy selects is open. Of one that some select, a port is open to the peers of any rule of any of them. The kubelet of
//! the pod's own node always passes.

use std::{collections::BTreeMap, net::IpAddr};

use anyhow::Result;
use k8s_openapi::{
    api::{
        core::v1::{Namespace, Pod},
        networking::v1::{NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer},
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube::{Api, ResourceExt as _, api::ListParams};

use crate::Space;

/// The policies of a namespace, and the labels of all.
pub struct Policies {
    namespace: String,
    objects: Vec<NetworkPolicy>,
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
}

impl Policies {
    /// Reads them.
    pub async fn read(space: &Space) -> Result<Self> {
        let all = ListParams::default();
        let objects = space.api::<NetworkPolicy>().list(&all).await?.items;
        let namespaces = Api::<Namespace>::all(space.client.clone()).list(&all).await?;
        let namespaces =
            namespaces.iter().map(|namespace| (namespace.name_any(), namespace.labels().clone())).collect();
        Ok(Self { namespace: space.name.clone(), objects, namespaces })
    }

    /// Whether a pod may connect to a TCP port of a pod of this namespace.
    pub fn admits(&self, client: &Pod, server: &Pod, port: u16) -> bool {
        let is_about = |policy: &&NetworkPolicy| {
            let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
            selector.is_none_or(|selector| selects(selector, server.labels()))
        };
        let about: Vec<&NetworkPolicy> = self.objects.iter().filter(is_about).collect();
        let mut rules =
            about.iter().flat_map(|policy| policy.spec.iter().flat_map(|spec| spec.ingress.iter().flatten()));
        about.is_empty() || rules.any(|rule| is_open(rule, server, port) && self.is_from(rule, client))
    }

    fn is_from(&self, rule: &NetworkPolicyIngressRule, client: &Pod) -> bool {
        // No list, and an empty one, are everybody.
        let peers = rule.from.as_deref().unwrap_or_default();
        peers.is_empty() || peers.iter().any(|peer| self.is_peer(peer, client))
    }

    fn is_peer(&self, peer: &NetworkPolicyPeer, client: &Pod) -> bool {
        if let Some(block) = &peer.ip_block {
            let address = client.status.as_ref().and_then(|status| status.pod_ip.as_ref()?.parse::<IpAddr>().ok());
            let is_in = |cidr: &str| address.is_some_and(|address| crate::linkerd::rules::contains(cidr, address));
            return is_in(&block.cidr) && !block.except.iter().flatten().any(|except| is_in(except));
        }
        let namespace = client.namespace().unwrap_or_default();
        let is_in_namespace = match &peer.namespace_selector {
            None => namespace == self.namespace,
            Some(selector) => self.namespaces.get(&namespace).is_some_and(|labels| selects(selector, labels)),
        };
        is_in_namespace && peer.pod_selector.as_ref().is_none_or(|selector| selects(selector, client.labels()))
    }
}

fn is_open(rule: &NetworkPolicyIngressRule, server: &Pod, port: u16) -> bool {
    let ports = rule.ports.as_deref().unwrap_or_default();
    let is_it = |wanted: &Option<IntOrString>, end: Option<i32>| match wanted {
        None => true,
        Some(IntOrString::Int(first)) => (*first..=end.unwrap_or(*first)).contains(&i32::from(port)),
        Some(IntOrString::String(name)) => is_named(server, name, port),
    };
    let is_tcp = |protocol: &Option<String>| protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
    ports.is_empty() || ports.iter().any(|one| is_tcp(&one.protocol) && is_it(&one.port, one.end_port))
}

fn is_named(pod: &Pod, name: &str, port: u16) -> bool {
    let containers =
        pod.spec.iter().flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports.any(|one| one.name.as_deref() == Some(name) && one.container_port == i32::from(port))
}

fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let has = |(key, value): (&String, &String)| labels.get(key) == Some(value);
    let fits = selector.match_expressions.iter().flatten().all(|expression| {
        let value = labels.get(&expression.key);
        let is_listed = value.is_some_and(|value| expression.values.iter().flatten().any(|one| one == value));
        match expression.operator.as_str() {
            "In" => is_listed,
            "NotIn" => !is_listed,
            "Exists" => value.is_some(),
            _ => value.is_none(),
        }
    });
    selector.match_labels.iter().flatten().all(has) && fits
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(namespace: &str, app: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": app, "namespace": namespace, "labels": {"app": app}},
            "spec": {"containers": [{"name": "a", "ports": [{"name": "web", "containerPort": 80}]}]},
        }))
        .unwrap()
    }

    fn policies(ingress: &Value) -> Policies {
        let policy = json!({"spec": {"podSelector": {"matchLabels": {"app": "server"}}, "ingress": ingress}});
        let namespaces = [("here", "here"), ("there", "there")];
        let labels = |name: &str| [("kubernetes.io/metadata.name".to_owned(), name.to_owned())].into();
        Policies {
            namespace: "here".to_owned(),
            objects: vec![serde_json::from_value(policy).unwrap()],
            namespaces: namespaces.into_iter().map(|(name, label)| (name.to_owned(), labels(label))).collect(),
        }
    }

    #[test]
    fn port_is_open_to_the_peers_of_its_rule_only() {
        let rule = json!([{"ports": [{"port": 80}], "from": [{"podSelector": {"matchLabels": {"app": "client"}}}]}]);
        let policies = policies(&rule);
        let server = pod("here", "server");
        assert!(policies.admits(&pod("here", "client"), &server, 80));
        assert!(!policies.admits(&pod("here", "client"), &server, 81));
        assert!(!policies.admits(&pod("here", "other"), &server, 80));
        assert!(!policies.admits(&pod("there", "client"), &server, 80));
    }

    #[test]
    fn peers_of_other_namespaces_are_found_by_the_labels_of_both() {
        let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": "there"}});
        let peer = json!({"namespaceSelector": selector, "podSelector": {"matchLabels": {"app": "client"}}});
        let policies = policies(&json!([{"ports": [{"port": "web"}], "from": [peer]}]));
        let server = pod("here", "server");
        assert!(policies.admits(&pod("there", "client"), &server, 80));
        assert!(!policies.admits(&pod("here", "client"), &server, 80));
    }

    #[test]
    fn rule_without_peers_admits_everybody_and_no_rule_nobody() {
        let server = pod("here", "server");
        assert!(policies(&json!([{"ports": [{"port": 80}]}])).admits(&pod("there", "client"), &server, 80));
        assert!(!policies(&json!([])).admits(&pod("here", "client"), &server, 80));
        // No policy is about this one.
        assert!(policies(&json!([])).admits(&pod("there", "client"), &pod("here", "other"), 80));
    }
}
