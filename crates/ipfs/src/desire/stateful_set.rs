//! The peers: a `StatefulSet` whose pods have Kubo, IPFS Cluster, and a volume for both.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{
            Container, ContainerPort, EnvVar, HTTPGetAction, PodSpec, PodTemplateSpec, Probe, Volume, VolumeMount,
        },
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::ResourceExt;
use serde_json::json;
use temporal_stack_common::{
    api::{IpfsCluster, Network, Resources},
    component::Component,
    manifest::bytes,
    shared, volume,
    workload::{self, DATA, Set, Usual, container_security, env, memory, mount, of_pod, read_only, resources, scratch},
};

use crate::{
    Defaults, Ipfs, kubo_config,
    names::{self, GATEWAY, METRICS, PEERS, PROXY, REST, RPC, SWARM},
    observe::Embedded,
};

/// User and group of both programs, in the official images and in ours.
const IPFS: i64 = 1000;
/// What a Kubo gets unless the user says otherwise.
const USUAL_OF_KUBO: Usual = Usual { cpu: "100m", memory: "256Mi", memory_limit: "1Gi" };
/// The same for an IPFS Cluster.
const USUAL_OF_CLUSTER: Usual = Usual { cpu: "50m", memory: "96Mi", memory_limit: "512Mi" };
/// Where the volume is.
const HOME: &str = "/data";
/// Where Kubo's repository is.
const KUBO_PATH: &str = "/data/ipfs";
/// Where the state of IPFS Cluster is.
const CLUSTER_PATH: &str = "/data/ipfs-cluster";
/// Where pods find what they are given.
const GIVEN: &str = "/run/temporal-stack";
/// How Kubo gets a repository and its configuration.
pub(super) const PREPARE_KUBO: &str = include_str!("prepare-kubo.sh");
/// How IPFS Cluster gets its configuration.
const PREPARE_CLUSTER: &str = include_str!("prepare-cluster.sh");
/// How long a peer may take to stop, in seconds.
const GRACE: i64 = 60;

/// Label of pods: whether clients are sent to them. A peer that is to leave gets no new ones.
pub(crate) const SERVES: &str = "temporal-stack.dev/serves";

/// The labels by which pods are found.
pub(crate) fn selector(object: &IpfsCluster) -> BTreeMap<String, String> {
    workload::selector("ipfs", Ipfs::NAME, &object.name_any())
}

/// What a mesh must know of the ports: these are encrypted by the peers themselves.
pub(super) fn mesh() -> BTreeMap<String, String> {
    let opaque = [SWARM, PEERS].map(|port| port.to_string()).join(",");
    BTreeMap::from([("config.linkerd.io/opaque-ports".to_owned(), opaque)])
}

/// The peers. All start at once: none needs another to start.
pub(super) fn peers(object: &IpfsCluster, embedded: &Embedded, replicas: i32, defaults: &Defaults) -> StatefulSet {
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

fn template(object: &IpfsCluster, embedded: &Embedded, defaults: &Defaults) -> PodTemplateSpec {
    let (provider, settings) = (&embedded.provider, &embedded.settings);
    // What the user asked for. Default images, the peers and what the controller adds are not in it: a newer controller must
    // not restart peers by itself, nor must a peer that joins.
    let wanted = json!([
        provider.image,
        provider.cluster_image,
        provider.resources,
        provider.cluster_resources,
        provider.garbage_collection,
        provider.proxy,
        kubo_config::wishes(provider),
        settings.peer_name,
        settings.variables,
        settings.replication,
        embedded.restart,
    ]);
    let number = embedded.shared.number().to_string();
    let mut annotations = mesh();
    annotations.insert(shared::NUMBER.to_owned(), number);
    let mut labels = selector(object);
    labels.insert(SERVES.to_owned(), "true".to_owned());
    PodTemplateSpec {
        metadata: Some(workload::template_meta(labels, annotations, &wanted, embedded.restart.as_ref())),
        spec: Some(PodSpec {
            init_containers: Some(vec![
                prepare("prepare-kubo", PREPARE_KUBO, object, kubo(embedded, defaults)),
                prepare("prepare-cluster", PREPARE_CLUSTER, object, cluster(embedded, defaults)),
            ]),
            containers: vec![kubo(embedded, defaults), cluster(embedded, defaults)],
            volumes: Some(volumes(object, embedded)),
            security_context: Some(workload::pod_security(IPFS)),
            topology_spread_constraints: Some(vec![workload::apart(selector(object))]),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(GRACE),
            ..PodSpec::default()
        }),
    }
}

/// What comes before a container: the same image and environment, and all that the peer is given.
fn prepare(name: &str, script: &str, object: &IpfsCluster, main: Container) -> Container {
    let mut variables = vec![of_pod("POD_NAME", "metadata.name"), env("PEERS_SECRET", &names::peers(object))];
    variables.extend(main.env.unwrap_or_default());
    let mut mounts = main.volume_mounts.unwrap_or_default();
    mounts.retain(|mount| mount.name != "own");
    mounts.push(mount("own", &format!("{GIVEN}/own")));
    mounts.extend(["peers", "secret"].map(|given| read_only(given, &format!("{GIVEN}/{given}"))));
    Container {
        name: name.to_owned(),
        image: main.image,
        command: Some(vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()]),
        env: Some(variables),
        volume_mounts: Some(mounts),
        resources: main.resources,
        security_context: main.security_context,
        termination_message_policy: main.termination_message_policy,
        ..Container::default()
    }
}

fn kubo(embedded: &Embedded, defaults: &Defaults) -> Container {
    let provider = &embedded.provider;
    let mut command = vec!["ipfs", "daemon", "--migrate=true"];
    command.extend(provider.garbage_collection.then_some("--enable-gc"));
    let mut variables = vec![
        env("IPFS_PATH", KUBO_PATH),
        env("IPFS_TELEMETRY", "off"),
        // The volume may still be another's for a moment.
        env("IPFS_WAIT_REPO_LOCK", "60s"),
        env("HOME", "/tmp"),
    ];
    variables.extend(memory_goal(&provider.resources, USUAL_OF_KUBO));
    if embedded.network == Network::Private {
        variables.extend([env("LIBP2P_FORCE_PNET", "1"), env("LIBP2P_TCP_MUX", "false")]);
    }
    // The RPC takes POST only, which a probe cannot send. This is the CID of nothing, which no block is needed for.
    let answers = |period| http("gateway", "/ipfs/bafkqaaa", period);
    Container {
        name: "kubo".to_owned(),
        image: Some(provider.image.clone().unwrap_or_else(|| defaults.kubo_image.clone())),
        command: Some(command.into_iter().map(str::to_owned).collect()),
        env: Some(variables),
        ports: Some(vec![
            port("swarm", SWARM, "TCP"),
            port("swarm-udp", SWARM, "UDP"),
            port("rpc", RPC, "TCP"),
            port("gateway", GATEWAY, "TCP"),
        ]),
        // A repository of a former version is migrated first. There is no liveness probe: one that is busy gets no better by
        // being killed, and one that has died ends its container by itself.
        startup_probe: Some(Probe { failure_threshold: Some(600), ..answers(1) }),
        readiness_probe: Some(Probe { failure_threshold: Some(2), ..answers(5) }),
        resources: Some(resources(&provider.resources, USUAL_OF_KUBO)),
        ..container()
    }
}

fn cluster(embedded: &Embedded, defaults: &Defaults) -> Container {
    let provider = &embedded.provider;
    let mut ports = vec![port("cluster", REST, "TCP"), port("peers", PEERS, "TCP"), port("metrics", METRICS, "TCP")];
    ports.extend(provider.proxy.then(|| port("proxy", PROXY, "TCP")));
    let answers = |period| http("cluster", "/health", period);
    let script = format!(". {GIVEN}/own/cluster.env; exec ipfs-cluster-service daemon");
    let mut mounts = container().volume_mounts.unwrap_or_default();
    mounts.push(read_only("own", &format!("{GIVEN}/own")));
    Container {
        name: "cluster".to_owned(),
        image: Some(provider.cluster_image.clone().unwrap_or_else(|| defaults.cluster_image.clone())),
        command: Some(vec!["sh".to_owned(), "-c".to_owned(), script]),
        env: Some(cluster_env(embedded)),
        ports: Some(ports),
        startup_probe: Some(Probe { failure_threshold: Some(600), ..answers(1) }),
        readiness_probe: Some(Probe { failure_threshold: Some(2), ..answers(5) }),
        resources: Some(resources(&provider.cluster_resources, USUAL_OF_CLUSTER)),
        volume_mounts: Some(mounts),
        ..container()
    }
}

/// What IPFS Cluster is told: defaults, the user's own, and what the controller decides, each over the one before.
fn cluster_env(embedded: &Embedded) -> Vec<EnvVar> {
    let (provider, settings) = (&embedded.provider, &embedded.settings);
    let replication = settings.replication;
    let usual = [
        // Peers are missed after twice this time.
        ("CLUSTER_MONITORPINGINTERVAL", "5s"),
        ("CLUSTER_PUBSUBMON_CHECKINTERVAL", "5s"),
        ("CLUSTER_IPFSHTTP_CONNECTSWARMSDELAY", "5s"),
        // A Kubo that hangs is noticed within this time; it must suffice to list all that it has pinned.
        ("CLUSTER_IPFSHTTP_IPFSREQUESTTIMEOUT", "1m"),
        // Pins are given to a peer that has gone for as long.
        ("CLUSTER_DISK_METRICTTL", "10s"),
        ("CLUSTER_TAGS_METRICTTL", "10s"),
        // One that has lost its volume hears of all pins within this time.
        ("CLUSTER_CRDT_REBROADCASTINTERVAL", "10s"),
        // The default is a cache of 1 GiB.
        ("CLUSTER_PEBBLE_PEBBLEOPTIONS_CACHESIZEBYTES", "16777216"),
        ("CLUSTER_PEBBLE_PEBBLEOPTIONS_MEMTABLESIZE", "4194304"),
        ("CLUSTER_METRICS_ENABLESTATS", "true"),
        ("CLUSTER_METRICS_PROMETHEUSENDPOINT", "/ip4/0.0.0.0/tcp/8888"),
    ];
    // IPFS Cluster takes each for what it says. What a pod without IPv6 cannot listen on is taken out by prepare-cluster.sh.
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
        usual.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    variables.extend(settings.variables.clone());
    variables.extend(decided.into_iter().map(|(key, value)| (key.to_owned(), value)));
    // Kubernetes would put another variable in the place of $(…), and one $ in that of two.
    let literal = |(key, value): (String, String)| env(&key, &value.replace('$', "$$"));
    let mut variables: Vec<EnvVar> = variables.into_iter().map(literal).collect();
    variables.extend(memory_goal(&provider.cluster_resources, USUAL_OF_CLUSTER));
    variables
}

/// Go is told to collect its garbage before the limit ends it.
fn memory_goal(wanted: &Resources, usual: Usual) -> Option<EnvVar> {
    let limit = resources(wanted, usual).limits?.remove("memory")?;
    Some(env("GOMEMLIMIT", &(bytes(&limit.0)? / 10 * 9).to_string()))
}

/// What all containers have.
fn container() -> Container {
    Container {
        security_context: Some(container_security()),
        // The last lines of a log that ends with a failure say why: they are in the pod's status, and so in the condition.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(mounts()),
        ..Container::default()
    }
}

fn mounts() -> Vec<VolumeMount> {
    vec![mount(DATA, HOME), mount("tmp", "/tmp")]
}

fn volumes(object: &IpfsCluster, embedded: &Embedded) -> Vec<Volume> {
    vec![
        scratch("tmp"),
        memory("own"),
        workload::secret("peers", names::peers(object)),
        workload::secret("secret", names::shared(object, embedded.shared.number())),
    ]
}

fn port(name: &str, number: u16, protocol: &str) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(number),
        protocol: Some(protocol.to_owned()),
        ..ContainerPort::default()
    }
}

fn http(port: &str, path: &str, period: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(port.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

#[cfg(test)]
mod tests;
