//! The brokers: a `StatefulSet` with a volume for each.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Container, PodSpec, PodTemplateSpec, Probe, Volume, VolumeMount},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{RabbitmqProvider, annotation},
    manifest::hash,
    port, shared, volume,
    workload::{
        self, DATA, Pods, Set, before_end, container_port, env, exec, mount, of_pod, probed, read_only, scratch,
    },
};

use super::{
    config_map::{disk_free_limit, rabbitmq_conf},
    resources,
};
use crate::{
    Defaults,
    decide::view::{EmbeddedView, View},
    names::{self, Names, PORTS, PREPARE, selector},
};

/// User and group of the broker, in the official image and in ours.
const RABBITMQ: i64 = 999;
/// The mount path of the volume, which is the home of the broker.
const HOME: &str = "/var/lib/rabbitmq";
/// The script that prepares a node's cookie and configuration, and finds the cluster to join.
pub(super) fn prepare_script() -> String {
    volume::script(include_str!("prepare.sh"))
}
/// The script by which a node leaves its clients, or the cluster.
const LEAVE: &str = include_str!("leave.sh");
/// The script that finds out whether a node serves clients: it listens for them, which it does last and not in maintenance, and
/// answers HTTP, which a node that hangs does not. The broker would log a warning for each greeting in AMQP that no login follows,
/// and its own diagnostics start a virtual machine each time.
const SERVES: &str = r#"exec 3<> "/dev/tcp/localhost/$0" 4<> "/dev/tcp/localhost/$1" &&
  printf 'HEAD / HTTP/1.0\r\n\r\n' >&4 && read -r -t 2 answer <&4 && [[ $answer == HTTP/* ]]"#;
/// Annotation of the template: the free space below which a node accepts no messages, in bytes.
pub(super) const DISK_FREE_LIMIT: &str = "roll.temporal-stack.dev/disk-free-limit";
/// How long a node may take to leave, in seconds: the script is bounded by less.
const GRACE: i64 = 150;

/// The brokers. All start at once: after a full stop each waits for the others.
pub(super) fn brokers(
    view: &View<'_>,
    embedded: &EmbeddedView<'_>,
    pods: &Pods<'_>,
    defaults: &Defaults,
) -> StatefulSet {
    let selector = selector(&view.names);
    workload::stateful_set(Set {
        name: view.names.base.clone(),
        service: view.names.pod_service(),
        replicas: embedded.scale.replicas,
        parallel: true,
        template: template(view, embedded, pods, defaults),
        claims: vec![volume::claim_template(view.object, &selector, &embedded.provider.storage)],
        selector,
    })
}

fn template(view: &View<'_>, embedded: &EmbeddedView<'_>, pods: &Pods<'_>, defaults: &Defaults) -> PodTemplateSpec {
    let (names, provider, restart) = (&view.names, &embedded.provider, embedded.observed.restart.as_ref());
    let cookie = embedded.cookies.shared.number();
    let additional = provider.additional_config.trim();
    // The user's settings. The default image and what the controller adds are not in it: a newer controller must not
    // restart brokers by itself.
    let wanted = json!([provider.image, provider.resources, additional, restart]);
    let mut annotations = workload::opaque(&PORTS);
    annotations.insert(annotation::CONFIG.to_owned(), hash(&Value::String(rabbitmq_conf(names, provider))));
    // It follows from the size of the volume, which the user also sets.
    let disk_free_limit = disk_free_limit(provider).map(|bytes| (DISK_FREE_LIMIT.to_owned(), bytes.to_string()));
    annotations.extend(disk_free_limit);
    annotations.insert(shared::NUMBER.to_owned(), cookie.to_string());
    PodTemplateSpec {
        metadata: Some(pods.template_meta(selector(names), annotations, &wanted, restart)),
        spec: Some(PodSpec {
            init_containers: Some(vec![prepare(names, provider, defaults)]),
            containers: vec![rabbitmq(names, provider, defaults)],
            volumes: Some(volumes(names, cookie)),
            ..pods.spec(RABBITMQ, GRACE)
        }),
    }
}

fn prepare(names: &Names, provider: &RabbitmqProvider, defaults: &Defaults) -> Container {
    let given = |name: &str| read_only(name, &format!("/run/temporal-stack/{name}"));
    Container {
        command: Some(vec!["bash".to_owned(), "-c".to_owned(), prepare_script()]),
        volume_mounts: Some(
            mounts()
                .into_iter()
                .chain([given("cookie"), given("administrator"), given("config"), given("members")])
                .collect(),
        ),
        ..container(PREPARE, names, provider, defaults)
    }
}

fn rabbitmq(names: &Names, provider: &RabbitmqProvider, defaults: &Defaults) -> Container {
    let container = Container {
        command: Some(vec!["rabbitmq-server".to_owned()]),
        ports: Some(PORTS.map(container_port).to_vec()),
        lifecycle: Some(before_end(&["bash", "-c", LEAVE])),
        ..container("rabbitmq", names, provider, defaults)
    };
    // A node waits minutes for the others after a full stop.
    let ports = [port::AMQP, port::MANAGEMENT].map(|port| port.number.to_string());
    let serves = exec(&["bash", "-c", SERVES, &ports[0], &ports[1]]);
    probed(container, &Probe { exec: Some(serves), timeout_seconds: Some(3), ..Probe::default() })
}

/// The common parts of both containers.
fn container(name: &str, names: &Names, provider: &RabbitmqProvider, defaults: &Defaults) -> Container {
    let image = provider.image.as_ref().unwrap_or(&defaults.rabbitmq_image);
    Container {
        env: Some(vec![
            of_pod("POD_NAME", "metadata.name"),
            of_pod("POD_IP", "status.podIP"),
            env("ERL_INETRC", "/etc/rabbitmq/inetrc"),
            env("RABBITMQ_NODENAME", &format!("rabbit@$(POD_NAME).{}", names.host(&names.pod_service()))),
            env("RABBITMQ_USE_LONGNAME", "true"),
            env("RABBITMQ_MNESIA_BASE", &format!("{HOME}/mnesia")),
            env("RABBITMQ_LOG_BASE", "/var/log/rabbitmq"),
            env("RABBITMQ_ENABLED_PLUGINS_FILE", "/etc/rabbitmq/enabled_plugins"),
            env("RABBITMQ_CONFIG_FILE", "/etc/rabbitmq/rabbitmq.conf"),
            env("RABBITMQ_CONFIG_FILES", "/etc/rabbitmq/conf.d"),
            env("RABBITMQ_CONF_ENV_FILE", "/etc/rabbitmq/rabbitmq-env.conf"),
            // Erlang would busy-wait for work, and take the CPU from other pods.
            env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none +sbwtdcpu none +sbwtdio none"),
            env("HOME", HOME),
            env("LANG", "C.UTF-8"),
        ]),
        // Erlang creates files in its working directory, and the root is read-only.
        working_dir: Some("/tmp".to_owned()),
        volume_mounts: Some(mounts()),
        ..workload::container(name, image, resources(&provider.resources))
    }
}

fn mounts() -> Vec<VolumeMount> {
    vec![mount(DATA, HOME), mount("etc", "/etc/rabbitmq"), mount("log", "/var/log/rabbitmq"), mount("tmp", "/tmp")]
}

fn volumes(names: &Names, cookie: u32) -> Vec<Volume> {
    vec![
        scratch("etc"),
        scratch("log"),
        scratch("tmp"),
        workload::secret("cookie", names::cookie(names, cookie)),
        workload::secret("administrator", names::administrator(names)),
        workload::config_map("config", names::config(names), false),
        workload::config_map("members", names::members(names), true),
    ]
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        path::Path,
        process::Command,
        thread,
    };

    use super::*;

    /// Runs the part of the script that is about addresses; the files that it writes.
    fn prepared(address: &str) -> (String, Option<String>) {
        let folder = std::env::temp_dir().join(format!("prepare-{}-{}", std::process::id(), address.replace(':', "_")));
        fs::create_dir_all(&folder).unwrap();
        let script = prepare_script();
        let (script, _) = script.split_once("\n# Init containers run again").unwrap();
        let done = Command::new("bash")
            .args(["-c", script])
            .env("POD_IP", address)
            .env("RABBITMQ_NODENAME", "rabbit@temporal-messagequeue-0.pods.default.svc")
            .env("RABBITMQ_MNESIA_BASE", "/nowhere")
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none")
            .env("ERL_INETRC", folder.join("inetrc"))
            .env("RABBITMQ_CONF_ENV_FILE", folder.join("env"))
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let read = |file: &str| fs::read_to_string(Path::new(&folder).join(file)).ok();
        let files = (read("inetrc").unwrap(), read("env"));
        fs::remove_dir_all(&folder).unwrap();
        files
    }

    /// Whether the probe succeeds, with a broker that may listen for clients and answers HTTP with this.
    fn serves(has_listener: bool, answer: &'static [u8]) -> bool {
        let clients = TcpListener::bind("127.0.0.1:0").unwrap();
        let management = TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = [&clients, &management].map(|listener| listener.local_addr().unwrap().port().to_string());
        let clients = has_listener.then_some(clients);
        let answering = thread::spawn(move || {
            let (mut stream, _) = management.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
                head.extend(byte);
            }
            // One that has not come that far has closed it.
            let _ = stream.write_all(answer);
        });
        let status = Command::new("bash").args(["-c", SERVES, &ports[0], &ports[1]]).status().unwrap();
        // It may not have come that far.
        drop(TcpStream::connect(("127.0.0.1", ports[1].parse::<u16>().unwrap())));
        answering.join().unwrap();
        drop(clients);
        status.success()
    }

    #[test]
    fn node_that_only_listens_does_not_serve() {
        assert!(serves(true, b"HTTP/1.1 200 OK\r\n\r\n"));
        assert!(!serves(true, b""), "it accepts and closes");
        assert!(!serves(true, b"\x15\x03\n"));
        assert!(!serves(false, b"HTTP/1.1 200 OK\r\n\r\n"), "in maintenance");
    }

    #[test]
    fn node_without_ipv4_finds_others_over_ipv6() {
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
    fn node_with_ipv4_is_found_over_ipv4() {
        let (inetrc, env) = prepared("10.244.0.7");
        assert!(inetrc.starts_with("{host, {10,244,0,7}, ["), "{inetrc}");
        assert_eq!(env, None);
    }
}
