//! Who may connect to the peers: neither Kubo's RPC nor IPFS Cluster's REST API asks for a password.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use temporal_stack_common::api::{IpfsCluster, label};

use super::stateful_set::selector;
use crate::{
    Defaults,
    names::{self, GATEWAY, METRICS, PEERS, PROXY, REST, RPC, SWARM},
    observe::Embedded,
};

/// What may come in, and from whom.
pub(super) fn policy(object: &IpfsCluster, embedded: &Embedded, defaults: &Defaults) -> NetworkPolicy {
    let provider = &embedded.provider;
    let peers = vec![pods(selector(object))];
    let mut users = peers.clone();
    users.push(controller(defaults));
    users.extend(provider.clients.iter().cloned());
    let mut rules = vec![
        rule(&[("TCP", PEERS)], Some(peers.clone())),
        rule(&[("TCP", RPC), ("TCP", REST), ("TCP", METRICS)], Some(users.clone())),
        // Everybody may read through a gateway that has a Service, and connect to a swarm that has one.
        rule(&[("TCP", GATEWAY)], provider.gateway.is_none().then(|| users.clone())),
        rule(&[("TCP", SWARM), ("UDP", SWARM)], provider.swarm.is_none().then_some(peers)),
    ];
    rules.extend(provider.proxy.then(|| rule(&[("TCP", PROXY)], Some(users))));
    NetworkPolicy {
        metadata: ObjectMeta { name: Some(names::set(object)), ..ObjectMeta::default() },
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector { match_labels: Some(selector(object)), ..LabelSelector::default() }),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(rules),
            ..NetworkPolicySpec::default()
        }),
    }
}

/// These ports, for these or for everybody.
fn rule(ports: &[(&str, u16)], from: Option<Vec<NetworkPolicyPeer>>) -> NetworkPolicyIngressRule {
    let ports = ports.iter().map(|(protocol, number)| NetworkPolicyPort {
        protocol: Some((*protocol).to_owned()),
        port: Some(IntOrString::Int(i32::from(*number))),
        ..NetworkPolicyPort::default()
    });
    NetworkPolicyIngressRule { ports: Some(ports.collect()), from }
}

fn pods(labels: BTreeMap<String, String>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }),
        ..NetworkPolicyPeer::default()
    }
}

fn controller(defaults: &Defaults) -> NetworkPolicyPeer {
    let labels = |key: &str, value: &str| LabelSelector {
        match_labels: Some(BTreeMap::from([(key.to_owned(), value.to_owned())])),
        ..LabelSelector::default()
    };
    NetworkPolicyPeer {
        namespace_selector: Some(labels("kubernetes.io/metadata.name", &defaults.controller_namespace)),
        pod_selector: Some(labels(label::NAME, "ipfs-controller")),
        ..NetworkPolicyPeer::default()
    }
}
