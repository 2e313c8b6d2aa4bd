//! Common parts of Temporal's pods: the program, the bridge beside it, and the wait for its dependencies.

use k8s_openapi::api::core::v1::{Container, EnvFromSource, PodSpec, Probe, SecretEnvSource, Volume, VolumeMount};
use lapin::uri::AMQPScheme;
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{Bridge, Resources},
    binding::authority,
    manifest::Manifest,
    port::{self, BRIDGE_ADMIN},
    workload::{self, DefaultResources, Pods, container, container_port, env, http_probe, mount, resources, scratch},
};

use super::environment;
use crate::{
    access::{Broker, Ipfs},
    decide::view::View,
    names::{KRAB, KRAB_ROLE, MIGRATION},
    role::Role,
};

/// User and group of the pods. The official image defines none, and needs none.
const USER: i64 = 65532;
/// The resources of the bridge, which only streams.
const BRIDGE: DefaultResources = DefaultResources { cpu: "5m", memory: "16Mi", memory_limit: "64Mi" };
/// The resources of the waiting container.
const WAIT: DefaultResources = DefaultResources { cpu: "1m", memory: "8Mi", memory_limit: "32Mi" };
/// How long a pod may take to end after its drain, in seconds.
pub(super) const GRACE: i64 = 30;

/// The pods of a role.
pub(super) fn pods<'a>(view: &View<'a>, role: &str) -> Pods<'a> {
    Pods::new(view.names.service_account(role), view.names.pods(role), &view.spec.pods)
}

/// The `ServiceAccounts` of all roles: several roles share one.
pub(super) fn accounts(view: &View<'_>) -> impl Iterator<Item = Manifest> {
    ["api", "cluster", KRAB_ROLE, MIGRATION].into_iter().filter_map(|role| pods(view, role).account())
}

/// The common pod spec; containers and volumes differ by role.
pub(super) fn spec(pods: &Pods<'_>, containers: Vec<Container>) -> PodSpec {
    PodSpec { containers, volumes: Some(vec![scratch("logs"), scratch("tmp")]), ..pods.spec(USER, GRACE) }
}

/// Temporal itself. With an empty `-config` it reads its variables; the entrypoint of the image names a file, with which it reads
/// none.
pub(super) fn temporal(
    view: &View<'_>,
    name: &str,
    command: &[&str],
    environment: &str,
    limits: (&Resources, DefaultResources),
) -> Container {
    let words = ["temporal", "-config", ""].iter().chain(command);
    let logs = environment::log_directory(view).trim_end_matches('/').to_owned();
    Container {
        command: Some(words.map(|word| (*word).to_owned()).collect()),
        env_from: Some(vec![EnvFromSource {
            secret_ref: Some(SecretEnvSource { name: environment.to_owned(), ..SecretEnvSource::default() }),
            ..EnvFromSource::default()
        }]),
        // Relative paths must be in a writable directory.
        working_dir: Some(logs.clone()),
        volume_mounts: Some(vec![mount("logs", &logs), mount("tmp", "/tmp")]),
        ..container(name, view.image, resources(limits.0, limits.1))
    }
}

/// The bridge, which starts before the program and ends after it; absent if Temporal connects to IPFS itself.
pub(super) fn bridge(view: &View<'_>, main: &Resources) -> Option<Container> {
    let access = view.dependencies.ipfs.access.as_ref().filter(|_| view.spec.bridge == Bridge::On)?;
    let ports = [port::RPC, port::BRIDGE_REST, BRIDGE_ADMIN];
    let started =
        Probe { period_seconds: Some(1), failure_threshold: Some(60), ..http_probe(BRIDGE_ADMIN.name, "/livez") };
    Some(Container {
        env: Some(vec![
            env("BRIDGE_KUBO", &access.kubo.to_string()),
            // It receives SIGTERM when the program has ended.
            env("BRIDGE_QUIET", "0"),
            env("BRIDGE_CLUSTER", &access.cluster.to_string()),
        ]),
        ports: Some(ports.map(container_port).to_vec()),
        startup_probe: Some(started),
        restart_policy: Some("Always".to_owned()),
        ..helper("bridge", view, main, BRIDGE)
    })
}

/// Waits until all of these answer: otherwise the program would end, and be restarted with growing backoff.
pub(super) fn wait_container(view: &View<'_>, targets: &[String], main: &Resources) -> Container {
    let targets = targets.iter().map(String::as_str);
    Container {
        args: Some(std::iter::once("wait").chain(targets).map(str::to_owned).collect()),
        ..helper("wait", view, main, WAIT)
    }
}

/// A container beside the program, whose resources are `main`.
pub(super) fn helper(name: &str, view: &View<'_>, main: &Resources, usual: DefaultResources) -> Container {
    let own = &view.spec.helper_resources;
    let mut wanted = workload::helper_resources(main);
    wanted.requests.extend(own.requests.clone());
    wanted.limits.extend(own.limits.clone());
    container(name, &view.defaults.bridge_image, resources(&wanted, usual))
}

/// The settings of a workload that restart it, with those of its helpers. Without any, the hash is that of earlier versions.
pub(super) fn with_helpers(view: &View<'_>, wanted: Value) -> Value {
    let own = &view.spec.helper_resources;
    if *own == Resources::default() { wanted } else { json!([wanted, own]) }
}

/// The database, as [`wait_container`] takes it.
pub(super) fn database_target(view: &View<'_>) -> Vec<String> {
    let database = view.dependencies.database.access.as_ref();
    database.map(|access| format!("postgresql://{}", access.endpoint)).into_iter().collect()
}

/// The servers that must answer before a role may start.
pub(super) fn targets(view: &View<'_>, role: Role) -> Vec<String> {
    let mut targets = database_target(view);
    let broker = view.dependencies.queue.access.as_ref().and_then(Broker::parse);
    targets.extend(broker.map(|uri| {
        // A broker with TLS does not answer without.
        let scheme = if uri.scheme == AMQPScheme::AMQP { "amqp" } else { "tcp" };
        format!("{scheme}://{}", authority(&uri.authority.host, uri.authority.port))
    }));
    if role.uses_krab() {
        targets.push(format!("h2c://{}", authority(&view.names.host(&view.names.krab), KRAB)));
    }
    if let Some(Ipfs { kubo, cluster }) = environment::ipfs(view).filter(|_| role.uses_ipfs()) {
        targets.extend([format!("post+http://{kubo}/api/v0/id"), format!("http://{cluster}/peers")]);
    }
    targets
}

/// Adds a volume and its mounts in the program's container.
pub(super) fn add(spec: &mut PodSpec, volume: Volume, places: Vec<VolumeMount>) {
    spec.volumes.get_or_insert_default().push(volume);
    if let Some(container) = spec.containers.first_mut() {
        container.volume_mounts.get_or_insert_default().extend(places);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use temporal_stack_common::api::annotation;

    use crate::{
        fixture::{admin, manifests, referring_with, running},
        observed::Observed,
    };

    /// The pod templates of an object with this spec.
    fn templates(spec: Value) -> Vec<Value> {
        let object = referring_with(spec);
        let observed = Observed { named: [admin("first-admin")].into(), ..running(&object) };
        let all = manifests(&object, &observed);
        all.iter().filter_map(|manifest| manifest.object.pointer("/spec/template").cloned()).collect()
    }

    /// The name of each container, and a value of its resources.
    fn resources(templates: &[Value], pointer: &str) -> Vec<(String, Value)> {
        let lists =
            templates.iter().flat_map(|template| ["containers", "initContainers"].map(|list| &template["spec"][list]));
        let containers = lists.flat_map(|list| list.as_array().into_iter().flatten());
        let value = |container: &Value| container["resources"].pointer(pointer).cloned().unwrap_or_default();
        containers.map(|container| (container["name"].as_str().unwrap().to_owned(), value(container))).collect()
    }

    #[test]
    fn limits_of_programs_reach_all_containers() {
        let limited = json!({"resources": {"limits": {"cpu": "200m"}}});
        let workers = ["cluster", "pin", "keyCreation", "ipnsEntry", "emailSend"];
        let workers: serde_json::Map<_, _> =
            workers.map(|worker| (worker.to_owned(), limited.clone())).into_iter().collect();
        let admins = json!([{"secretName": "first-admin"}]);
        let templates = templates(json!({"api": limited, "krab": limited, "workers": workers, "admins": admins}));
        let limits = resources(&templates, "/limits/cpu");
        for name in ["api", "krab", "pin", "migrate", "wait", "bridge", "probe"] {
            assert!(limits.iter().any(|(container, _)| container == name), "{name} is not in {limits:?}");
        }
        let without: Vec<_> = limits.iter().filter(|(_, limit)| limit != "200m").collect();
        assert!(without.is_empty(), "a quota of limits.cpu refuses {without:?}");
    }

    #[test]
    fn helpers_have_their_own_resources() {
        let requests = json!({"requests": {"memory": "64Mi"}, "limits": {"cpu": "50m"}});
        let (before, after) = (templates(json!({})), templates(json!({"helperResources": requests})));
        for (pointer, wanted) in [("/requests/memory", "64Mi"), ("/limits/cpu", "50m"), ("/limits/memory", "64Mi")] {
            for (name, value) in resources(&after, pointer)
                .iter()
                .filter(|(name, _)| ["wait", "bridge", "probe"].contains(&name.as_str()))
            {
                assert_eq!(value, wanted, "{name} {pointer}");
            }
        }
        let roll = |template: &Value| template["metadata"]["annotations"][annotation::ROLL].clone();
        for (before, after) in before.iter().zip(&after).filter(|(before, _)| !roll(before).is_null()) {
            assert_ne!(roll(before), roll(after), "the pods are not restarted");
        }
    }
}
