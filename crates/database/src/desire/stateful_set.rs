//! The server: a `StatefulSet` of one primary.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{
            StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
        },
        core::v1::{
            Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, ExecAction, Lifecycle,
            LifecycleHandler, PersistentVolumeClaim, PersistentVolumeClaimSpec, PodSecurityContext, PodSpec,
            PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext, Volume,
            VolumeMount, VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
    },
};
use kube::ResourceExt;
use serde_json::json;
use temporal_stack_common::{
    api::{PostgresDatabase, Resources, annotation, label},
    manifest::hash,
};

use crate::{
    Defaults,
    names::{self, ADMINISTRATOR, PORT},
    observe::Embedded,
};

/// Fields of a `StatefulSet` that cannot be changed; it is made again around its running pods.
pub(super) const IMMUTABLE: &[&str] =
    &["/spec/volumeClaimTemplates", "/spec/selector", "/spec/serviceName", "/spec/podManagementPolicy"];

/// User and group of the server, in the official image and in ours.
const POSTGRES: i64 = 999;
/// Where the volume is.
const MOUNT: &str = "/var/lib/postgresql/data";
/// The data directory: below the mount, because the server insists on owning it.
const PGDATA: &str = "/var/lib/postgresql/data/pgdata";
/// How the data directory is made.
const INITIALISE: &str = include_str!("initialise.sh");

/// The labels by which pods are found.
pub(super) fn selector(object: &PostgresDatabase) -> BTreeMap<String, String> {
    BTreeMap::from([
        (label::NAME.to_owned(), "postgresql".to_owned()),
        (label::INSTANCE.to_owned(), object.name_any()),
        (label::COMPONENT.to_owned(), "database".to_owned()),
        (label::MANAGED_BY.to_owned(), label::STACK.to_owned()),
    ])
}

/// What a mesh must know of the port: the server speaks first, so its protocol cannot be detected.
pub(super) fn mesh() -> BTreeMap<String, String> {
    BTreeMap::from([("config.linkerd.io/opaque-ports".to_owned(), PORT.to_string())])
}

/// The server.
pub(super) fn server(object: &PostgresDatabase, embedded: &Embedded, defaults: &Defaults) -> StatefulSet {
    StatefulSet {
        metadata: ObjectMeta { name: Some(names::server(object)), ..ObjectMeta::default() },
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            service_name: Some(names::pods(object)),
            pod_management_policy: Some("OrderedReady".to_owned()),
            // Restarts are the controller's decision.
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                ..StatefulSetUpdateStrategy::default()
            }),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                // The volume is the object's, not the server's: it goes with the object if at all.
                when_deleted: Some("Retain".to_owned()),
                when_scaled: Some("Retain".to_owned()),
            }),
            selector: LabelSelector { match_labels: Some(selector(object)), ..LabelSelector::default() },
            template: template(object, embedded, defaults),
            volume_claim_templates: Some(vec![claim_template(object, embedded)]),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

/// The claim carries the labels of data and its owner, so that it is known as ours when it outlives everything else, and
/// so that nobody has to write to it while the scheduler and the provisioner do.
fn claim_template(object: &PostgresDatabase, embedded: &Embedded) -> PersistentVolumeClaim {
    let storage = &embedded.provider.storage;
    let mut labels = selector(object);
    labels.insert(label::DATA.to_owned(), "true".to_owned());
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some("data".to_owned()),
            labels: Some(labels),
            annotations: object.uid().map(|uid| BTreeMap::from([(annotation::OWNER.to_owned(), uid)])),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: storage.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), storage.size.clone())])),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

fn template(object: &PostgresDatabase, embedded: &Embedded, defaults: &Defaults) -> PodTemplateSpec {
    let provider = &embedded.provider;
    // What the user asked for. The default image is not in it: a newer controller must not restart a server by itself.
    let roll = hash(&json!([provider.image, provider.resources, provider.parameters, embedded.restart]));
    let mut annotations = mesh();
    annotations.insert(annotation::ROLL.to_owned(), roll);
    annotations.extend(embedded.restart.iter().map(|restart| (annotation::RESTART.to_owned(), restart.clone())));
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(selector(object)),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            init_containers: Some(vec![initialise(embedded, defaults)]),
            containers: vec![postgres(embedded, defaults)],
            volumes: Some(volumes(object)),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(POSTGRES),
                run_as_group: Some(POSTGRES),
                fs_group: Some(POSTGRES),
                fs_group_change_policy: Some("OnRootMismatch".to_owned()),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    ..SeccompProfile::default()
                }),
                ..PodSecurityContext::default()
            }),
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
    container
        .volume_mounts
        .get_or_insert_default()
        .push(VolumeMount { read_only: Some(true), ..mount("administrator", "/etc/administrator") });
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
                exec: Some(command(&["pg_ctl", "stop", "--pgdata", PGDATA, "--mode=fast", "--no-wait"])),
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
        resources: Some(resources(&embedded.provider.resources)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![
            mount("data", MOUNT),
            mount("run", "/var/run/postgresql"),
            mount("tmp", "/tmp"),
            mount("shm", "/dev/shm"),
        ]),
        ..Container::default()
    }
}

/// The user's, with a default for each that is absent. Memory has a limit, CPU has none: a throttled server is a slow one.
fn resources(wanted: &Resources) -> ResourceRequirements {
    let quantity = |text: &str| Quantity(text.to_owned());
    let mut requests = wanted.requests.clone();
    let mut limits = wanted.limits.clone();
    limits.entry("memory".to_owned()).or_insert_with(|| quantity("1Gi"));
    requests.entry("cpu".to_owned()).or_insert_with(|| quantity("100m"));
    requests.entry("memory".to_owned()).or_insert_with(|| quantity("256Mi"));
    ResourceRequirements { requests: Some(requests), limits: Some(limits), ..ResourceRequirements::default() }
}

fn volumes(object: &PostgresDatabase) -> Vec<Volume> {
    let empty = |name: &str, medium: Option<&str>| Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { medium: medium.map(str::to_owned), ..EmptyDirVolumeSource::default() }),
        ..Volume::default()
    };
    let administrator = Volume {
        name: "administrator".to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(names::administrator(object)),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    // The runtime's own /dev/shm has 64 MB, which parallel queries outgrow.
    vec![empty("run", None), empty("tmp", None), empty("shm", Some("Memory")), administrator]
}

fn is_ready(period: i32) -> Probe {
    Probe {
        exec: Some(command(&["pg_isready", "--quiet", "--host=127.0.0.1"])),
        period_seconds: Some(period),
        timeout_seconds: Some(3),
        ..Probe::default()
    }
}

fn command(words: &[&str]) -> ExecAction {
    ExecAction { command: Some(words.iter().map(|word| (*word).to_owned()).collect()) }
}

fn env(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.to_owned()), ..EnvVar::default() }
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}
