//! Who may connect to the peers: neither Kubo's RPC nor IPFS Cluster's REST API asks for a password.

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer};
use temporal_stack_common::{
    api::IpfsCluster,
    network::{Audience, Clients, Policy, tcp, udp},
};

use super::stateful_set::selector;
use crate::{
    Defaults,
    names::{self, GATEWAY, METRICS, PEERS, PROXY, REST, RPC, SWARM},
    observe::Embedded,
};

/// What may come in, and from whom.
pub(super) fn policy(object: &IpfsCluster, embedded: &Embedded, defaults: &Defaults) -> NetworkPolicy {
    let (provider, access) = (&embedded.provider, &object.spec.access);
    let clients: Vec<NetworkPolicyPeer> =
        provider.clients.iter().chain(access.clients.iter().flatten()).cloned().collect();
    let policy = Policy {
        name: names::set(object),
        pods: selector(object),
        members: selector(object),
        controllers: &["ipfs"],
        home: &defaults.home,
        clients: Clients::Only(&clients),
        metrics: &access.metrics,
    };
    // Everybody may read through a gateway that has a Service, and connect to a swarm that has one.
    let gateway = if provider.gateway.is_some() { Audience::Everybody } else { Audience::Clients };
    let swarm = if provider.swarm.is_some() { Audience::Everybody } else { Audience::Members };
    let mut ports = vec![
        tcp(PEERS, Audience::Members),
        tcp(RPC, Audience::Clients),
        tcp(REST, Audience::Clients),
        tcp(GATEWAY, gateway),
        tcp(SWARM, swarm),
        udp(SWARM, swarm),
        tcp(METRICS, Audience::Metrics),
    ];
    ports.extend(provider.proxy.then(|| tcp(PROXY, Audience::Clients)));
    policy.opening(&ports)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use temporal_stack_common::testkit::reach::{self, Endpoint, Reach};

    use super::*;
    use crate::{desire::desire, fixture};

    const SET: &str = "temporal-ipfscluster";

    fn reach_of(spec: &Value) -> Reach {
        let object = fixture::object(spec);
        let defaults = Defaults {
            kubo_image: "kubo:0.42".to_owned(),
            cluster_image: "ipfs-cluster:1.1".to_owned(),
            home: temporal_stack_common::network::Home::default(),
        };
        Reach::new("default", &desire(&object, &fixture::observed(fixture::well(&object, 1)), &defaults))
    }

    /// The ports of a peer that a pod can connect to.
    fn open(reach: &Reach, from: &Endpoint) -> Vec<u16> {
        let ports = [4001, 5001, 8080, 8888, 9094, 9095, 9096];
        ports.into_iter().filter(|port| reach.allows(from, SET, *port)).collect()
    }

    #[test]
    fn clients_get_no_metrics_and_monitoring_gets_nothing_else() {
        let client = json!({"podSelector": {"matchLabels": {"app.kubernetes.io/component": "temporal"}}});
        let temporal = Endpoint::new("default", &[("app.kubernetes.io/component", "temporal")]);
        let monitoring = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}});
        for spec in [
            json!({"provider": {"kubo": {"clients": [client]}}, "access": {"metrics": [monitoring]}}),
            json!({"access": {"clients": [client], "metrics": [monitoring]}}),
        ] {
            let reach = reach_of(&spec);
            assert_eq!(open(&reach, &temporal), [5001, 8080, 9094]);
            assert_eq!(open(&reach, &Endpoint::new("monitoring", &[])), [8888]);
            assert_eq!(open(&reach, &Endpoint::stranger()), [] as [u16; 0]);
            assert_eq!(open(&reach, &reach.pod(SET)), [4001, 5001, 8080, 9094, 9096]);
            assert_eq!(open(&reach, &Endpoint::controller("ipfs")), [5001, 8080, 9094]);
            assert_eq!(open(&reach, &Endpoint::controller("queue")), [] as [u16; 0]);
        }
    }

    #[test]
    fn what_has_a_service_of_its_own_is_open_and_nothing_else() {
        let published = json!({"provider": {"kubo": {"gateway": {}, "swarm": {}, "proxy": true}}});
        assert_eq!(open(&reach_of(&published), &Endpoint::stranger()), [4001, 8080]);
        assert_eq!(open(&reach_of(&published), &Endpoint::controller("ipfs")), [4001, 5001, 8080, 9094, 9095]);
        assert_eq!(open(&reach_of(&json!({})), &Endpoint::stranger()), [] as [u16; 0]);
    }

    #[test]
    fn the_stack_as_it_is_deployed_lets_temporal_use_its_peers() {
        let text = include_str!("../../../../deploy/stack/ipfs.yaml");
        let object: IpfsCluster = reach::deployed(text);
        let reach = reach_of(&serde_json::to_value(&object.spec).unwrap());
        let labels = [("app.kubernetes.io/managed-by", "temporal-stack"), ("app.kubernetes.io/component", "temporal")];
        assert_eq!(open(&reach, &Endpoint::new("default", &labels)), [5001, 8080, 9094]);
    }
}
