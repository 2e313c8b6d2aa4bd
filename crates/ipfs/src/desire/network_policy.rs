//! Who may connect to the peers: neither Kubo's RPC nor IPFS Cluster's REST API asks for a password.

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer};
use temporal_stack_common::network::{Audience, Clients, Policy, tcp, udp};

use crate::{
    Defaults,
    decide::view::EmbeddedView,
    names::{COMPONENT, GATEWAY, METRICS, PEERS, PROXY, REST, RPC, SWARM, selector},
};

/// The policy: which ports are open, and to which peers.
pub(super) fn policy(view: &EmbeddedView<'_>, defaults: &Defaults) -> NetworkPolicy {
    let (provider, access) = (&view.provider, &view.object.spec.access);
    let clients: Vec<NetworkPolicyPeer> =
        provider.clients.iter().chain(access.clients.iter().flatten()).cloned().collect();
    let names = &view.names;
    let policy = Policy::new(&names.base, selector(names), &[COMPONENT], &defaults.home, access);
    // Nobody else is let in: neither program asks for a password.
    let policy = Policy { clients: Clients::Only(&clients), ..policy };
    // A gateway or swarm with a Service is open to everyone.
    let gateway = if provider.gateway.is_some() { Audience::Everybody } else { Audience::Clients };
    let swarm = if provider.swarm.is_some() { Audience::Everybody } else { Audience::Members };
    let mut ports = vec![
        tcp(PEERS, Audience::Members),
        tcp(RPC, Audience::Clients),
        tcp(REST, Audience::Clients),
        tcp(RPC, Audience::Operators),
        tcp(REST, Audience::Operators),
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
    use temporal_stack_common::{
        api::IpfsCluster,
        testkit::reach::{self, Endpoint, Reach},
    };

    use crate::fixture;

    const SET: &str = "temporal-ipfscluster";

    fn reach_of(spec: &Value) -> Reach {
        let object = fixture::object(spec);
        Reach::new("default", &fixture::manifests(&object, fixture::healthy(&object, 1)))
    }

    /// The ports of a peer that a pod can connect to.
    fn open_ports(reach: &Reach, from: &Endpoint) -> Vec<u16> {
        let ports = [4001, 5001, 8080, 8888, 9094, 9095, 9096];
        ports.into_iter().filter(|port| reach.allows(from, SET, *port)).collect()
    }

    #[test]
    fn clients_get_no_metrics_and_monitoring_nothing_else() {
        let client = json!({"podSelector": {"matchLabels": {"app.kubernetes.io/component": "temporal"}}});
        let temporal = Endpoint::new("default", &[("app.kubernetes.io/component", "temporal")]);
        let monitoring = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}});
        for spec in [
            json!({"provider": {"kubo": {"clients": [client]}}, "access": {"metrics": [monitoring]}}),
            json!({"access": {"clients": [client], "metrics": [monitoring]}}),
        ] {
            let reach = reach_of(&spec);
            assert_eq!(open_ports(&reach, &temporal), [5001, 8080, 9094]);
            assert_eq!(open_ports(&reach, &Endpoint::new("monitoring", &[])), [8888]);
            assert_eq!(open_ports(&reach, &Endpoint::stranger()), [] as [u16; 0]);
            assert_eq!(open_ports(&reach, &reach.pod(SET)), [4001, 5001, 8080, 9094, 9096]);
            assert_eq!(open_ports(&reach, &Endpoint::controller("ipfs")), [5001, 8080, 9094]);
            assert_eq!(open_ports(&reach, &Endpoint::controller("queue")), [] as [u16; 0]);
        }
    }

    #[test]
    fn operators_reach_both_apis_alone() {
        let operators = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ops"}}});
        let reach = reach_of(&json!({"provider": {"kubo": {"proxy": true}}, "access": {"operators": [operators]}}));
        assert_eq!(open_ports(&reach, &Endpoint::new("ops", &[])), [5001, 9094]);
        assert_eq!(open_ports(&reach, &Endpoint::stranger()), [] as [u16; 0]);
    }

    #[test]
    fn only_ports_with_a_service_are_open_to_strangers() {
        let published = json!({"provider": {"kubo": {"gateway": {}, "swarm": {}, "proxy": true}}});
        assert_eq!(open_ports(&reach_of(&published), &Endpoint::stranger()), [4001, 8080]);
        assert_eq!(open_ports(&reach_of(&published), &Endpoint::controller("ipfs")), [4001, 5001, 8080, 9094, 9095]);
        assert_eq!(open_ports(&reach_of(&json!({})), &Endpoint::stranger()), [] as [u16; 0]);
    }

    #[test]
    fn deployed_stack_lets_temporal_use_its_peers() {
        let text = include_str!("../../../../deploy/stack/ipfs.yaml");
        let object: IpfsCluster = reach::deployed(text);
        let reach = reach_of(&serde_json::to_value(&object.spec).unwrap());
        let labels = [("app.kubernetes.io/managed-by", "temporal-stack"), ("app.kubernetes.io/component", "temporal")];
        assert_eq!(open_ports(&reach, &Endpoint::new("default", &labels)), [5001, 8080, 9094]);
    }
}
