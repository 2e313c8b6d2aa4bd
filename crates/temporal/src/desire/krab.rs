//! The key server: one pod with a volume, because only one process at a time can open its store.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PodTemplateSpec, Probe},
};
use serde_json::json;
use temporal_stack_common::{
    api::annotation,
    manifest::hash,
    port, volume,
    workload::{self, DATA, Set, container_port, mount},
};

use super::{environment, pod, probe};
use crate::{
    decide::view::View,
    names::{KEYSTORE, KRAB_ROLE},
    role::DEFAULT_RESOURCES,
    settings::key,
};

/// Where the program listened in the first version, which is part of the hash of its pods.
const FIRST_ADDRESS: &str = "0.0.0.0:10000";

/// The set.
pub(super) fn set(view: &View<'_>) -> StatefulSet {
    let selector = view.names.pods(KRAB_ROLE);
    workload::stateful_set(Set {
        name: view.names.krab.clone(),
        service: view.names.krab.clone(),
        replicas: 1,
        parallel: true,
        template: template(view),
        claims: vec![volume::claim_template(view.object, &selector, &view.spec.krab.storage)],
        selector,
    })
}

fn template(view: &View<'_>) -> PodTemplateSpec {
    let (krab, restart) = (&view.spec.krab, view.observed.restart.as_ref());
    let environment = environment::krab(view);
    // Where the program listens is the controller's setting: another value of a newer controller restarts nothing.
    let mut restarting = environment.clone();
    if let Some(variables) = &mut restarting {
        variables.insert(key::KRAB_URL, FIRST_ADDRESS.to_owned());
    }
    let wanted = pod::with_helpers(view, json!([restarting, view.spec.image, krab.resources, restart]));
    let annotations = BTreeMap::from([(annotation::CONFIG.to_owned(), hash(&json!(environment)))]);
    let limits = (&krab.resources, DEFAULT_RESOURCES);
    let mut container = pod::temporal(view, KRAB_ROLE, &["krab"], &view.names.krab_environment, limits);
    container.ports = Some(vec![container_port(port::KRAB)]);
    let answers = Probe { period_seconds: Some(10), ..probe::answers() };
    container.startup_probe = Some(Probe { period_seconds: Some(1), failure_threshold: Some(120), ..answers.clone() });
    container.liveness_probe = Some(Probe { failure_threshold: Some(6), ..answers.clone() });
    container.readiness_probe = Some(answers);
    container.volume_mounts.get_or_insert_default().push(mount(DATA, KEYSTORE));
    let pods = pod::pods(view, KRAB_ROLE);
    let mut spec = pod::spec(&pods, vec![container]);
    spec.init_containers = Some(vec![probe::sidecar(view, "h2c", port::KRAB, &krab.resources)]);
    let labels = view.names.pods(KRAB_ROLE);
    PodTemplateSpec { metadata: Some(pods.template_meta(labels, annotations, &wanted, restart)), spec: Some(spec) }
}
