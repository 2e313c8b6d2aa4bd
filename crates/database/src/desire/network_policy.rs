//! Who may connect to the server.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use temporal_stack_common::network::{Audience, Policy, tcp};

use crate::{
    Defaults,
    decide::view::View,
    names::{COMPONENT, PORT, cluster_selector, instance_selector, selector},
};

/// The port of the instance managers, by which CloudNativePG's operator asks for the state of a server. It asks for a certificate, and
/// the namespace of the operator is not known, so it is open to everyone.
const INSTANCE_MANAGER: u16 = 8000;
/// The port of the metrics of the instance managers.
const INSTANCE_METRICS: u16 = 9187;

/// The policy for the servers that CloudNativePG runs: the same for clients, with the ports of its instance managers.
pub(super) fn of_cluster(view: &View<'_>, defaults: &Defaults) -> NetworkPolicy {
    let (names, access) = (&view.names, &view.object.spec.access);
    let policy = Policy::new(&names.base, instance_selector(names), &[COMPONENT, "temporal"], &defaults.home, access);
    Policy { members: cluster_selector(names), ..policy }.opening(&[
        tcp(PORT, Audience::Clients),
        tcp(PORT, Audience::Operators),
        tcp(INSTANCE_MANAGER, Audience::Everybody),
        tcp(INSTANCE_METRICS, Audience::Metrics),
    ])
}

/// The policy: which ports are open, and to which peers.
pub(super) fn policy(view: &View<'_>, defaults: &Defaults) -> NetworkPolicy {
    let (names, access) = (&view.names, &view.object.spec.access);
    Policy::new(&names.base, selector(names), &[COMPONENT, "temporal"], &defaults.home, access)
        .opening(&[tcp(PORT, Audience::Clients), tcp(PORT, Audience::Operators)])
}
