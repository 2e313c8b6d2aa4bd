//! Who may connect to the nodes: whoever reaches their own ports and knows the cookie runs code on them.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use temporal_stack_common::{
    api::MessageQueue,
    network::{Audience, Clients, Policy, tcp},
};

use super::stateful_set::selector;
use crate::{
    Defaults,
    names::{self, AMQP, CLUSTERING, EPMD, MANAGEMENT, METRICS},
};

/// What may come in, and from whom.
pub(super) fn policy(object: &MessageQueue, defaults: &Defaults) -> NetworkPolicy {
    let access = &object.spec.access;
    let policy = Policy {
        name: names::set(object),
        pods: selector(object),
        members: selector(object),
        controllers: &["queue", "temporal"],
        home: &defaults.home,
        clients: Clients::listed_or_everybody(access.clients.as_ref()),
        metrics: &access.metrics,
    };
    policy.opening(&[
        tcp(EPMD, Audience::Members),
        tcp(CLUSTERING, Audience::Members),
        tcp(AMQP, Audience::Clients),
        tcp(MANAGEMENT, Audience::Internal),
        tcp(METRICS, Audience::Metrics),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use temporal_stack_common::testkit::reach::{Endpoint, Reach};

    use super::*;
    use crate::{desire::desire, fixture};

    const SET: &str = "temporal-messagequeue";

    fn reach(access: &Value) -> Reach {
        let object = fixture::object(&json!({"access": access}));
        let defaults = Defaults {
            rabbitmq_image: "rabbitmq:4.0".to_owned(),
            home: temporal_stack_common::network::Home::default(),
        };
        Reach::new("default", &desire(&object, &fixture::observed(fixture::well(&object, 3)), &defaults))
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
    fn ports_of_nodes_are_open_to_nodes_alone() {
        let reach = reach(&json!({}));
        assert_eq!(open(&reach, &reach.pod(SET)), [4369, 5672, 15672, 25672]);
        assert_eq!(open(&reach, &Endpoint::controller("queue")), [5672, 15672]);
        for client in [Endpoint::controller("temporal"), temporal(), Endpoint::stranger()] {
            assert_eq!(open(&reach, &client), [5672], "{client:?}");
        }
        let mimic = reach.pod(SET).in_namespace("elsewhere");
        assert_eq!(open(&reach, &mimic), [5672]);
    }

    #[test]
    fn listed_clients_and_monitoring_have_one_port_each() {
        let reach = reach(&json!({
            "clients": [{"podSelector": {"matchLabels": {"app.kubernetes.io/component": "temporal"}}}],
            "metrics": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        }));
        assert_eq!(open(&reach, &temporal()), [5672]);
        assert_eq!(open(&reach, &temporal().in_namespace("elsewhere")), [] as [u16; 0]);
        assert_eq!(open(&reach, &Endpoint::new("monitoring", &[])), [15692]);
        assert_eq!(open(&reach, &Endpoint::stranger()), [] as [u16; 0]);
        assert_eq!(open(&reach, &Endpoint::controller("queue")), [5672, 15672]);
        assert_eq!(open(&reach, &Endpoint::controller("temporal")), [5672]);
        assert_eq!(open(&reach, &reach.pod(SET)), [4369, 5672, 15672, 25672]);
    }
}
