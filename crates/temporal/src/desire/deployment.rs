//! The API and the queue workers: a Deployment each.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{HTTPGetAction, HTTPHeader, KeyToPath, PodSpec, PodTemplateSpec, Probe, VolumeMount},
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use serde_json::json;
use temporal_stack_common::{
    api::{Bridge, annotation},
    manifest::hash,
    port,
    workload::{self, Pods, container_port, http_probe, mount, scratch},
};

use super::{environment, pod, probe};
use crate::{
    decide::{rotation, tls::Tls, view::View},
    names::{REVIVED, RTNS, TLS_CERTIFICATE, TLS_KEY},
    role::Role,
};

/// The pods of a part. A new one is ready before an old one is deleted.
pub(super) fn deployment(view: &View<'_>, role: Role) -> Deployment {
    let selector = view.names.pods(role.name());
    Deployment {
        metadata: ObjectMeta { name: Some(view.names.child(role.name())), ..ObjectMeta::default() },
        spec: Some(DeploymentSpec {
            replicas: Some(role.replicas(view.spec)),
            selector: LabelSelector { match_labels: Some(selector.clone()), ..LabelSelector::default() },
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            template: template(view, role, selector),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn template(view: &View<'_>, role: Role, labels: BTreeMap<String, String>) -> PodTemplateSpec {
    let (revived, restart) = (view.revived.get(&role), view.observed.restart.as_ref());
    let environment = environment::clients(view);
    let certificate = Certificate::of_api(view).filter(|_| role == Role::Api);
    let ipfs = view.dependencies.ipfs.access.as_ref().filter(|_| role.uses_ipfs());
    let ipfs = ipfs.map(|access| json!([access.kubo.host, access.kubo.port, access.cluster.host, access.cluster.port]));
    // The user's settings. The default image and what the controller adds are not in it: a newer controller must not
    // restart anything by itself.
    let wanted = json!([
        rotation::rotation(view),
        view.spec.image,
        role.resources(view.spec),
        view.spec.bridge == Bridge::On,
        ipfs,
        certificate.as_ref().map(|certificate| [certificate.secret, &certificate.version]),
        (role == Role::Api).then_some(view.spec.api.drain_seconds),
        restart,
        revived,
    ]);
    let mut annotations = BTreeMap::from([(annotation::CONFIG.to_owned(), hash(&json!(environment)))]);
    annotations.extend(revived.map(|pod| (REVIVED.to_owned(), pod.clone())));
    let pods = pod::pods(view, role.name());
    PodTemplateSpec {
        metadata: Some(pods.template_meta(labels, annotations, &pod::with_helpers(view, wanted), restart)),
        spec: Some(spec(view, role, &pods, certificate)),
    }
}

fn spec(view: &View<'_>, role: Role, pods: &Pods<'_>, certificate: Option<Certificate<'_>>) -> PodSpec {
    let limits = (role.resources(view.spec), role.default_resources());
    let mut container = pod::temporal(view, role.name(), role.command(), &view.names.environment, limits);
    if role == Role::Api {
        container.ports = Some(vec![container_port(port::API)]);
        let probe = answers(view);
        container.liveness_probe =
            Some(Probe { period_seconds: Some(30), failure_threshold: Some(4), ..probe.clone() });
        container.startup_probe =
            Some(Probe { period_seconds: Some(1), failure_threshold: Some(120), ..probe.clone() });
        container.readiness_probe = Some(Probe { period_seconds: Some(10), ..probe });
        // It drops running requests as soon as it receives SIGTERM; before that, clients must have switched to other pods.
        container.lifecycle = Some(workload::lingering(view.spec.api.drain_seconds));
    }
    let mut spec = pod::spec(pods, vec![container]);
    if role == Role::Api {
        spec.termination_grace_period_seconds = Some(view.spec.api.drain_seconds + pod::GRACE);
    }
    if role == Role::IpnsEntry {
        pod::add(&mut spec, scratch("rtns"), vec![mount("rtns", RTNS)]);
    }
    if let Some(certificate) = certificate {
        certificate.mount(&mut spec);
    }
    let main = role.resources(view.spec);
    let bridge = pod::bridge(view, main).filter(|_| role.uses_ipfs());
    let wait = pod::wait_container(view, &pod::targets(view, role), main);
    let probe = (role == Role::Api && needs_sidecar(view)).then(|| {
        let scheme = if view.has_tls() { "options+https" } else { "options+http" };
        probe::sidecar(view, scheme, port::API, main)
    });
    spec.init_containers = Some(bridge.into_iter().chain(probe).chain([wait]).collect());
    spec
}

/// Whether the API answers: it listens once all its dependencies have answered at its start.
fn answers(view: &View<'_>) -> Probe {
    if needs_sidecar(view) {
        return probe::answers();
    }
    let header = HTTPHeader { name: "X-Forwarded-Proto".to_owned(), value: "https".to_owned() };
    let probe = http_probe("api", "/v2/systems/check");
    // Without the header every request is redirected.
    let get = HTTPGetAction {
        scheme: Some("HTTP".to_owned()),
        http_headers: Some(vec![header]),
        ..probe.http_get.unwrap_or_default()
    };
    Probe { http_get: Some(get), timeout_seconds: Some(5), ..Probe::default() }
}

/// Whether the kubelet must not ask the API itself: see [`probe`].
fn needs_sidecar(view: &View<'_>) -> bool {
    view.has_tls() || !environment::can_probe(view)
}

/// A certificate that the API finds at the user's paths.
struct Certificate<'a> {
    secret: &'a str,
    version: String,
    path: &'a str,
    key_path: &'a str,
}

impl<'a> Certificate<'a> {
    fn of_api(view: &'a View<'_>) -> Option<Self> {
        let (path, key_path) = view.settings.certificate_paths()?;
        let (secret, version) = match &view.tls {
            Ok(Tls::Users { secret, version, .. }) => (secret, version.clone()),
            Ok(Tls::Generated(Some(issued))) => (&view.names.certificate, hash(&json!(issued.chain))),
            _ => return None,
        };
        Some(Self { secret, version, path, key_path })
    }

    /// Each file is mounted separately: the image may have others in the directory.
    fn mount(self, spec: &mut PodSpec) {
        let keys = [TLS_CERTIFICATE, TLS_KEY];
        let items = keys.map(|key| KeyToPath { key: key.to_owned(), path: key.to_owned(), ..KeyToPath::default() });
        let mut volume = workload::secret("certificate", self.secret.to_owned());
        volume.secret.get_or_insert_default().items = Some(items.to_vec());
        let place = |path: &str, key: &str| VolumeMount {
            sub_path: Some(key.to_owned()),
            ..workload::read_only("certificate", path)
        };
        let places = vec![place(self.path, TLS_CERTIFICATE), place(self.key_path, TLS_KEY)];
        pod::add(spec, volume, places);
    }
}
