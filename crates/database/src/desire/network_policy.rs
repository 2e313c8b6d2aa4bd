//! Who may connect to the server.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use temporal_stack_common::network::{Audience, Policy, tcp};

use crate::{
    Defaults,
    decide::view::View,
    moving::ProviderName,
    names::{COMPONENT, PORT, cluster_child, cluster_selector, instance_selector, move_name, move_selector, selector},
};

/// The port of the instance managers: servers ask each other, and CloudNativePG's operator asks all. Not all of it needs a certificate.
const INSTANCE_MANAGER: u16 = 8000;
/// The port of the metrics of the instance managers.
const INSTANCE_METRICS: u16 = 9187;

/// The policy for the servers that CloudNativePG runs: the same for clients, with the ports of its instance managers.
pub(super) fn of_cluster(view: &View<'_>, defaults: &Defaults) -> NetworkPolicy {
    let (names, access) = (&view.names, &view.object.spec.access);
    let policy =
        Policy::new(&cluster_child(names), instance_selector(names), &[COMPONENT, "temporal"], &defaults.home, access);
    let mut policy = Policy { members: cluster_selector(names), ..policy }.opening(&[
        tcp(PORT, Audience::Clients),
        tcp(PORT, Audience::Operators),
        tcp(INSTANCE_MANAGER, Audience::Members),
        tcp(INSTANCE_MANAGER, Audience::Operators),
        tcp(INSTANCE_METRICS, Audience::Metrics),
    ]);
    policy.spec.get_or_insert_default().ingress.get_or_insert_default().push(of_operator());
    policy
}

/// The operator, in whatever namespace it runs.
fn of_operator() -> NetworkPolicyIngressRule {
    let name = BTreeMap::from([("app.kubernetes.io/name".to_owned(), "cloudnative-pg".to_owned())]);
    let operator = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        pod_selector: Some(LabelSelector { match_labels: Some(name), ..LabelSelector::default() }),
        ..NetworkPolicyPeer::default()
    };
    let port = NetworkPolicyPort {
        protocol: Some("TCP".to_owned()),
        port: Some(IntOrString::Int(INSTANCE_MANAGER.into())),
        ..NetworkPolicyPort::default()
    };
    NetworkPolicyIngressRule { from: Some(vec![operator]), ports: Some(vec![port]) }
}

/// The policy for the pod that moves data: nobody connects to it.
pub(super) fn of_move(view: &View<'_>, defaults: &Defaults) -> NetworkPolicy {
    let (names, access) = (&view.names, &view.object.spec.access);
    Policy::new(&move_name(names), move_selector(names), &[COMPONENT], &defaults.home, access).opening(&[])
}

/// The policy by which that pod reaches the servers of a provider, whoever else may.
pub(super) fn for_move(view: &View<'_>, provider: ProviderName, defaults: &Defaults) -> Option<NetworkPolicy> {
    let (names, access) = (&view.names, &view.object.spec.access);
    let (name, pods) = match provider {
        ProviderName::Postgres => ("move-postgres", selector(names)),
        ProviderName::CloudNativePg => ("move-cluster", instance_selector(names)),
        ProviderName::External => return None,
    };
    let policy = Policy::new(&names.child(name), pods, &[COMPONENT], &defaults.home, access);
    Some(Policy { members: move_selector(names), ..policy }.opening(&[tcp(PORT, Audience::Members)]))
}

/// The policy: which ports are open, and to which peers.
pub(super) fn policy(view: &View<'_>, defaults: &Defaults) -> NetworkPolicy {
    let (names, access) = (&view.names, &view.object.spec.access);
    Policy::new(&names.base, selector(names), &[COMPONENT, "temporal"], &defaults.home, access)
        .opening(&[tcp(PORT, Audience::Clients), tcp(PORT, Audience::Operators)])
}
