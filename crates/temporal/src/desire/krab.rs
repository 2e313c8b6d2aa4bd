//! The key server: one pod with a volume, because its store has one user at a time.

use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{ContainerPort, PodTemplateSpec, Probe, TCPSocketAction},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde_json::json;
use temporal_stack_common::{
    api::{Temporal, annotation},
    manifest::hash,
    volume,
    workload::{self, DATA, Set, Usual, mount},
};

use super::pod;
use crate::{
    environment,
    names::{self, KEYSTORE, KRAB},
    observe::Observed,
};

/// What it gets unless the user says otherwise.
const USUAL: Usual = Usual { cpu: "5m", memory: "32Mi", memory_limit: "256Mi" };

/// The set.
pub(super) fn set(object: &Temporal, observed: &Observed) -> StatefulSet {
    let selector = pod::selector(object, pod::KRAB);
    workload::stateful_set(Set {
        name: names::krab(object),
        service: names::krab(object),
        replicas: 1,
        parallel: true,
        template: template(object, observed),
        claim: volume::claim_template(object, &selector, &object.spec.krab.storage),
        selector,
    })
}

fn template(object: &Temporal, observed: &Observed) -> PodTemplateSpec {
    let krab = &object.spec.krab;
    let environment = environment::of_krab(observed);
    let wanted = json!([environment, object.spec.image, krab.resources, observed.restart]);
    let mut annotations = pod::mesh();
    annotations.insert(annotation::CONFIG.to_owned(), hash(&json!(environment)));
    let limits = (&krab.resources, USUAL);
    let mut container = pod::temporal(pod::KRAB, observed, &[], &["krab"], names::krab_environment(object), limits);
    container.ports = Some(vec![ContainerPort {
        name: Some("krab".to_owned()),
        container_port: i32::from(KRAB),
        ..ContainerPort::default()
    }]);
    // It has no way to ask it how it is.
    let listens = Probe {
        tcp_socket: Some(TCPSocketAction {
            port: IntOrString::String("krab".to_owned()),
            ..TCPSocketAction::default()
        }),
        period_seconds: Some(10),
        ..Probe::default()
    };
    container.startup_probe = Some(Probe { period_seconds: Some(1), failure_threshold: Some(120), ..listens.clone() });
    container.liveness_probe = Some(Probe { failure_threshold: Some(6), ..listens.clone() });
    container.readiness_probe = Some(listens);
    container.volume_mounts.get_or_insert_default().push(mount(DATA, KEYSTORE));
    let spec = pod::spec(object, pod::KRAB, vec![container]);
    let labels = pod::selector(object, pod::KRAB);
    PodTemplateSpec {
        metadata: Some(workload::template_meta(labels, annotations, &wanted, observed.restart.as_ref())),
        spec: Some(spec),
    }
}
