//! Who may connect to the parts of Temporal.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use temporal_stack_common::network::{Audience, Policy, Port, tcp};

use crate::{
    decide::view::View,
    names::{API, BRIDGE_ADMIN, COMPONENT, KRAB, KRAB_ROLE},
    role::Role,
};

/// One policy for all pods, including those of Jobs, opens only the bridge's metrics. The API and the key server have one each
/// that opens their own port, because policies are additive.
pub(super) fn policies(view: &View<'_>) -> [NetworkPolicy; 3] {
    let (names, access) = (&view.names, &view.spec.access);
    let policy = |name: &str, pods, ports: &[Port]| {
        let policy = Policy::new(name, pods, &[COMPONENT], &view.defaults.home, access);
        let policy = Policy { members: names.all_pods(), ..policy };
        policy.opening(ports)
    };
    [
        policy(&names.base, names.all_pods(), &[tcp(BRIDGE_ADMIN, Audience::Metrics)]),
        policy(&names.api, names.pods(Role::Api.name()), &[tcp(API, Audience::Clients), tcp(API, Audience::Operators)]),
        policy(&names.krab, names.pods(KRAB_ROLE), &[tcp(KRAB, Audience::Internal)]),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use temporal_stack_common::{
        api::IpfsCluster,
        testkit::reach::{Endpoint, Reach, deployed},
    };

    use super::*;
    use crate::fixture;

    fn reach(access: &Value) -> Reach {
        let mut object = fixture::referring();
        object.spec.access = serde_json::from_value(access.clone()).unwrap();
        Reach::new("default", &fixture::manifests(&object, &fixture::running(&object)))
    }

    /// The workloads and the declared ports that a pod can connect to. The bridge's own two are on the loopback.
    fn open(reach: &Reach, from: &Endpoint) -> Vec<(String, u16)> {
        let declared = reach.declared().into_iter().filter(|(_, port)| ![5001, 9094].contains(port));
        let open = declared.filter(|(workload, port)| reach.allows(from, workload, *port));
        open.map(|(workload, port)| (workload.to_owned(), port)).collect()
    }

    fn at(workload: &str, port: u16) -> (String, u16) {
        (format!("temporal-temporal-{workload}"), port)
    }

    #[test]
    fn api_is_open_and_the_key_server_is_internal() {
        let reach = reach(&json!({}));
        assert_eq!(open(&reach, &Endpoint::stranger()), [at("api", 6767)]);
        for inside in [Endpoint::controller("temporal"), reach.pod("temporal-temporal-key-creation")] {
            assert_eq!(open(&reach, &inside), [at("api", 6767), at("krab", 10000)]);
        }
        assert_eq!(open(&reach, &Endpoint::controller("ipfs")), [at("api", 6767)]);
    }

    #[test]
    fn listed_clients_and_monitoring_reach_their_ports() {
        let of =
            |namespace| json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}]);
        let reach = reach(&json!({"clients": of("ingress"), "operators": of("ops"), "metrics": of("monitoring")}));
        for of_the_api in ["ingress", "ops"] {
            assert_eq!(open(&reach, &Endpoint::new(of_the_api, &[])), [at("api", 6767)]);
        }
        let bridges = [at("api", 9080), at("cluster", 9080), at("pin", 9080)];
        assert_eq!(open(&reach, &Endpoint::new("monitoring", &[])), bridges);
        assert_eq!(open(&reach, &Endpoint::stranger()), []);
        assert_eq!(open(&reach, &Endpoint::controller("temporal")), [at("api", 6767), at("krab", 10000)]);
    }

    /// What `deploy/stack` lists as clients of the peers are the pods that use them.
    #[test]
    fn pods_with_a_bridge_are_clients_of_the_deployed_peers() {
        let text = include_str!("../../../../deploy/stack/ipfs.yaml");
        let peers: IpfsCluster = deployed(text);
        let clients = peers.spec.provider.kubo.unwrap_or_default().clients;
        let labels = clients[0].pod_selector.clone().and_then(|selector| selector.match_labels).unwrap();
        let names = fixture::names();
        for role in [Role::Api, Role::Cluster, Role::Pin] {
            let has = names.pods(role.name());
            assert!(labels.iter().all(|(key, value)| has.get(key) == Some(value)), "{has:?}");
        }
    }
}
