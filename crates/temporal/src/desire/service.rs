//! Services and the Ingress.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{Service, ServicePort, ServiceSpec},
        networking::v1::{
            HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
            IngressSpec, IngressTLS, ServiceBackendPort,
        },
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use temporal_stack_common::{
    api::{Temporal, TemporalIngress},
    workload,
};

use super::pod;
use crate::{
    names::{self, API, KRAB},
    observe::{Observed, Tls},
    role::Role,
};

/// The API, for clients.
pub(super) fn api(object: &Temporal, observed: &Observed) -> Service {
    let exposure = &object.spec.api.service;
    let protocol = if matches!(observed.tls, Tls::Off) { "http" } else { "https" };
    let spec = ServiceSpec {
        type_: Some(exposure.type_.as_str().to_owned()),
        selector: Some(pod::selector(object, Role::Api.name())),
        ports: Some(vec![ServicePort { app_protocol: Some(protocol.to_owned()), ..workload::port("api", API) }]),
        ..workload::client_service()
    };
    Service {
        metadata: ObjectMeta {
            name: Some(names::api(object)),
            annotations: Some(exposure.annotations.clone()).filter(|annotations| !annotations.is_empty()),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        ..Service::default()
    }
}

/// The key server, for the API and two workers.
pub(super) fn krab(object: &Temporal) -> Service {
    let spec = ServiceSpec {
        selector: Some(pod::selector(object, pod::KRAB)),
        ports: Some(vec![ServicePort {
            app_protocol: Some("kubernetes.io/h2c".to_owned()),
            ..workload::port("krab", KRAB)
        }]),
        ..workload::client_service()
    };
    Service {
        metadata: ObjectMeta { name: Some(names::krab(object)), ..ObjectMeta::default() },
        spec: Some(spec),
        ..Service::default()
    }
}

/// The API, for clients outside.
pub(super) fn ingress(object: &Temporal, wanted: &TemporalIngress) -> Ingress {
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name: names::api(object),
            port: Some(ServiceBackendPort { name: Some("api".to_owned()), ..ServiceBackendPort::default() }),
        }),
        ..IngressBackend::default()
    };
    let path = HTTPIngressPath { path: Some("/".to_owned()), path_type: "Prefix".to_owned(), backend };
    let tls = wanted
        .tls_secret_name
        .iter()
        .map(|secret| IngressTLS { hosts: Some(vec![wanted.host.clone()]), secret_name: Some(secret.clone()) });
    let annotations: BTreeMap<String, String> = wanted.annotations.clone();
    Ingress {
        metadata: ObjectMeta {
            name: Some(names::api(object)),
            annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
            ..ObjectMeta::default()
        },
        spec: Some(IngressSpec {
            ingress_class_name: wanted.class_name.clone(),
            rules: Some(vec![IngressRule {
                host: Some(wanted.host.clone()),
                http: Some(HTTPIngressRuleValue { paths: vec![path] }),
            }]),
            tls: Some(tls.collect::<Vec<_>>()).filter(|tls| !tls.is_empty()),
            ..IngressSpec::default()
        }),
        ..Ingress::default()
    }
}
