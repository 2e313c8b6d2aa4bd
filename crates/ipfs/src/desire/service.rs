//! Services: one that clients use, one that gives pods their names, and those that others use.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use temporal_stack_common::{
    api::{Exposure, Network},
    port::{CLUSTER_METRICS, GATEWAY, PEERS, PROXY, Port, REST, RPC, SWARM, SWARM_UDP},
    workload::{client_service, naming_service, opaque, port, service},
};

use crate::{
    decide::view::EmbeddedView,
    names::{self, Names, SERVES, selector},
};

/// The Service for clients: peers that are ready, and not about to leave.
pub(super) fn clients(view: &EmbeddedView<'_>) -> Service {
    let mut served = vec![RPC, REST, CLUSTER_METRICS];
    served.extend(view.provider.proxy.then_some(PROXY));
    let spec = ServiceSpec { ports: Some(ports(&served)), selector: Some(serving(&view.names)), ..client_service() };
    let mut annotations = opaque(&served);
    annotations.extend(breaking(view.wanted));
    service(view.names.base.clone(), annotations, spec)
}

/// Annotations by which the proxies of a mesh avoid a peer that fails, if there are others. Kubo answers 500 to everything that it
/// cannot do, so it takes many failures in a row, and not for long.
fn breaking(peers: i32) -> BTreeMap<String, String> {
    let annotations = [
        ("failure-accrual", "consecutive"),
        ("failure-accrual-consecutive-max-failures", "20"),
        ("failure-accrual-consecutive-min-penalty", "1s"),
        ("failure-accrual-consecutive-max-penalty", "10s"),
    ];
    let annotations = annotations.into_iter().filter(|_| peers > 1);
    annotations.map(|(key, value)| (format!("balancer.linkerd.io/{key}"), value.to_owned())).collect()
}

/// The Service that gives pods their names, ready or not: peers look for each other as they start.
pub(super) fn pods(names: &Names) -> Service {
    let served = [SWARM, PEERS];
    let spec = ServiceSpec { ports: Some(ports(&served)), selector: Some(selector(names)), ..naming_service() };
    service(names.pod_service(), opaque(&served), spec)
}

/// The Service of the gateway, through which everyone reads.
pub(super) fn gateway(names: &Names, exposure: &Exposure) -> Service {
    let spec = ServiceSpec {
        type_: Some(exposure.type_.as_str().to_owned()),
        ports: Some(ports(&[GATEWAY])),
        selector: Some(serving(names)),
        ..ServiceSpec::default()
    };
    service(names::gateway(names), exposure.annotations.clone(), spec)
}

/// The swarm Service of one Kubo: each has its own identity, so a shared Service would lead to the wrong one.
pub(super) fn swarm(view: &EmbeddedView<'_>, exposure: &Exposure, ordinal: i32) -> Service {
    let mut served = vec![SWARM];
    served.extend((view.secrets.network == Network::Public).then_some(SWARM_UDP));
    let mut labels = selector(&view.names);
    labels.insert("statefulset.kubernetes.io/pod-name".to_owned(), view.names.pod(ordinal));
    let spec = ServiceSpec {
        type_: Some(exposure.type_.as_str().to_owned()),
        ports: Some(ports(&served)),
        selector: Some(labels),
        ..ServiceSpec::default()
    };
    let mut annotations = opaque(&served);
    annotations.extend(exposure.annotations.clone());
    service(names::swarm(&view.names, ordinal), annotations, spec)
}

fn ports(served: &[Port]) -> Vec<ServicePort> {
    served.iter().map(|served| port(*served)).collect()
}

/// The labels of pods that serve clients.
fn serving(names: &Names) -> BTreeMap<String, String> {
    let mut labels = selector(names);
    labels.insert(SERVES.to_owned(), "true".to_owned());
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_peer_is_avoided_where_there_are_others() {
        assert!(breaking(1).is_empty());
        assert_eq!(breaking(2)["balancer.linkerd.io/failure-accrual"], "consecutive");
    }
}
