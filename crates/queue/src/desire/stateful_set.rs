//! The brokers: a `StatefulSet` with a volume for each.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{
            Container, ContainerPort, Lifecycle, LifecycleHandler, PodSpec, PodTemplateSpec, Probe, TCPSocketAction,
            Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};
use kube::ResourceExt;
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{MessageQueue, Resources, annotation},
    component::Component,
    manifest::hash,
    shared, volume,
    workload::{self, DATA, Set, Usual, container_security, env, exec, mount, of_pod, read_only, resources, scratch},
};

use super::config_map::{disk_free_limit, rabbitmq_conf};
use crate::{
    Defaults, Queue,
    names::{self, AMQP, CLUSTERING, EPMD, MANAGEMENT, METRICS},
    observe::Embedded,
};

/// User and group of the broker, in the official image and in ours.
const RABBITMQ: i64 = 999;
/// What a node gets unless the user says otherwise.
const USUAL: Usual = Usual { cpu: "100m", memory: "256Mi", memory_limit: "1Gi" };
/// Where the volume is: the home of the broker.
const HOME: &str = "/var/lib/rabbitmq";
/// How a node gets its cookie and configuration, and finds out whom to join.
pub(super) const PREPARE: &str = include_str!("prepare.sh");
/// How a node takes its leave: of its clients, or of the cluster.
const LEAVE: &str = include_str!("leave.sh");
/// Annotation of the template: the free space below which a node takes no messages, in bytes.
pub(super) const DISK_FREE_LIMIT: &str = "roll.temporal-stack.dev/disk-free-limit";
/// How long a node may take to leave, in seconds: the script is bounded by less.
const GRACE: i64 = 150;

/// The labels by which pods are found.
pub(super) fn selector(object: &MessageQueue) -> BTreeMap<String, String> {
    workload::selector("rabbitmq", Queue::NAME, &object.name_any())
}

/// What a mesh must know of the ports: on these the protocol cannot be detected.
pub(super) fn mesh() -> BTreeMap<String, String> {
    let opaque = [EPMD, AMQP, CLUSTERING].map(|port| port.to_string()).join(",");
    BTreeMap::from([("config.linkerd.io/opaque-ports".to_owned(), opaque)])
}

/// The memory that a node may use.
pub(super) fn memory_limit(wanted: &Resources) -> Option<Quantity> {
    resources(wanted, USUAL).limits?.remove("memory")
}

/// The brokers. All start at once: after a full stop each waits for the others.
pub(super) fn brokers(object: &MessageQueue, embedded: &Embedded, replicas: i32, defaults: &Defaults) -> StatefulSet {
    let selector = selector(object);
    workload::stateful_set(Set {
        name: names::set(object),
        service: names::pods(object),
        replicas,
        parallel: true,
        template: template(object, embedded, defaults),
        claim: volume::claim_template(object, &selector, &embedded.provider.storage),
        selector,
    })
}

fn template(object: &MessageQueue, embedded: &Embedded, defaults: &Defaults) -> PodTemplateSpec {
    let provider = &embedded.provider;
    let additional = provider.additional_config.trim();
    // What the user asked for. The default image and what the controller adds are not in it: a newer controller must not
    // restart brokers by itself.
    let wanted = json!([provider.image, provider.resources, additional, embedded.restart]);
    let mut annotations = mesh();
    annotations.insert(annotation::CONFIG.to_owned(), hash(&Value::String(rabbitmq_conf(object, embedded))));
    // It follows from the size of the volume, which is the user's wish, too.
    let disk_free_limit = disk_free_limit(embedded).map(|bytes| (DISK_FREE_LIMIT.to_owned(), bytes.to_string()));
    annotations.extend(disk_free_limit);
    annotations.insert(shared::NUMBER.to_owned(), embedded.cookies.number().to_string());
    PodTemplateSpec {
        metadata: Some(workload::template_meta(selector(object), annotations, &wanted, embedded.restart.as_ref())),
        spec: Some(PodSpec {
            init_containers: Some(vec![prepare(object, embedded, defaults)]),
            containers: vec![rabbitmq(object, embedded, defaults)],
            volumes: Some(volumes(object, embedded)),
            security_context: Some(workload::pod_security(RABBITMQ)),
            topology_spread_constraints: Some(vec![workload::apart(selector(object))]),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(GRACE),
            ..PodSpec::default()
        }),
    }
}

fn prepare(object: &MessageQueue, embedded: &Embedded, defaults: &Defaults) -> Container {
    let given = |name: &str| read_only(name, &format!("/run/temporal-stack/{name}"));
    Container {
        command: Some(vec!["bash".to_owned(), "-c".to_owned(), PREPARE.to_owned()]),
        volume_mounts: Some(
            mounts()
                .into_iter()
                .chain([given("cookie"), given("administrator"), given("config"), given("members")])
                .collect(),
        ),
        ..container("prepare", object, embedded, defaults)
    }
}

fn rabbitmq(object: &MessageQueue, embedded: &Embedded, defaults: &Defaults) -> Container {
    let ports =
        [("epmd", EPMD), ("amqp", AMQP), ("management", MANAGEMENT), ("metrics", METRICS), ("clustering", CLUSTERING)];
    let ports = ports.into_iter().map(|(name, number)| ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(number),
        ..ContainerPort::default()
    });
    Container {
        command: Some(vec!["rabbitmq-server".to_owned()]),
        ports: Some(ports.collect()),
        // A node waits minutes for the others after a full stop. There is no liveness probe: one that is paused or busy gets no
        // better by being killed, and one that has died ends its container by itself.
        startup_probe: Some(Probe { failure_threshold: Some(600), ..takes_clients(1) }),
        readiness_probe: Some(Probe { failure_threshold: Some(2), ..takes_clients(5) }),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                exec: Some(exec(&["bash", "-c", LEAVE])),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        ..container("rabbitmq", object, embedded, defaults)
    }
}

/// What both containers have.
fn container(name: &str, object: &MessageQueue, embedded: &Embedded, defaults: &Defaults) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(embedded.provider.image.clone().unwrap_or_else(|| defaults.rabbitmq_image.clone())),
        env: Some(vec![
            of_pod("POD_NAME", "metadata.name"),
            of_pod("POD_IP", "status.podIP"),
            env("ERL_INETRC", "/etc/rabbitmq/inetrc"),
            env("RABBITMQ_NODENAME", &format!("rabbit@$(POD_NAME).{}", names::suffix(object))),
            env("RABBITMQ_USE_LONGNAME", "true"),
            env("RABBITMQ_MNESIA_BASE", &format!("{HOME}/mnesia")),
            env("RABBITMQ_LOG_BASE", "/var/log/rabbitmq"),
            env("RABBITMQ_ENABLED_PLUGINS_FILE", "/etc/rabbitmq/enabled_plugins"),
            env("RABBITMQ_CONFIG_FILE", "/etc/rabbitmq/rabbitmq.conf"),
            env("RABBITMQ_CONFIG_FILES", "/etc/rabbitmq/conf.d"),
            env("RABBITMQ_CONF_ENV_FILE", "/etc/rabbitmq/rabbitmq-env.conf"),
            // Erlang would spin for work that is not there, and take the CPU from its neighbours.
            env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none +sbwtdcpu none +sbwtdio none"),
            env("HOME", HOME),
            env("LANG", "C.UTF-8"),
        ]),
        resources: Some(resources(&embedded.provider.resources, USUAL)),
        security_context: Some(container_security()),
        // Erlang makes files where it was started, and the root is read-only.
        working_dir: Some("/tmp".to_owned()),
        // The last lines of a log that ends with a failure say why: they are in the pod's status, and so in the condition.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(mounts()),
        ..Container::default()
    }
}

fn mounts() -> Vec<VolumeMount> {
    vec![mount(DATA, HOME), mount("etc", "/etc/rabbitmq"), mount("log", "/var/log/rabbitmq"), mount("tmp", "/tmp")]
}

fn volumes(object: &MessageQueue, embedded: &Embedded) -> Vec<Volume> {
    vec![
        scratch("etc"),
        scratch("log"),
        scratch("tmp"),
        workload::secret("cookie", names::cookie(object, embedded.cookies.number())),
        workload::secret("administrator", names::administrator(object)),
        workload::config_map("config", names::config(object), false),
        workload::config_map("members", names::members(object), true),
    ]
}

fn takes_clients(period: i32) -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction {
            port: IntOrString::String("amqp".to_owned()),
            ..TCPSocketAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(3),
        ..Probe::default()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, process::Command};

    use super::*;

    /// Runs the part of the script that is about addresses; the directory of its files, and whether it ended well.
    fn prepared(address: &str) -> (String, Option<String>) {
        let place = std::env::temp_dir().join(format!("prepare-{}-{}", std::process::id(), address.replace(':', "_")));
        fs::create_dir_all(&place).unwrap();
        let (script, _) = PREPARE.split_once("\n# Init containers run again").unwrap();
        let done = Command::new("bash")
            .args(["-c", script])
            .env("POD_IP", address)
            .env("RABBITMQ_NODENAME", "rabbit@temporal-messagequeue-0.pods.default.svc")
            .env("RABBITMQ_MNESIA_BASE", "/nowhere")
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none")
            .env("ERL_INETRC", place.join("inetrc"))
            .env("RABBITMQ_CONF_ENV_FILE", place.join("env"))
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let read = |file: &str| fs::read_to_string(Path::new(&place).join(file)).ok();
        let files = (read("inetrc").unwrap(), read("env"));
        fs::remove_dir_all(&place).unwrap();
        files
    }

    #[test]
    fn a_node_without_ipv4_finds_others_over_ipv6() {
        for (address, tuple) in [
            ("fd00:10:244::7", "{16#fd00,16#10,16#244,16#0,16#0,16#0,16#0,16#7}"),
            ("::1", "{16#0,16#0,16#0,16#0,16#0,16#0,16#0,16#1}"),
            ("1:2:3:4:5:6:7:8", "{16#1,16#2,16#3,16#4,16#5,16#6,16#7,16#8}"),
            ("fd00::", "{16#fd00,16#0,16#0,16#0,16#0,16#0,16#0,16#0}"),
        ] {
            let (inetrc, env) = prepared(address);
            let line = format!("{{host, {tuple}, [\"temporal-messagequeue-0.pods.default.svc\"]}}.");
            assert_eq!(inetrc.lines().collect::<Vec<_>>(), ["{inet6, true}.", &line, "{lookup, [file, native]}."]);
            let env = env.unwrap();
            assert!(
                env.contains("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=\"+sbwt none -proto_dist inet6_tcp\"\n"),
                "{env}"
            );
            assert!(env.contains("RABBITMQ_CTL_ERL_ARGS=\"-proto_dist inet6_tcp\"\n"), "{env}");
        }
    }

    #[test]
    fn a_node_with_ipv4_is_found_over_ipv4() {
        let (inetrc, env) = prepared("10.244.0.7");
        assert!(inetrc.starts_with("{host, {10,244,0,7}, ["), "{inetrc}");
        assert_eq!(env, None);
    }
}
