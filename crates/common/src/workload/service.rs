//! Services and their ports.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use crate::{
    cache::Children,
    port::{Port, Protocol},
};

/// A Service.
pub fn service(name: String, annotations: BTreeMap<String, String>, spec: ServiceSpec) -> Service {
    let annotations = (!annotations.is_empty()).then_some(annotations);
    Service {
        metadata: ObjectMeta { name: Some(name), annotations, ..ObjectMeta::default() },
        spec: Some(spec),
        ..Service::default()
    }
}

/// A Service for clients inside the cluster: ready pods only.
pub fn client_service() -> ServiceSpec {
    ServiceSpec { type_: Some("ClusterIP".to_owned()), ..ServiceSpec::default() }
}

/// A Service that gives pods their DNS names, ready or not.
pub fn naming_service() -> ServiceSpec {
    ServiceSpec {
        cluster_ip: Some("None".to_owned()),
        publish_not_ready_addresses: Some(true),
        ..ServiceSpec::default()
    }
}

/// A port of a Service, which leads to the pods' port of that name.
pub fn port(port: Port) -> ServicePort {
    ServicePort {
        name: Some(port.name.to_owned()),
        port: port.number.into(),
        target_port: Some(IntOrString::String(port.name.to_owned())),
        protocol: (port.protocol == Protocol::Udp).then(|| "UDP".to_owned()),
        app_protocol: port.protocol.app_protocol().map(str::to_owned),
        ..ServicePort::default()
    }
}

/// The cluster IP of a Service, which works without a name server.
pub fn service_ip(children: &Children, name: &str) -> Option<String> {
    let service: Service = children.find(name)?;
    service.spec?.cluster_ip.filter(|ip| ip != "None" && !ip.is_empty())
}

/// Annotations of pods that listen on these ports, and of Services that lead to them: into which ones a mesh must not look. Later
/// versions of Linkerd read `appProtocol` on Services.
pub fn opaque(ports: &[Port]) -> BTreeMap<String, String> {
    listed("config.linkerd.io/opaque-ports", ports.iter().filter(|port| port.protocol.is_opaque()))
}

/// Annotations of pods: the ports on which the proxy of a mesh must not stand between them and their clients.
pub fn unproxied(ports: &[Port]) -> BTreeMap<String, String> {
    listed("config.linkerd.io/skip-inbound-ports", ports)
}

fn listed<'a>(annotation: &str, ports: impl IntoIterator<Item = &'a Port>) -> BTreeMap<String, String> {
    let ports: Vec<String> = ports.into_iter().map(|port| port.number.to_string()).collect();
    let annotation = (!ports.is_empty()).then(|| (annotation.to_owned(), ports.join(",")));
    annotation.into_iter().collect()
}
