//! Who may connect to the servers. An engine may have flaws that a key does not prevent, so clients that are not listed are limited to
//! the namespace of the object.

use k8s_openapi::{
    api::networking::v1::{NetworkPolicy, NetworkPolicyPeer},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use temporal_stack_common::network::{Audience, Clients, Policy, tcp};

use crate::{
    Defaults,
    decide::view::{EmbeddedView, View},
    names::{ADMINISTRATION, COMPONENT, PORT, selector},
};

/// The policy: which ports are open, and to which peers. MinIO has one port for clients, other servers and metrics.
pub(super) fn policy(view: &View<'_>, embedded: &EmbeddedView<'_>, defaults: &Defaults) -> NetworkPolicy {
    let (names, access, kind) = (&view.names, &view.object.spec.access, &embedded.kind);
    let same_namespace =
        [NetworkPolicyPeer { pod_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() }];
    let policy = Policy::new(&names.base, selector(names, kind.name()), &[COMPONENT], &defaults.home, access);
    let clients = match policy.clients {
        Clients::Everybody => Clients::Only(&same_namespace),
        listed @ Clients::Only(_) => listed,
    };
    let mut ports = vec![tcp(PORT, Audience::Clients)];
    if kind.has_port_for_administration() {
        ports.extend([tcp(ADMINISTRATION, Audience::Internal), tcp(ADMINISTRATION, Audience::Operators)]);
    } else {
        ports.extend([tcp(PORT, Audience::Metrics), tcp(PORT, Audience::Operators)]);
    }
    Policy { clients, ..policy }.opening(&ports)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use temporal_stack_common::testkit::reach::{Endpoint, Reach};

    use crate::fixture::{embedded, manifests, object};

    const SET: &str = "photos-objectstorage";

    fn reach(spec: &Value) -> Reach {
        Reach::new("default", &manifests(&object(spec), &embedded()))
    }

    fn open(reach: &Reach, from: &Endpoint) -> [bool; 3] {
        [22, 9000, 9001].map(|port| reach.allows(from, SET, port))
    }

    #[test]
    fn pods_of_the_namespace_are_clients_by_default() {
        let reach = reach(&json!({}));
        let neighbour = Endpoint::new("default", &[("app", "web")]);
        assert_eq!(open(&reach, &neighbour), [false, true, false]);
        assert_eq!(open(&reach, &Endpoint::controller("storage")), [false, true, false]);
        assert_eq!(open(&reach, &reach.pod(SET)), [false, true, false]);
        assert_eq!(open(&reach, &Endpoint::stranger()), [false; 3]);
        assert_eq!(open(&reach, &Endpoint::controller("queue")), [false; 3]);
    }

    #[test]
    fn listed_clients_replace_the_namespace() {
        let reach = reach(&json!({"access": {
            "clients": [{"podSelector": {"matchLabels": {"app": "web"}}}],
            "metrics": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        }}));
        assert_eq!(open(&reach, &Endpoint::new("default", &[("app", "web")])), [false, true, false]);
        assert_eq!(open(&reach, &Endpoint::new("default", &[("app", "other")])), [false; 3]);
        assert_eq!(open(&reach, &Endpoint::new("monitoring", &[])), [false, true, false]);
        assert_eq!(open(&reach, &Endpoint::controller("storage")), [false, true, false]);
    }

    #[test]
    fn operators_reach_the_port_for_administration() {
        let operators = json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ops"}}}]);
        for (provider, open_to_operators) in [("minio", [false, true, false]), ("versity", [false, false, true])] {
            let reach = reach(&json!({"provider": {provider: {}}, "access": {"operators": operators, "clients": []}}));
            assert_eq!(open(&reach, &Endpoint::new("ops", &[])), open_to_operators, "{provider}");
            assert_eq!(open(&reach, &Endpoint::stranger()), [false; 3], "{provider}");
        }
    }

    #[test]
    fn administration_of_versity_is_open_to_its_controller_by_default() {
        let reach = reach(&json!({"provider": {"versity": {}}}));
        assert_eq!(open(&reach, &Endpoint::controller("storage")), [false, true, true]);
        assert_eq!(open(&reach, &Endpoint::new("default", &[("app", "web")])), [false, true, false]);
    }
}
