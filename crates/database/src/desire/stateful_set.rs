//! The server: a `StatefulSet` of one primary.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Container, PodSpec, PodTemplateSpec, Probe, Volume},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::annotation,
    names::Names,
    port::POSTGRESQL,
    volume,
    workload::{
        self, DATA, DefaultResources, Pods, Set, before_end, container_port, env, exec, mount, probed, read_only,
        resources, scratch,
    },
};

use crate::{
    Defaults,
    decide::view::{EmbeddedView, View},
    names::{ADMINISTRATOR, administrator, mesh, selector},
    observed::Template,
};

/// User and group of the server, in the official image and in ours.
pub(super) const POSTGRES: i64 = 999;
/// How long a server may take to end, in seconds.
const GRACE: i64 = 60;
/// The default resources of a server.
const DEFAULT_RESOURCES: DefaultResources = DefaultResources { cpu: "100m", memory: "256Mi", memory_limit: "1Gi" };
/// The mount path of the volume.
const MOUNT: &str = "/var/lib/postgresql/data";
/// The data directory: below the mount, because the server insists on owning it.
const PGDATA: &str = "/var/lib/postgresql/data/pgdata";
/// The directory of the server's socket: connections through it need no IP address.
const SOCKETS: &str = "/var/run/postgresql";
/// The script that creates the data directory; `any_user`: its user may have no name.
pub(super) fn initialise_script(any_user: bool) -> String {
    let program = include_str!("initialise.sh");
    let named = if any_user { include_str!("any-user.sh") } else { "" };
    volume::script(&format!("{named}{program}"))
}

/// The server.
pub(super) fn server(
    view: &View<'_>,
    embedded: &EmbeddedView<'_>,
    pods: &Pods<'_>,
    defaults: &Defaults,
) -> StatefulSet {
    let selector = selector(&view.names);
    workload::stateful_set(Set {
        name: view.names.base.clone(),
        service: view.names.pod_service(),
        replicas: 1,
        parallel: false,
        template: template(&view.names, embedded, pods, defaults),
        claims: vec![volume::claim_template(view.object, &selector, &embedded.provider.storage)],
        selector,
    })
}

/// What the template of the server says about restarts.
pub(super) fn restarts(embedded: &EmbeddedView<'_>, pods: &Pods<'_>, defaults: &Defaults) -> Template {
    let wanted = wanted(embedded);
    let notes = pods.template_meta(BTreeMap::new(), BTreeMap::new(), &wanted, embedded.restart).annotations;
    let note = |key: &str| notes.as_ref().and_then(|notes| notes.get(key)).cloned();
    Template {
        image: image(embedded, defaults).to_owned(),
        roll: note(annotation::ROLL),
        restart: note(annotation::RESTART),
    }
}

fn image<'a>(embedded: &'a EmbeddedView<'_>, defaults: &'a Defaults) -> &'a str {
    embedded.provider.image.as_ref().unwrap_or(&defaults.postgres_image)
}

/// The user's settings. The default image is not in it: a newer controller must not restart a server by itself.
fn wanted(embedded: &EmbeddedView<'_>) -> Value {
    let provider = &embedded.provider;
    json!([provider.image, provider.resources, provider.parameters, embedded.restart])
}

fn template(names: &Names, embedded: &EmbeddedView<'_>, pods: &Pods<'_>, defaults: &Defaults) -> PodTemplateSpec {
    PodTemplateSpec {
        metadata: Some(pods.template_meta(selector(names), mesh(), &wanted(embedded), embedded.restart)),
        spec: Some(PodSpec {
            init_containers: Some(vec![initialise(embedded, pods, defaults)]),
            containers: vec![postgres(embedded, defaults)],
            volumes: Some(volumes(names)),
            ..pods.spec(POSTGRES, GRACE)
        }),
    }
}

fn initialise(embedded: &EmbeddedView<'_>, pods: &Pods<'_>, defaults: &Defaults) -> Container {
    let mut container = container("initialise", embedded, defaults);
    container.command = Some(vec!["sh".to_owned(), "-c".to_owned(), initialise_script(pods.has_any_user())]);
    container.env.get_or_insert_default().push(env("ADMINISTRATOR", ADMINISTRATOR));
    container.volume_mounts.get_or_insert_default().push(read_only("administrator", "/etc/administrator"));
    container
}

fn postgres(embedded: &EmbeddedView<'_>, defaults: &Defaults) -> Container {
    let decided =
        [("listen_addresses", "*"), ("unix_socket_directories", SOCKETS), ("password_encryption", "scram-sha-256")];
    let wanted = embedded.provider.parameters.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let arguments = wanted.chain(decided).flat_map(|(key, value)| ["-c".to_owned(), format!("{key}={value}")]);
    let is_ready = Probe {
        exec: Some(exec(&["pg_isready", "--quiet", &format!("--host={SOCKETS}")])),
        timeout_seconds: Some(3),
        ..Probe::default()
    };
    let container = Container {
        command: Some(std::iter::once("postgres".to_owned()).chain(arguments).collect()),
        ports: Some(vec![container_port(POSTGRESQL)]),
        // SIGTERM alone would wait for all clients to leave. The hook does not wait: it would end with the container that it runs in,
        // and be reported as failed.
        lifecycle: Some(before_end(&["pg_ctl", "stop", "--pgdata", PGDATA, "--mode=fast", "--no-wait"])),
        ..container("postgres", embedded, defaults)
    };
    probed(container, &is_ready)
}

/// The common parts of both containers.
fn container(name: &str, embedded: &EmbeddedView<'_>, defaults: &Defaults) -> Container {
    let image = image(embedded, defaults);
    Container {
        env: Some(vec![env("PGDATA", PGDATA)]),
        volume_mounts: Some(vec![
            mount(DATA, MOUNT),
            mount("run", SOCKETS),
            mount("tmp", "/tmp"),
            mount("shm", "/dev/shm"),
        ]),
        ..workload::container(name, image, resources(&embedded.provider.resources, DEFAULT_RESOURCES))
    }
}

fn volumes(names: &Names) -> Vec<Volume> {
    // The runtime's own /dev/shm has 64 MB, which parallel queries outgrow.
    let administrator = workload::secret("administrator", administrator(names));
    vec![scratch("run"), scratch("tmp"), workload::memory("shm"), administrator]
}
