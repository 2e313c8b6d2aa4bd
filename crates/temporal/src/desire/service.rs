//! Services and the Ingress.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{Service, ServiceSpec},
        networking::v1::{
            HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
            IngressSpec, IngressTLS, ServiceBackendPort,
        },
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use temporal_stack_common::{
    api::TemporalIngress,
    port::{API, KRAB},
    workload::{client_service, port, service},
};

use crate::{
    decide::view::View,
    names::{KRAB_ROLE, Names},
    role::Role,
};

/// The API, for clients.
pub(super) fn clients(view: &View<'_>) -> Service {
    let exposure = &view.spec.api.service;
    let served = if view.has_tls() { API.with_tls() } else { API };
    let spec = ServiceSpec {
        type_: Some(exposure.type_.as_str().to_owned()),
        selector: Some(view.names.pods(Role::Api.name())),
        ports: Some(vec![port(served)]),
        ..client_service()
    };
    service(view.names.api.clone(), exposure.annotations.clone(), spec)
}

/// The key server, for the API and two workers.
pub(super) fn krab(names: &Names) -> Service {
    let spec = ServiceSpec { selector: Some(names.pods(KRAB_ROLE)), ports: Some(vec![port(KRAB)]), ..client_service() };
    service(names.krab.clone(), BTreeMap::new(), spec)
}

/// The API, for clients outside.
pub(super) fn ingress(names: &Names, wanted: &TemporalIngress) -> Ingress {
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name: names.api.clone(),
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
            name: Some(names.api.clone()),
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
