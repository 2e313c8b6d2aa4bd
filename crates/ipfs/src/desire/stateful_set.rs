//! The peers: a `StatefulSet` whose pods have Kubo, IPFS Cluster, and a volume for both.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Container, ContainerPort, EnvVar, PodSpec, PodTemplateSpec, Probe, ResourceRequirements},
};
use serde_json::json;
use temporal_stack_common::{
    api::{Network, Resources},
    manifest::bytes,
    port::{self, Port},
    shared, volume,
    workload::{
        self, DATA, DefaultResources, Pods, Set, container_port, env, http_probe, memory, mount, of_pod, opaque,
        probed, read_only, resources, scratch, unproxied,
    },
};

use crate::{
    Defaults,
    decide::view::EmbeddedView,
    kubo_config,
    names::{self, PEERS, PROXY, REST, RPC, SERVES, selector},
};

/// User and group of both programs, in the official images and in ours.
const IPFS: i64 = 1000;
/// The default resources of a Kubo.
const KUBO_RESOURCES: DefaultResources = DefaultResources { cpu: "100m", memory: "256Mi", memory_limit: "1Gi" };
/// The default resources of an IPFS Cluster.
const CLUSTER_RESOURCES: DefaultResources = DefaultResources { cpu: "50m", memory: "96Mi", memory_limit: "512Mi" };
/// The mount path of the volume.
const HOME: &str = "/data";
/// Where Kubo's repository is.
const KUBO_PATH: &str = "/data/ipfs";
/// Where the state of IPFS Cluster is.
const CLUSTER_PATH: &str = "/data/ipfs-cluster";
/// Where pods find their Secrets.
const GIVEN: &str = "/run/temporal-stack";
/// The script that prepares Kubo's repository and configuration.
pub(super) fn prepare_kubo() -> String {
    volume::script(include_str!("prepare-kubo.sh"))
}
/// The script that prepares IPFS Cluster's configuration.
const PREPARE_CLUSTER: &str = include_str!("prepare-cluster.sh");
/// The script that starts IPFS Cluster.
const START_CLUSTER: &str = include_str!("start-cluster.sh");
/// How long a peer may take to stop, in seconds.
const GRACE: i64 = 60;

/// The peers. All start at once: none needs another to start.
pub(super) fn peers(view: &EmbeddedView<'_>, replicas: i32, pods: &Pods<'_>, defaults: &Defaults) -> StatefulSet {
    let selector = selector(&view.names);
    workload::stateful_set(Set {
        name: view.names.base.clone(),
        service: view.names.pod_service(),
        replicas,
        parallel: true,
        template: template(view, pods, defaults),
        claims: vec![volume::claim_template(view.object, &selector, &view.provider.storage)],
        selector,
    })
}

fn template(view: &EmbeddedView<'_>, pods: &Pods<'_>, defaults: &Defaults) -> PodTemplateSpec {
    let EmbeddedView { provider, settings, secrets, .. } = view;
    let restart = view.observed.objects.restart.as_ref();
    // What the user asked for. Default images, the peers and what the controller adds are not in it: a newer controller must
    // not restart peers by itself, nor must a peer that joins.
    let requested = json!([
        provider.image,
        provider.cluster_image,
        provider.resources,
        provider.cluster_resources,
        provider.garbage_collection,
        provider.proxy,
        kubo_config::requested(provider),
        settings.peer_name,
        settings.variables,
        settings.replication,
        restart,
    ]);
    let mut annotations = mesh(secrets.network);
    annotations.insert(shared::NUMBER.to_owned(), secrets.shared.number().to_string());
    let mut labels = selector(&view.names);
    labels.insert(SERVES.to_owned(), "true".to_owned());
    let (kubo, cluster) = (kubo(view, defaults), cluster(view, defaults));
    PodTemplateSpec {
        metadata: Some(pods.template_meta(labels, annotations, &requested, restart)),
        spec: Some(PodSpec {
            init_containers: Some(vec![
                prepare("prepare-kubo", prepare_kubo(), view, kubo.clone()),
                prepare("prepare-cluster", volume::script(PREPARE_CLUSTER), view, cluster.clone()),
            ]),
            containers: vec![kubo, cluster],
            volumes: Some(vec![
                scratch("tmp"),
                memory("own"),
                workload::secret("peers", names::peers(&view.names)),
                workload::secret("secret", names::shared(&view.names, secrets.shared.number())),
            ]),
            ..pods.spec(IPFS, GRACE)
        }),
    }
}

/// The init container of a container: with the same image and environment, and all Secrets of the peer.
fn prepare(name: &str, script: String, view: &EmbeddedView<'_>, main: Container) -> Container {
    let mut variables = vec![of_pod("POD_NAME", "metadata.name"), env("PEERS_SECRET", &names::peers(&view.names))];
    variables.extend(main.env.unwrap_or_default());
    let mut mounts = main.volume_mounts.unwrap_or_default();
    mounts.retain(|mount| mount.name != "own");
    mounts.push(mount("own", &format!("{GIVEN}/own")));
    mounts.extend(["peers", "secret"].map(|given| read_only(given, &format!("{GIVEN}/{given}"))));
    Container {
        name: name.to_owned(),
        image: main.image,
        command: Some(vec!["sh".to_owned(), "-c".to_owned(), script]),
        env: Some(variables),
        volume_mounts: Some(mounts),
        resources: main.resources,
        security_context: main.security_context,
        termination_message_policy: main.termination_message_policy,
        ..Container::default()
    }
}

fn kubo(view: &EmbeddedView<'_>, defaults: &Defaults) -> Container {
    let provider = &view.provider;
    let mut command = vec!["ipfs", "daemon", "--migrate=true"];
    command.extend(provider.garbage_collection.then_some("--enable-gc"));
    let mut variables = vec![
        env("IPFS_PATH", KUBO_PATH),
        env("IPFS_TELEMETRY", "off"),
        // The previous pod may still hold the volume for a moment.
        env("IPFS_WAIT_REPO_LOCK", "60s"),
        env("HOME", "/tmp"),
    ];
    variables.extend(memory_goal(&provider.resources, KUBO_RESOURCES));
    if view.secrets.network == Network::Private {
        variables.extend([env("LIBP2P_FORCE_PNET", "1"), env("LIBP2P_TCP_MUX", "false")]);
    }
    let image = provider.image.as_ref().unwrap_or(&defaults.kubo_image);
    let container = Container {
        command: Some(command.into_iter().map(str::to_owned).collect()),
        env: Some(variables),
        ports: Some(vec![
            declared(port::SWARM),
            declared(port::SWARM_UDP),
            declared(port::RPC),
            declared(port::GATEWAY),
        ]),
        ..container("kubo", image, resources(&provider.resources, KUBO_RESOURCES))
    };
    // A repository of an earlier version is migrated first. The RPC takes POST only, which a probe cannot send; this is the CID of
    // nothing, which no block is needed for.
    probed(container, &answers("gateway", "/ipfs/bafkqaaa"))
}

fn cluster(view: &EmbeddedView<'_>, defaults: &Defaults) -> Container {
    let provider = &view.provider;
    let mut ports = vec![declared(port::REST), declared(port::PEERS), declared(port::CLUSTER_METRICS)];
    ports.extend(provider.proxy.then(|| declared(port::PROXY)));
    let image = provider.cluster_image.as_ref().unwrap_or(&defaults.cluster_image);
    let container = container("cluster", image, resources(&provider.cluster_resources, CLUSTER_RESOURCES));
    let own = read_only("own", &format!("{GIVEN}/own"));
    let mounts = container.volume_mounts.into_iter().flatten().chain([own]).collect();
    let container = Container {
        command: Some(vec!["sh".to_owned(), "-c".to_owned(), START_CLUSTER.to_owned()]),
        env: Some(cluster_env(view)),
        ports: Some(ports),
        volume_mounts: Some(mounts),
        ..container
    };
    probed(container, &answers("cluster", "/health"))
}

/// The configuration of IPFS Cluster: defaults, the user's settings, and managed settings, in increasing precedence.
fn cluster_env(view: &EmbeddedView<'_>) -> Vec<EnvVar> {
    let (provider, settings) = (&view.provider, &view.settings);
    let replication = settings.replication;
    let preset = [
        // Peers count as lost after twice this time.
        ("CLUSTER_MONITORPINGINTERVAL", "5s"),
        ("CLUSTER_PUBSUBMON_CHECKINTERVAL", "5s"),
        ("CLUSTER_IPFSHTTP_CONNECTSWARMSDELAY", "5s"),
        // A Kubo that hangs is noticed within this time; it must suffice to list all its pins.
        ("CLUSTER_IPFSHTTP_IPFSREQUESTTIMEOUT", "1m"),
        // Pins are allocated to a departed peer for as long.
        ("CLUSTER_DISK_METRICTTL", "10s"),
        ("CLUSTER_TAGS_METRICTTL", "10s"),
        // A peer that has lost its volume learns of all pins within this time.
        ("CLUSTER_CRDT_REBROADCASTINTERVAL", "10s"),
        // Changes reach a peer right after it has restarted. By default it hears nothing until the second heartbeat, up to 20 s, and
        // what it accepts meanwhile is known to no other peer. The two histories are counted in heartbeats.
        ("CLUSTER_PUBSUB_HEARTBEATINTERVAL", "1s"),
        ("CLUSTER_PUBSUB_FLOODPUBLISH", "true"),
        ("CLUSTER_PUBSUB_HISTORYGOSSIP", "20"),
        ("CLUSTER_PUBSUB_HISTORYLENGTH", "60"),
        // A peer that failed to process a change lacks its pins until the next repair: an hour by default. Without such a failure a
        // repair does nothing.
        ("CLUSTER_CRDT_REPAIRINTERVAL", "1m"),
        // The default is a cache of 1 GiB.
        ("CLUSTER_PEBBLE_PEBBLEOPTIONS_CACHESIZEBYTES", "16777216"),
        ("CLUSTER_PEBBLE_PEBBLEOPTIONS_MEMTABLESIZE", "4194304"),
        ("CLUSTER_METRICS_ENABLESTATS", "true"),
        // The default, set explicitly for pods without IPv4 on the loopback.
        ("CLUSTER_PINSVCAPI_HTTPLISTENMULTIADDRESS", "/ip4/127.0.0.1/tcp/9097"),
        // This listens on both families.
        ("CLUSTER_METRICS_PROMETHEUSENDPOINT", "/ip4/0.0.0.0/tcp/8888"),
    ];
    // IPFS Cluster listens on each as written. In a pod without IPv6, or without IPv4, prepare-cluster.sh replaces the addresses
    // of the missing family.
    let listen = |port: u16| format!("/ip4/0.0.0.0/tcp/{port},/ip6/::/tcp/{port}");
    let proxy = if provider.proxy { listen(PROXY) } else { format!("/ip4/127.0.0.1/tcp/{PROXY}") };
    let kubo = format!("/ip4/127.0.0.1/tcp/{RPC}");
    let decided = [
        ("CLUSTER_LISTENMULTIADDRESS", listen(PEERS)),
        ("CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS", listen(REST)),
        ("CLUSTER_IPFSPROXY_LISTENMULTIADDRESS", proxy),
        ("CLUSTER_IPFSPROXY_NODEMULTIADDRESS", kubo.clone()),
        ("CLUSTER_IPFSHTTP_NODEMULTIADDRESS", kubo),
        ("CLUSTER_MDNSINTERVAL", "0s".to_owned()),
        ("CLUSTER_REPLICATIONFACTORMIN", replication.min.to_string()),
        ("CLUSTER_REPLICATIONFACTORMAX", replication.max.to_string()),
        ("IPFS_CLUSTER_PATH", CLUSTER_PATH.to_owned()),
        ("HOME", "/tmp".to_owned()),
    ];
    let mut variables: BTreeMap<String, String> =
        preset.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    variables.extend(settings.variables.clone());
    variables.extend(decided.into_iter().map(|(key, value)| (key.to_owned(), value)));
    // Kubernetes would substitute a variable for $(…), and one $ for two.
    let literal = |(key, value): (String, String)| env(&key, &value.replace('$', "$$"));
    let mut variables: Vec<EnvVar> = variables.into_iter().map(literal).collect();
    variables.extend(memory_goal(&provider.cluster_resources, CLUSTER_RESOURCES));
    variables
}

/// Go must collect its garbage before the limit is reached.
fn memory_goal(wanted: &Resources, preset: DefaultResources) -> Option<EnvVar> {
    let limit = resources(wanted, preset).limits?.remove("memory")?;
    Some(env("GOMEMLIMIT", &(bytes(&limit.0)? / 10 * 9).to_string()))
}

/// The common parts of all containers.
fn container(name: &str, image: &str, resources: ResourceRequirements) -> Container {
    Container {
        volume_mounts: Some(vec![mount(DATA, HOME), mount("tmp", "/tmp")]),
        ..workload::container(name, image, resources)
    }
}

/// With its protocol: the API tells the two ports of the swarm apart only by it.
fn declared(port: Port) -> ContainerPort {
    let container_port = container_port(port);
    let protocol = container_port.protocol.clone().or_else(|| Some("TCP".to_owned()));
    ContainerPort { protocol, ..container_port }
}

/// The annotations by which a mesh treats the ports between peers. In a private network their connections are opaque to it. In a
/// public one it must leave the swarm alone: behind a proxy all Kubos of the world would have the pod's own address, by which
/// Kubo limits connections.
fn mesh(network: Network) -> BTreeMap<String, String> {
    match network {
        Network::Private => opaque(&[port::SWARM, port::PEERS]),
        Network::Public => opaque(&[port::PEERS]).into_iter().chain(unproxied(&[port::SWARM])).collect(),
    }
}

fn answers(port: &str, path: &str) -> Probe {
    Probe { timeout_seconds: Some(5), ..http_probe(port, path) }
}

#[cfg(test)]
mod tests;
