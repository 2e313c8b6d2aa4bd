//! The server: a `StatefulSet` of one primary.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Container, ContainerPort, Lifecycle, LifecycleHandler, PodSpec, PodTemplateSpec, Probe, Volume},
};
use kube::ResourceExt;
use serde_json::json;
use temporal_stack_common::{
    api::PostgresDatabase,
    component::Component,
    volume,
    workload::{self, DATA, Set, Usual, container_security, env, exec, mount, read_only, resources, scratch},
};

use crate::{
    Defaults,
    names::{self, ADMINISTRATOR, PORT},
    observe::Embedded,
};

/// User and group of the server, in the official image and in ours.
const POSTGRES: i64 = 999;
/// What a server gets unless the user says otherwise.
const USUAL: Usual = Usual { cpu: "100m", memory: "256Mi", memory_limit: "1Gi" };
/// Where the volume is.
const MOUNT: &str = "/var/lib/postgresql/data";
/// The data directory: below the mount, because the server insists on owning it.
const PGDATA: &str = "/var/lib/postgresql/data/pgdata";
/// How the data directory is made.
pub(super) const INITIALISE: &str = include_str!("initialise.sh");

/// The labels by which pods are found.
pub(super) fn selector(object: &PostgresDatabase) -> BTreeMap<String, String> {
    workload::selector("postgresql", crate::Database::NAME, &object.name_any())
}

/// What a mesh must know of the port: the server speaks first, so its protocol cannot be detected.
pub(super) fn mesh() -> BTreeMap<String, String> {
    BTreeMap::from([("config.linkerd.io/opaque-ports".to_owned(), PORT.to_string())])
}

/// The server.
pub(super) fn server(object: &PostgresDatabase, embedded: &Embedded, defaults: &Defaults) -> StatefulSet {
    let selector = selector(object);
    workload::stateful_set(Set {
        name: names::server(object),
        service: names::pods(object),
        replicas: 1,
        parallel: false,
        template: template(object, embedded, defaults),
        claim: volume::claim_template(object, &selector, &embedded.provider.storage),
        selector,
    })
}

fn template(object: &PostgresDatabase, embedded: &Embedded, defaults: &Defaults) -> PodTemplateSpec {
    let provider = &embedded.provider;
    // What the user asked for. The default image is not in it: a newer controller must not restart a server by itself.
    let wanted = json!([provider.image, provider.resources, provider.parameters, embedded.restart]);
    PodTemplateSpec {
        metadata: Some(workload::template_meta(selector(object), mesh(), &wanted, embedded.restart.as_ref())),
        spec: Some(PodSpec {
            init_containers: Some(vec![initialise(embedded, defaults)]),
            containers: vec![postgres(embedded, defaults)],
            volumes: Some(volumes(object)),
            security_context: Some(workload::pod_security(POSTGRES)),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(60),
            ..PodSpec::default()
        }),
    }
}

fn initialise(embedded: &Embedded, defaults: &Defaults) -> Container {
    let mut container = container("initialise", embedded, defaults);
    container.command = Some(vec!["sh".to_owned(), "-c".to_owned(), INITIALISE.to_owned()]);
    container.env.get_or_insert_default().push(env("ADMINISTRATOR", ADMINISTRATOR));
    container.volume_mounts.get_or_insert_default().push(read_only("administrator", "/etc/administrator"));
    container
}

fn postgres(embedded: &Embedded, defaults: &Defaults) -> Container {
    let decided = [
        ("listen_addresses", "*"),
        ("unix_socket_directories", "/var/run/postgresql"),
        ("password_encryption", "scram-sha-256"),
    ];
    let wanted = embedded.provider.parameters.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let arguments = wanted.chain(decided).flat_map(|(key, value)| ["-c".to_owned(), format!("{key}={value}")]);
    Container {
        command: Some(std::iter::once("postgres".to_owned()).chain(arguments).collect()),
        ports: Some(vec![ContainerPort {
            name: Some("postgresql".to_owned()),
            container_port: i32::from(PORT),
            ..ContainerPort::default()
        }]),
        // Recovery after a crash may take minutes. There is no liveness probe: a server that is busy gets no better by
        // being killed, and one that has died ends its container by itself.
        startup_probe: Some(Probe { failure_threshold: Some(600), ..is_ready(1) }),
        readiness_probe: Some(Probe { failure_threshold: Some(2), ..is_ready(5) }),
        lifecycle: Some(Lifecycle {
            // SIGTERM alone would wait for all clients to leave. The hook does not wait: it would end with the container
            // that it runs in, and be reported as failed.
            pre_stop: Some(LifecycleHandler {
                exec: Some(exec(&["pg_ctl", "stop", "--pgdata", PGDATA, "--mode=fast", "--no-wait"])),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        ..container("postgres", embedded, defaults)
    }
}

/// What both containers have.
fn container(name: &str, embedded: &Embedded, defaults: &Defaults) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(embedded.provider.image.clone().unwrap_or_else(|| defaults.postgres_image.clone())),
        env: Some(vec![env("PGDATA", PGDATA)]),
        resources: Some(resources(&embedded.provider.resources, USUAL)),
        security_context: Some(container_security()),
        // The last lines of a log that ends with a failure are in the pod's status, and so in the condition.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![
            mount(DATA, MOUNT),
            mount("run", "/var/run/postgresql"),
            mount("tmp", "/tmp"),
            mount("shm", "/dev/shm"),
        ]),
        ..Container::default()
    }
}

fn volumes(object: &PostgresDatabase) -> Vec<Volume> {
    // The runtime's own /dev/shm has 64 MB, which parallel queries outgrow.
    let administrator = workload::secret("administrator", names::administrator(object));
    vec![scratch("run"), scratch("tmp"), workload::memory("shm"), administrator]
}

fn is_ready(period: i32) -> Probe {
    Probe {
        exec: Some(exec(&["pg_isready", "--quiet", "--host=127.0.0.1"])),
        period_seconds: Some(period),
        timeout_seconds: Some(3),
        ..Probe::default()
    }
}
