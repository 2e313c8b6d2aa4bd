use serde_json::json;

use super::*;
use crate::{
    manifest::Manifest,
    testkit::reach::{Endpoint, Reach},
};

const PORTS: &[Port] = &[
    tcp(1, Audience::Members),
    tcp(2, Audience::Internal),
    tcp(3, Audience::Clients),
    tcp(4, Audience::Metrics),
    tcp(5, Audience::Everybody),
    udp(1, Audience::Members),
];

fn peer(namespace: &str) -> NetworkPolicyPeer {
    serde_json::from_value(json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}))
        .unwrap()
}

/// Pods and the policy that opens these ports.
fn lamp(ports: &[Port], clients: Clients<'_>, metrics: &[NetworkPolicyPeer]) -> Reach {
    let labels = BTreeMap::from([("app".to_owned(), "lamp".to_owned())]);
    let policy = Policy {
        name: "lamp".to_owned(),
        pods: labels.clone(),
        members: labels.clone(),
        controllers: &["lamp", "house"],
        home: &Home::default(),
        clients,
        metrics,
    };
    let set: k8s_openapi::api::apps::v1::StatefulSet = serde_json::from_value(json!({
        "metadata": {"name": "lamp"},
        "spec": {"selector": {}, "template": {"metadata": {"labels": labels}, "spec": {"containers": []}}},
    }))
    .unwrap();
    Reach::new("default", &[Manifest::new(&policy.opening(ports)), Manifest::new(&set)])
}

/// The ports that a pod can connect to.
fn open(reach: &Reach, from: &Endpoint) -> Vec<u16> {
    [1, 2, 3, 4, 5, 6, 4143].into_iter().filter(|port| reach.allows(from, "lamp", *port)).collect()
}

#[test]
fn each_audience_has_its_ports_and_no_others() {
    let (clients, metrics) = ([peer("shop")], [peer("monitoring")]);
    let reach = lamp(&PORTS[..4], Clients::Only(&clients), &metrics);
    assert_eq!(open(&reach, &reach.pod("lamp")), [1, 2, 3, 4143]);
    assert_eq!(open(&reach, &Endpoint::controller("lamp")), [2, 3, 4143]);
    assert_eq!(open(&reach, &Endpoint::controller("house")), [3, 4143]);
    assert_eq!(open(&reach, &Endpoint::new("shop", &[])), [3, 4143]);
    assert_eq!(open(&reach, &Endpoint::new("monitoring", &[])), [4]);
    assert_eq!(open(&reach, &Endpoint::stranger()), [] as [u16; 0]);
}

#[test]
fn labels_of_a_member_in_another_namespace_open_nothing() {
    let reach = lamp(&PORTS[..4], Clients::Only(&[]), &[]);
    assert_eq!(open(&reach, &reach.pod("lamp").in_namespace("elsewhere")), [] as [u16; 0]);
    assert_eq!(open(&reach, &Endpoint::controller("lamp").in_namespace("elsewhere")), [] as [u16; 0]);
}

#[test]
fn an_empty_list_is_nobody_and_an_absent_one_everybody() {
    let stranger = Endpoint::stranger();
    assert_eq!(open(&lamp(PORTS, Clients::listed_or_everybody(None), &[]), &stranger), [3, 5]);
    assert_eq!(open(&lamp(&[tcp(3, Audience::Clients)], Clients::Everybody, &[]), &stranger), [3, 4143]);
    assert_eq!(
        open(&lamp(&PORTS[..4], Clients::listed_or_everybody(Some(&Vec::new())), &[]), &stranger),
        [] as [u16; 0]
    );
}

#[test]
fn metrics_alone_open_no_port_of_a_mesh() {
    let reach = lamp(&[tcp(4, Audience::Metrics)], Clients::Everybody, &[peer("monitoring")]);
    assert_eq!(open(&reach, &Endpoint::new("monitoring", &[])), [4]);
    assert_eq!(open(&reach, &reach.pod("lamp")), [] as [u16; 0]);
}

#[test]
fn a_peer_that_the_api_server_refuses_is_named() {
    for (wrong, told) in [
        (json!({}), "is empty"),
        (json!({"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}), "write two peers"),
        (json!({"ipBlock": {"cidr": "10.0.0.0"}}), "is no range"),
        (json!({"ipBlock": {"cidr": "fd00::/129"}}), "is no range"),
        (json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["x"]}}), "is no range"),
        (json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}), "without values"),
        (json!({"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}), "unknown operator"),
    ] {
        let peers = [peer("a"), serde_json::from_value(wrong).unwrap()];
        let message = wrong_with_peers([("spec.access.clients", &peers[..])]).unwrap();
        assert!(message.starts_with("spec.access.clients[1] ") && message.contains(told), "{message}");
    }
    let good = [json!({"podSelector": {}}), json!({"ipBlock": {"cidr": "fd00::/8", "except": ["fd00::/16"]}})];
    let good = good.map(|peer| serde_json::from_value(peer).unwrap());
    assert_eq!(wrong_with_peers([("spec.access.metrics", &good[..])]), None);
}
