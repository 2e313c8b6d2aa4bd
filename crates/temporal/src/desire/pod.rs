//! What the pods of Temporal have in common: the program, the bridge beside it, and the wait for what it needs.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvFromSource, EnvVar, PodSpec, Probe, SecretEnvSource, TCPSocketAction, Volume,
    VolumeMount,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use temporal_stack_common::{
    api::{Bridge, Resources, Temporal},
    binding::authority,
    component::Component,
    workload::{self, Usual, container_security, env, mount, resources, scratch},
};

use crate::{
    Application, Defaults, environment,
    names::{self, BRIDGE_ADMIN, REST, RPC},
    observe::Observed,
};

/// Label of pods: which part of Temporal they run.
pub(crate) const ROLE: &str = "temporal-stack.dev/role";
/// The value of [`ROLE`] on the key server.
pub(super) const KRAB: &str = "krab";
/// User and group of the pods. The official image has none of its own, and needs none.
const USER: i64 = 65532;
/// What the bridge gets: it streams.
const BRIDGE: Usual = Usual { cpu: "5m", memory: "16Mi", memory_limit: "64Mi" };
/// What waiting takes.
const WAIT: Usual = Usual { cpu: "1m", memory: "8Mi", memory_limit: "32Mi" };
/// How long a pod may take to end after its drain, in seconds.
pub(super) const GRACE: i64 = 30;

/// The labels by which the pods of a part are found.
pub(super) fn selector(object: &Temporal, role: &str) -> BTreeMap<String, String> {
    let mut labels = workload::selector("temporal", Application::NAME, &object.name_any());
    labels.insert(ROLE.to_owned(), role.to_owned());
    labels
}

/// What a mesh must know of the ports: RabbitMQ and PostgreSQL speak first, or speak a protocol that cannot be detected.
pub(super) fn mesh() -> BTreeMap<String, String> {
    BTreeMap::from([("config.linkerd.io/opaque-ports".to_owned(), "3306,5432,5672".to_owned())])
}

/// What the pods of all parts have; containers and volumes are for each to say.
pub(super) fn spec(object: &Temporal, role: &str, containers: Vec<Container>) -> PodSpec {
    PodSpec {
        containers,
        volumes: Some(vec![scratch("logs"), scratch("tmp")]),
        security_context: Some(workload::pod_security(USER)),
        topology_spread_constraints: Some(vec![workload::apart(selector(object, role))]),
        automount_service_account_token: Some(false),
        // A Service named after one of Temporal's variables would set it.
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(GRACE),
        ..PodSpec::default()
    }
}

/// Temporal itself. With an empty `-config` it reads its variables; the image's own entrypoint names a file, with which it reads
/// none.
pub(super) fn temporal(
    name: &str,
    observed: &Observed,
    flags: &[&str],
    command: &[&str],
    environment: String,
    limits: (&Resources, Usual),
) -> Container {
    let words = ["temporal", "-config", ""].iter().chain(flags).chain(command);
    let logs = environment::log_dir(observed).trim_end_matches('/').to_owned();
    Container {
        name: name.to_owned(),
        image: Some(observed.image.clone()),
        command: Some(words.map(|word| (*word).to_owned()).collect()),
        env_from: Some(vec![EnvFromSource {
            secret_ref: Some(SecretEnvSource { name: environment, ..SecretEnvSource::default() }),
            ..EnvFromSource::default()
        }]),
        // What is written to a relative path ends where it may.
        working_dir: Some(logs.clone()),
        volume_mounts: Some(vec![mount("logs", &logs), mount("tmp", "/tmp")]),
        resources: Some(resources(limits.0, limits.1)),
        security_context: Some(container_security()),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

/// The bridge, which starts before the program and ends after it; absent where Temporal speaks with IPFS itself.
pub(super) fn bridge(
    object: &Temporal,
    observed: &Observed,
    defaults: &Defaults,
    main: &Resources,
) -> Option<Container> {
    let access = observed.ipfs.access.as_ref().filter(|_| object.spec.bridge == Bridge::On)?;
    let ports = [("rpc", RPC), ("rest", REST), ("bridge-admin", BRIDGE_ADMIN)];
    let ports = ports.map(|(name, number)| ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(number),
        ..ContainerPort::default()
    });
    let alive = Probe {
        tcp_socket: Some(TCPSocketAction {
            port: IntOrString::String("bridge-admin".to_owned()),
            ..TCPSocketAction::default()
        }),
        period_seconds: Some(1),
        failure_threshold: Some(60),
        ..Probe::default()
    };
    Some(Container {
        name: "bridge".to_owned(),
        image: Some(defaults.bridge_image.clone()),
        env: Some(vec![
            env("BRIDGE_KUBO", &authority(&access.kubo.host, access.kubo.port)),
            // It is told to end when the program has ended.
            env("BRIDGE_QUIET", "0"),
            env("BRIDGE_CLUSTER", &authority(&access.cluster.host, access.cluster.port)),
        ]),
        ports: Some(ports.to_vec()),
        startup_probe: Some(alive),
        restart_policy: Some("Always".to_owned()),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        resources: Some(resources(&workload::beside(main), BRIDGE)),
        security_context: Some(container_security()),
        ..Container::default()
    })
}

/// Waits until all of these answer: a program that ended because one did not is started again later and later.
pub(super) fn wait(defaults: &Defaults, targets: &[String], main: &Resources) -> Container {
    let targets = targets.iter().map(String::as_str);
    Container {
        name: "wait".to_owned(),
        image: Some(defaults.bridge_image.clone()),
        args: Some(std::iter::once("wait").chain(targets).map(str::to_owned).collect()),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        resources: Some(resources(&workload::beside(main), WAIT)),
        security_context: Some(container_security()),
        ..Container::default()
    }
}

/// What is waited for before the program may start.
pub(super) fn targets(object: &Temporal, observed: &Observed, uses_krab: bool, uses_ipfs: bool) -> Vec<String> {
    let database =
        observed.database.access.as_ref().map(|access| format!("tcp://{}", authority(&access.host, access.port)));
    let broker = observed.queue.access.as_ref().and_then(|access| {
        let address = access.parsed()?.authority;
        Some(format!("tcp://{}", authority(&address.host, address.port)))
    });
    let krab =
        uses_krab.then(|| format!("tcp://{}", authority(&names::host(object, &names::krab(object)), names::KRAB)));
    let ipfs = observed.ipfs.access.as_ref().filter(|_| uses_ipfs).map(|access| environment::ipfs(object, access));
    let ipfs = ipfs.map(|ipfs| {
        let (kubo, cluster) = (ipfs.kubo, ipfs.cluster);
        [
            format!("post+http://{}/api/v0/id", authority(&kubo.host, kubo.port)),
            format!("http://{}/peers", authority(&cluster.host, cluster.port)),
        ]
    });
    database.into_iter().chain(broker).chain(krab).chain(ipfs.into_iter().flatten()).collect()
}

/// A variable with a key of a Secret.
pub(super) fn of_secret(name: &str, secret: &str, key: &str) -> EnvVar {
    let mut variable = env(name, "");
    variable.value = None;
    variable.value_from = Some(k8s_openapi::api::core::v1::EnvVarSource {
        secret_key_ref: Some(k8s_openapi::api::core::v1::SecretKeySelector {
            name: secret.to_owned(),
            key: key.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    });
    variable
}

/// Adds a volume and its place in the program's container.
pub(super) fn add(spec: &mut PodSpec, volume: Volume, place: VolumeMount) {
    spec.volumes.get_or_insert_default().push(volume);
    if let Some(container) = spec.containers.first_mut() {
        container.volume_mounts.get_or_insert_default().push(place);
    }
}
