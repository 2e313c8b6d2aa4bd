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
    operated(ports, clients, &[], metrics)
}

/// The same with these operators.
fn operated(
    ports: &[Port],
    clients: Clients<'_>,
    operators: &[NetworkPolicyPeer],
    metrics: &[NetworkPolicyPeer],
) -> Reach {
    let labels = BTreeMap::from([("app".to_owned(), "lamp".to_owned())]);
    let policy = Policy {
        name: "lamp".to_owned(),
        pods: labels.clone(),
        members: labels.clone(),
        controllers: &["lamp", "house"],
        home: &Home::default(),
        clients,
        operators,
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
    [1, 2, 3, 4, 5, 6, 4143, 4191].into_iter().filter(|port| reach.allows(from, "lamp", *port)).collect()
}

#[test]
fn each_audience_reaches_only_its_ports() {
    let (clients, metrics) = ([peer("shop")], [peer("monitoring")]);
    let reach = lamp(&PORTS[..4], Clients::Only(&clients), &metrics);
    assert_eq!(open(&reach, &reach.pod("lamp")), [1, 2, 3, 4143]);
    assert_eq!(open(&reach, &Endpoint::controller("lamp")), [2, 3, 4143]);
    assert_eq!(open(&reach, &Endpoint::controller("house")), [3, 4143]);
    assert_eq!(open(&reach, &Endpoint::new("shop", &[])), [3, 4143]);
    assert_eq!(open(&reach, &Endpoint::new("monitoring", &[])), [4, 4191]);
    assert_eq!(open(&reach, &Endpoint::controller("mesh")), [4191]);
    assert_eq!(open(&reach, &Endpoint::stranger()), [] as [u16; 0]);
}

#[test]
fn operators_reach_their_ports_alone() {
    let ports = [
        tcp(1, Audience::Members),
        tcp(2, Audience::Internal),
        tcp(2, Audience::Operators),
        tcp(3, Audience::Clients),
        tcp(4, Audience::Metrics),
    ];
    let (clients, operators, metrics) = ([peer("shop")], [peer("ops")], [peer("monitoring")]);
    let reach = operated(&ports, Clients::Only(&clients), &operators, &metrics);
    assert_eq!(open(&reach, &Endpoint::new("ops", &[])), [2, 4143]);
    assert_eq!(open(&reach, &Endpoint::new("shop", &[])), [3, 4143]);
    assert_eq!(open(&reach, &Endpoint::controller("lamp")), [2, 3, 4143]);
    let without = lamp(&ports, Clients::Only(&clients), &metrics);
    assert_eq!(open(&without, &Endpoint::new("ops", &[])), [] as [u16; 0]);
}

#[test]
fn operators_of_a_port_of_everyone_close_no_mesh_port() {
    let ports = [tcp(3, Audience::Clients), tcp(3, Audience::Operators)];
    let operators = [peer("ops")];
    let reach = operated(&ports, Clients::Everybody, &operators, &[]);
    assert_eq!(open(&reach, &Endpoint::stranger()), [3, 4143]);
    let listed = operated(&ports, Clients::Only(&[]), &operators, &[]);
    assert_eq!(open(&listed, &Endpoint::stranger()), [] as [u16; 0]);
    assert_eq!(open(&listed, &Endpoint::new("ops", &[])), [3, 4143]);
}

#[test]
fn labels_of_a_member_in_another_namespace_open_nothing() {
    let reach = lamp(&PORTS[..4], Clients::Only(&[]), &[]);
    assert_eq!(open(&reach, &reach.pod("lamp").in_namespace("elsewhere")), [] as [u16; 0]);
    assert_eq!(open(&reach, &Endpoint::controller("lamp").in_namespace("elsewhere")), [] as [u16; 0]);
}

#[test]
fn empty_list_admits_no_one_and_absent_list_everyone() {
    let stranger = Endpoint::stranger();
    assert_eq!(open(&lamp(PORTS, Clients::Everybody, &[]), &stranger), [3, 5]);
    assert_eq!(open(&lamp(&[tcp(3, Audience::Clients)], Clients::Everybody, &[]), &stranger), [3, 4143]);
    assert_eq!(open(&lamp(&PORTS[..4], Clients::Only(&[]), &[]), &stranger), [] as [u16; 0]);
}

#[test]
fn metrics_alone_do_not_open_the_mesh_port() {
    let reach = lamp(&[tcp(4, Audience::Metrics)], Clients::Everybody, &[peer("monitoring")]);
    assert_eq!(open(&reach, &Endpoint::new("monitoring", &[])), [4, 4191]);
    assert_eq!(open(&reach, &reach.pod("lamp")), [] as [u16; 0]);
}

#[test]
fn monitoring_reaches_proxies_of_pods_without_metrics() {
    let metrics = [peer("monitoring")];
    let reach = lamp(&[tcp(3, Audience::Clients)], Clients::Only(&[]), &metrics);
    assert_eq!(open(&reach, &Endpoint::new("monitoring", &[])), [4191]);
    assert_eq!(open(&reach, &Endpoint::stranger()), [] as [u16; 0]);
}

#[test]
fn meshed_client_with_a_login_comes_from_the_namespace() {
    let ports = [tcp(1, Audience::Members), tcp(3, Audience::Clients)];
    let reach = lamp(&ports, Clients::Everybody, &[]);
    assert_eq!(open(&reach, &Endpoint::new("default", &[("app", "shop")])), [3, 4143]);
    assert_eq!(open(&reach, &Endpoint::controller("house")), [3, 4143]);
    assert_eq!(open(&reach, &Endpoint::stranger()), [3]);
}

#[test]
fn published_port_opens_no_mesh_port_beside_restricted_ones() {
    let ports = [tcp(1, Audience::Clients), tcp(5, Audience::Everybody)];
    let reach = lamp(&ports, Clients::Only(&[]), &[]);
    assert_eq!(open(&reach, &Endpoint::new("default", &[("app", "shop")])), [5]);
}

#[test]
fn invalid_peer_is_named() {
    for (wrong, parts) in [
        (json!({}), "is empty"),
        (json!({"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}), "split it into two peers"),
        (json!({"ipBlock": {"cidr": "10.0.0.0"}}), "is not an address range"),
        (json!({"ipBlock": {"cidr": "fd00::/129"}}), "is not an address range"),
        (json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["x"]}}), "is not an address range"),
        (json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}), "without values"),
        (json!({"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}), "unknown operator"),
    ] {
        let peers = [peer("a"), serde_json::from_value(wrong).unwrap()];
        let message = wrong_with_peers([("spec.access.clients", &peers[..])]).unwrap();
        assert!(message.starts_with("spec.access.clients[1] ") && message.contains(parts), "{message}");
    }
    let good = [json!({"podSelector": {}}), json!({"ipBlock": {"cidr": "fd00::/8", "except": ["fd00::/16"]}})];
    let good = good.map(|peer| serde_json::from_value(peer).unwrap());
    assert_eq!(wrong_with_peers([("spec.access.metrics", &good[..])]), None);
}
