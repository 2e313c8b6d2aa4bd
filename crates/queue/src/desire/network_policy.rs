//! Who may connect to the nodes: anyone who reaches the ports between nodes and knows the cookie can run code on them.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use temporal_stack_common::network::{Audience, Policy, tcp};

use crate::{
    Defaults,
    decide::view::View,
    names::{AMQP, CLUSTERING, COMPONENT, EPMD, MANAGEMENT, METRICS, selector},
};

/// The policy: which ports are open, and to which peers.
pub(super) fn policy(view: &View<'_>, defaults: &Defaults) -> NetworkPolicy {
    let (names, access) = (&view.names, &view.object.spec.access);
    Policy::new(&names.base, selector(names), &[COMPONENT, "temporal"], &defaults.home, access).opening(&[
        tcp(EPMD, Audience::Members),
        tcp(CLUSTERING, Audience::Members),
        tcp(AMQP, Audience::Clients),
        tcp(MANAGEMENT, Audience::Internal),
        tcp(MANAGEMENT, Audience::Operators),
        tcp(METRICS, Audience::Metrics),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use temporal_stack_common::testkit::reach::{Endpoint, Reach};

    use crate::fixture::{cluster, healthy, manifests, object};

    const SET: &str = "temporal-messagequeue";

    fn reach(access: &Value) -> Reach {
        let object = object(&json!({"access": access}));
        Reach::new("default", &manifests(&object, &cluster(healthy(&object, 3))))
    }

    /// The ports of a node that a pod can connect to, of those that it declares.
    fn open(reach: &Reach, from: &Endpoint) -> Vec<u16> {
        let declared = reach.declared().into_iter().filter(|(_, port)| reach.allows(from, SET, *port));
        let mut ports: Vec<u16> = declared.map(|(_, port)| port).collect();
        ports.sort_unstable();
        ports
    }

    fn temporal() -> Endpoint {
        Endpoint::new("default", &[("app.kubernetes.io/component", "temporal")])
    }

    #[test]
    fn node_ports_are_open_to_nodes_alone() {
        let reach = reach(&json!({}));
        assert_eq!(open(&reach, &reach.pod(SET)), [4369, 5672, 15672, 25672]);
        assert_eq!(open(&reach, &Endpoint::controller("queue")), [5672, 15672]);
        for client in [Endpoint::controller("temporal"), temporal(), Endpoint::stranger()] {
            assert_eq!(open(&reach, &client), [5672], "{client:?}");
        }
        // Where a mesh brings every connection.
        assert!(reach.allows(&temporal(), SET, 4143) && !reach.allows(&Endpoint::stranger(), SET, 4143));
        let mimic = reach.pod(SET).in_namespace("elsewhere");
        assert_eq!(open(&reach, &mimic), [5672]);
    }

    #[test]
    fn listed_peers_have_one_port_each() {
        let reach = reach(&json!({
            "clients": [{"podSelector": {"matchLabels": {"app.kubernetes.io/component": "temporal"}}}],
            "operators": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ops"}}}],
            "metrics": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        }));
        assert_eq!(open(&reach, &Endpoint::new("ops", &[])), [15672]);
        assert_eq!(open(&reach, &temporal()), [5672]);
        assert_eq!(open(&reach, &temporal().in_namespace("elsewhere")), [] as [u16; 0]);
        assert_eq!(open(&reach, &Endpoint::new("monitoring", &[])), [15692]);
        assert_eq!(open(&reach, &Endpoint::stranger()), [] as [u16; 0]);
        assert_eq!(open(&reach, &Endpoint::controller("queue")), [5672, 15672]);
        assert_eq!(open(&reach, &Endpoint::controller("temporal")), [5672]);
        assert_eq!(open(&reach, &reach.pod(SET)), [4369, 5672, 15672, 25672]);
    }
}
