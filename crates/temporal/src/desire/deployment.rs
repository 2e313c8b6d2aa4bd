//! The API and the queue workers: a Deployment each.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            ContainerPort, HTTPGetAction, HTTPHeader, KeyToPath, Lifecycle, LifecycleHandler, PodSpec, PodTemplateSpec,
            Probe, SecretVolumeSource, SleepAction, TCPSocketAction, Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use serde_json::json;
use temporal_stack_common::{
    api::{Bridge, Temporal, annotation},
    manifest::hash,
    workload::{self, mount, scratch},
};

use super::pod;
use crate::{
    Defaults, environment,
    names::{self, API, RTNS},
    observe::{Observed, REVIVED, Tls},
    role::Role,
};

/// The pods of a part. A new one is ready before an old one goes.
pub(super) fn deployment(role: Role, object: &Temporal, observed: &Observed, defaults: &Defaults) -> Deployment {
    let selector = pod::selector(object, role.name());
    Deployment {
        metadata: ObjectMeta { name: Some(names::child(object, role.name())), ..ObjectMeta::default() },
        spec: Some(DeploymentSpec {
            replicas: Some(role.replicas(object)),
            selector: LabelSelector { match_labels: Some(selector.clone()), ..LabelSelector::default() },
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            template: template(role, object, observed, defaults, selector),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn template(
    role: Role,
    object: &Temporal,
    observed: &Observed,
    defaults: &Defaults,
    labels: BTreeMap<String, String>,
) -> PodTemplateSpec {
    let environment = environment::of_clients(object, observed);
    let certificate = certificate(object, observed).filter(|_| role == Role::Api);
    let ipfs = observed.ipfs.access.as_ref().filter(|_| role.uses_ipfs());
    let ipfs = ipfs.map(|access| json!([access.kubo.host, access.kubo.port, access.cluster.host, access.cluster.port]));
    // What the user asked for. The default image and what the controller adds are not in it: a newer controller must not
    // restart anything by itself.
    let wanted = json!([
        environment::wanted(observed),
        object.spec.image,
        role.resources(object),
        object.spec.bridge == Bridge::On,
        ipfs,
        certificate.as_ref().map(|certificate| [&certificate.secret, &certificate.version]),
        (role == Role::Api).then_some(object.spec.api.drain_seconds),
        observed.restart,
        observed.revived.get(&role),
    ]);
    let mut annotations = pod::mesh();
    annotations.extend(observed.revived.get(&role).map(|pod| (REVIVED.to_owned(), pod.clone())));
    annotations.insert(annotation::CONFIG.to_owned(), hash(&json!(environment)));
    PodTemplateSpec {
        metadata: Some(workload::template_meta(labels, annotations, &wanted, observed.restart.as_ref())),
        spec: Some(spec(role, object, observed, defaults, certificate)),
    }
}

fn spec(
    role: Role,
    object: &Temporal,
    observed: &Observed,
    defaults: &Defaults,
    certificate: Option<Certificate>,
) -> PodSpec {
    let limits = (role.resources(object), role.usual());
    let mut container = pod::temporal(role.name(), observed, &[], role.command(), names::environment(object), limits);
    if role == Role::Api {
        container.ports = Some(vec![ContainerPort {
            name: Some("api".to_owned()),
            container_port: i32::from(API),
            ..ContainerPort::default()
        }]);
        let probe = probe(observed);
        container.liveness_probe =
            Some(Probe { period_seconds: Some(30), failure_threshold: Some(4), ..probe.clone() });
        container.startup_probe =
            Some(Probe { period_seconds: Some(1), failure_threshold: Some(120), ..probe.clone() });
        container.readiness_probe = Some(Probe { period_seconds: Some(10), ..probe });
        // It ends at once when it is told to, with what is under way; until then, clients are to have gone elsewhere.
        let sleep = SleepAction { seconds: object.spec.api.drain_seconds };
        let pre_stop = LifecycleHandler { sleep: Some(sleep), ..LifecycleHandler::default() };
        container.lifecycle = Some(Lifecycle { pre_stop: Some(pre_stop), ..Lifecycle::default() });
    }
    let mut spec = pod::spec(object, role.name(), vec![container]);
    if role == Role::Api {
        spec.termination_grace_period_seconds = Some(object.spec.api.drain_seconds + pod::GRACE);
    }
    if role == Role::IpnsEntry {
        pod::add(&mut spec, scratch("rtns"), mount("rtns", RTNS));
    }
    if let Some(certificate) = certificate {
        certificate.mount(&mut spec);
    }
    let main = role.resources(object);
    let bridge = pod::bridge(object, observed, defaults, main).filter(|_| role.uses_ipfs());
    let targets = pod::targets(object, observed, role.uses_krab(), role.uses_ipfs());
    spec.init_containers = Some(bridge.into_iter().chain([pod::wait(defaults, &targets, main)]).collect());
    spec
}

/// Whether the API answers: it listens when all that it needs at its start has answered.
fn probe(observed: &Observed) -> Probe {
    let port = IntOrString::String("api".to_owned());
    let usual = Probe { timeout_seconds: Some(5), ..Probe::default() };
    if !environment::can_probe(observed) {
        return Probe { tcp_socket: Some(TCPSocketAction { port, ..TCPSocketAction::default() }), ..usual };
    }
    let scheme = if matches!(observed.tls, Tls::Off) { "HTTP" } else { "HTTPS" };
    let header = HTTPHeader { name: "X-Forwarded-Proto".to_owned(), value: "https".to_owned() };
    let get = HTTPGetAction {
        path: Some("/v2/systems/check".to_owned()),
        port,
        scheme: Some(scheme.to_owned()),
        // Without it, and without TLS, every request is sent elsewhere.
        http_headers: Some(vec![header]),
        ..HTTPGetAction::default()
    };
    Probe { http_get: Some(get), ..usual }
}

/// A certificate that the API is to find at the user's paths.
struct Certificate {
    secret: String,
    version: String,
    path: String,
    key_path: String,
}

fn certificate(object: &Temporal, observed: &Observed) -> Option<Certificate> {
    let (path, key_path) = observed.settings.certificate()?;
    let (secret, version) = match &observed.tls {
        Tls::Off | Tls::Made(None) | Tls::Unusable(_) => return None,
        Tls::Users { secret, version, .. } => (secret.clone(), version.clone()),
        Tls::Made(Some(made)) => (names::certificate(object), hash(&json!(made.certificate))),
    };
    Some(Certificate { secret, version, path: path.to_owned(), key_path: key_path.to_owned() })
}

impl Certificate {
    /// Each file by itself: beside them there may be something of the image's.
    fn mount(self, spec: &mut PodSpec) {
        let items = ["tls.crt", "tls.key"].map(|key| KeyToPath {
            key: key.to_owned(),
            path: key.to_owned(),
            ..KeyToPath::default()
        });
        let volume = Volume {
            name: "certificate".to_owned(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(self.secret),
                default_mode: Some(0o440),
                items: Some(items.to_vec()),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        };
        let place = |path: String, key: &str| VolumeMount {
            name: "certificate".to_owned(),
            mount_path: path,
            sub_path: Some(key.to_owned()),
            read_only: Some(true),
            ..VolumeMount::default()
        };
        pod::add(spec, volume, place(self.path, "tls.crt"));
        if let Some(container) = spec.containers.first_mut() {
            container.volume_mounts.get_or_insert_default().push(place(self.key_path, "tls.key"));
        }
    }
}
