//! Who may connect to the parts of Temporal.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt;
use temporal_stack_common::{
    api::Temporal,
    component::Component,
    network::{Audience, Clients, Policy, Port, tcp},
    workload,
};

use super::pod;
use crate::{
    Application, Defaults,
    names::{self, API, BRIDGE_ADMIN, KRAB},
    role::Role,
};

/// One for all pods, those of Jobs included: nothing but the bridge's metrics. The API and the key server have one each that
/// opens their own port, because policies add up.
pub(super) fn policies(object: &Temporal, defaults: &Defaults) -> [NetworkPolicy; 3] {
    let all = workload::selector("temporal", Application::NAME, &object.name_any());
    let access = &object.spec.access;
    let policy = |name, pods, port: Port| {
        let policy = Policy {
            name,
            pods,
            members: all.clone(),
            controllers: &["temporal"],
            home: &defaults.home,
            clients: Clients::listed_or_everybody(access.clients.as_ref()),
            metrics: &access.metrics,
        };
        policy.opening(&[port])
    };
    [
        policy(names::base(object), all.clone(), tcp(BRIDGE_ADMIN, Audience::Metrics)),
        policy(names::api(object), pod::selector(object, Role::Api.name()), tcp(API, Audience::Clients)),
        policy(names::krab(object), pod::selector(object, pod::KRAB), tcp(KRAB, Audience::Internal)),
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
    use crate::{desire::desire, fixture};

    fn reach(access: &Value) -> Reach {
        let mut object = fixture::whole();
        object.spec.access = serde_json::from_value(access.clone()).unwrap();
        Reach::new("default", &desire(&object, &fixture::well(&object), &fixture::defaults()))
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
    fn the_api_is_open_and_the_key_server_is_for_its_own() {
        let reach = reach(&json!({}));
        assert_eq!(open(&reach, &Endpoint::stranger()), [at("api", 6767)]);
        for inside in [Endpoint::controller("temporal"), reach.pod("temporal-temporal-key-creation")] {
            assert_eq!(open(&reach, &inside), [at("api", 6767), at("krab", 10000)]);
        }
        assert_eq!(open(&reach, &Endpoint::controller("ipfs")), [at("api", 6767)]);
    }

    #[test]
    fn listed_clients_and_monitoring_have_what_is_theirs() {
        let of =
            |namespace| json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}]);
        let reach = reach(&json!({"clients": of("ingress"), "metrics": of("monitoring")}));
        assert_eq!(open(&reach, &Endpoint::new("ingress", &[])), [at("api", 6767)]);
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
        let object = fixture::whole();
        for role in [Role::Api, Role::Cluster, Role::Pin] {
            let has = pod::selector(&object, role.name());
            assert!(labels.iter().all(|(key, value)| has.get(key) == Some(value)), "{has:?}");
        }
    }
}
