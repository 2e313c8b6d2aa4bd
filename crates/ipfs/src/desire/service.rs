//! Services: one that clients use, one that gives pods their names, and those that others reach the peers by.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use temporal_stack_common::{
    api::{Exposure, IpfsCluster, Network},
    workload::{client_service, http_port, naming_service, port},
};

use super::stateful_set::{SERVES, mesh, selector};
use crate::{
    names::{self, GATEWAY, METRICS, PEERS, PROXY, REST, RPC, SWARM},
    observe::Embedded,
};

/// What clients connect to: peers that are ready, and not about to leave.
pub(super) fn clients(object: &IpfsCluster, embedded: &Embedded) -> Service {
    let mut ports = vec![http_port("rpc", RPC), http_port("cluster", REST), http_port("metrics", METRICS)];
    ports.extend(embedded.provider.proxy.then(|| http_port("proxy", PROXY)));
    let spec = ServiceSpec { ports: Some(ports), selector: Some(serving(object)), ..client_service() };
    service(names::set(object), mesh(), spec)
}

/// What gives pods their names, ready or not: peers look for each other as they start.
pub(super) fn pods(object: &IpfsCluster) -> Service {
    let ports = vec![port("swarm", SWARM), port("peers", PEERS)];
    let spec = ServiceSpec { ports: Some(ports), selector: Some(selector(object)), ..naming_service() };
    service(names::pods(object), mesh(), spec)
}

/// Through which everybody reads.
pub(super) fn gateway(object: &IpfsCluster, exposure: &Exposure) -> Service {
    let spec = ServiceSpec {
        type_: Some(exposure.type_.as_str().to_owned()),
        ports: Some(vec![http_port("gateway", GATEWAY)]),
        selector: Some(serving(object)),
        ..ServiceSpec::default()
    };
    service(names::gateway(object), exposure.annotations.clone(), spec)
}

/// By which others connect to one Kubo: each is somebody else, so a Service for all of them would lead to the wrong one.
pub(super) fn swarm(object: &IpfsCluster, embedded: &Embedded, exposure: &Exposure, ordinal: i32) -> Service {
    let mut ports = vec![port("swarm", SWARM)];
    if embedded.network == Network::Public {
        let udp = ServicePort { protocol: Some("UDP".to_owned()), ..port("swarm-udp", SWARM) };
        ports.push(udp);
    }
    let mut labels = selector(object);
    labels.insert("statefulset.kubernetes.io/pod-name".to_owned(), names::pod(object, ordinal));
    let spec = ServiceSpec {
        type_: Some(exposure.type_.as_str().to_owned()),
        ports: Some(ports),
        selector: Some(labels),
        ..ServiceSpec::default()
    };
    let mut annotations = mesh();
    annotations.extend(exposure.annotations.clone());
    service(names::swarm(object, ordinal), annotations, spec)
}

/// The labels of pods that serve clients.
fn serving(object: &IpfsCluster) -> BTreeMap<String, String> {
    let mut labels = selector(object);
    labels.insert(SERVES.to_owned(), "true".to_owned());
    labels
}

fn service(name: String, annotations: BTreeMap<String, String>, spec: ServiceSpec) -> Service {
    Service {
        metadata: ObjectMeta { name: Some(name), annotations: Some(annotations), ..ObjectMeta::default() },
        spec: Some(spec),
        ..Service::default()
    }
}
