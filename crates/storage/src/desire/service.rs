//! Services: one that clients use, one that gives pods their names.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use temporal_stack_common::{
    port::S3,
    workload::{client_service, naming_service, port, service},
};

use crate::{
    engine::Kind,
    names::{Names, selector},
};

/// The Service for clients: ready pods only.
pub(super) fn clients(names: &Names, kind: &Kind) -> Service {
    service(names.base.clone(), BTreeMap::new(), leading_to_pods(names, kind, client_service()))
}

/// The Service that gives pods their names, ready or not: a server must find the others before it can become ready.
pub(super) fn pods(names: &Names, kind: &Kind) -> Service {
    service(names.pod_service(), BTreeMap::new(), leading_to_pods(names, kind, naming_service()))
}

fn leading_to_pods(names: &Names, kind: &Kind, spec: ServiceSpec) -> ServiceSpec {
    let ports = vec![port(S3)];
    ServiceSpec { selector: Some(selector(names, kind.name())), ports: Some(ports), ..spec }
}
