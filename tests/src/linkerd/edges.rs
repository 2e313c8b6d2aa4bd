//! The connections between pods, as the kernel of the node tracks them: who really talks to whom.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, Client, api::ListParams};
use tokio::{task::JoinHandle, time::interval};

use super::rules;

/// Where the kernel lists them. A closed connection stays there for two minutes.
const TABLE: &str = "/proc/net/nf_conntrack";
/// Where it lists the routes, and with them the addresses of this machine.
const ROUTES: &str = "/proc/net/fib_trie";
/// How often connections are read: as often as pods may come and go with an address.
const TURN: Duration = Duration::from_secs(1);

/// A connection that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// From where.
    pub client: IpAddr,
    /// Where it arrived, whatever Service was asked for.
    pub server: IpAddr,
    /// At which port.
    pub port: u16,
}

/// An observed connection to a pod, with both sides as they were then.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Who connects.
    pub client: rules::Client,
    /// The name of its pod, if it is one.
    pub name: String,
    /// The pod that it reaches.
    pub server: Pod,
    /// At which port.
    pub port: u16,
}

/// Watches until it is dropped.
pub struct Edges {
    seen: Arc<Mutex<BTreeMap<Edge, Seen>>>,
    watching: JoinHandle<()>,
}

impl Edges {
    /// Starts to watch connections with pods of a namespace, and fails if the kernel tells none.
    pub async fn start(client: &Client, namespace: &str) -> Result<Self> {
        fs::read_to_string(TABLE).with_context(|| format!("cannot read {TABLE}; run the tests as root on the node"))?;
        let watcher = Watcher { client: client.clone(), namespace: namespace.to_owned(), nodes: nodes(client).await? };
        let seen: Arc<Mutex<BTreeMap<Edge, Seen>>> = Arc::default();
        let writes = seen.clone();
        let watching = tokio::spawn(async move {
            let mut turns = interval(TURN);
            loop {
                turns.tick().await;
                // A turn without an answer of the API server is made up for by the next one.
                if let Ok(more) = watcher.look().await {
                    let mut seen = writes.lock().unwrap_or_else(PoisonError::into_inner);
                    for (edge, one) in more {
                        // The first word counts: an address may be another pod's later.
                        seen.entry(edge).or_insert(one);
                    }
                }
            }
        });
        Ok(Self { seen, watching })
    }

    /// All connections so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Drop for Edges {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

struct Watcher {
    client: Client,
    namespace: String,
    nodes: BTreeSet<IpAddr>,
}

impl Watcher {
    async fn look(&self) -> Result<Vec<(Edge, Seen)>> {
        // Pods first: one that is new has made no connection yet, and one that has gone is not mistaken for its successor.
        let pods = Api::<Pod>::all(self.client.clone()).list(&ListParams::default()).await?.items;
        let by_address: BTreeMap<IpAddr, Pod> =
            pods.into_iter().filter_map(|pod| Some((address(&pod)?, pod))).collect();
        let edges = edges(&fs::read_to_string(TABLE)?);
        Ok(edges.into_iter().filter_map(|edge| Some((edge, self.resolve(edge, &by_address)?))).collect())
    }

    fn resolve(&self, edge: Edge, pods: &BTreeMap<IpAddr, Pod>) -> Option<Seen> {
        let server = pods.get(&edge.server)?;
        (server.metadata.namespace.as_ref() == Some(&self.namespace)).then_some(())?;
        let pod = pods.get(&edge.client);
        let name = pod.and_then(|pod| pod.metadata.name.clone());
        let client = rules::Client {
            address: edge.client,
            account: pod.and_then(|pod| account(pod, edge.port)),
            is_node: self.nodes.contains(&edge.client),
        };
        // The tests run on the node, and send requests of their own.
        let is_probed = || serde_json::to_value(server).is_ok_and(|server| rules::has_probe(&server, edge.port));
        if client.is_node && !is_probed() {
            return None;
        }
        let name = name.unwrap_or_else(|| if client.is_node { "a node" } else { "a stranger" }.to_owned());
        Some(Seen { client, name, server: server.clone(), port: edge.port })
    }
}

/// The address of a pod that has one of its own.
fn address(pod: &Pod) -> Option<IpAddr> {
    let has_its_own = !pod.spec.as_ref()?.host_network.unwrap_or_default();
    let status = pod.status.as_ref().filter(|_| has_its_own)?;
    let is_over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    status.pod_ip.as_ref().filter(|_| !is_over)?.parse().ok()
}

/// The ServiceAccount under which a pod with a proxy connects to a port.
fn account(pod: &Pod, port: u16) -> Option<(String, String)> {
    let value = serde_json::to_value(pod).ok()?;
    let is_seen = !rules::listed(&value, "config.linkerd.io/skip-outbound-ports", port);
    (super::has_proxy(&value) && is_seen).then_some(())?;
    let account = pod.spec.as_ref()?.service_account_name.clone().unwrap_or_else(|| "default".to_owned());
    Some((pod.metadata.namespace.clone()?, account))
}

/// The addresses from which kubelets ask: those of nodes, this machine among them, and the gateways of their pods' networks.
async fn nodes(client: &Client) -> Result<BTreeSet<IpAddr>> {
    let mut all = own_addresses(&fs::read_to_string(ROUTES)?);
    for node in Api::<Node>::all(client.clone()).list(&ListParams::default()).await? {
        let status = node.status.unwrap_or_default();
        let own = status.addresses.into_iter().flatten().filter(|address| address.type_ == "InternalIP");
        all.extend(own.filter_map(|address| address.address.parse::<IpAddr>().ok()));
        let ranges = node.spec.and_then(|spec| spec.pod_cidrs).unwrap_or_default();
        all.extend(ranges.iter().filter_map(|range| gateway(range)));
    }
    Ok(all)
}

/// The addresses of this machine, in the kernel's table of routes: each is on the line before the one that calls it local.
fn own_addresses(routes: &str) -> BTreeSet<IpAddr> {
    let lines: Vec<&str> = routes.lines().map(str::trim).collect();
    let own = lines.windows(2).filter(|pair| pair[1].contains("/32 host LOCAL"));
    own.filter_map(|pair| pair[0].strip_prefix("|-- ")?.parse().ok()).collect()
}

/// The first address of a range.
fn gateway(range: &str) -> Option<IpAddr> {
    match range.split_once('/')?.0.parse().ok()? {
        IpAddr::V4(network) => Some(IpAddr::V4((u32::from(network) + 1).into())),
        IpAddr::V6(network) => Some(IpAddr::V6((u128::from(network) + 1).into())),
    }
}

/// The TCP connections in the kernel's table.
///
/// Each line has what the client asked for, then what the server answers from: the latter is where it arrived, even if the former is
/// a Service.
fn edges(table: &str) -> BTreeSet<Edge> {
    table.lines().filter(|line| line.split_whitespace().nth(2) == Some("tcp")).filter_map(edge).collect()
}

fn edge(line: &str) -> Option<Edge> {
    // A connection that nobody has answered is none.
    if line.contains("[UNREPLIED]") {
        return None;
    }
    let values = |key: &str| {
        let start = format!("{key}=");
        line.split_whitespace().filter_map(move |word| word.strip_prefix(&start).map(str::to_owned)).collect::<Vec<_>>()
    };
    let (sources, ports) = (values("src"), values("sport"));
    let client = sources.first()?.parse().ok()?;
    Some(Edge { client, server: sources.get(1)?.parse().ok()?, port: ports.get(1)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
ipv4     2 tcp      6 86397 ESTABLISHED src=10.244.0.9 dst=10.96.48.26 sport=39000 dport=5672 src=10.244.0.55 dst=10.244.0.9 sport=5672 dport=39000 [ASSURED] mark=0 zone=0 use=2
ipv4     2 tcp      6 110 TIME_WAIT src=10.244.0.1 dst=10.244.0.55 sport=40000 dport=15672 src=10.244.0.55 dst=10.244.0.1 sport=15672 dport=40000 [ASSURED] mark=0 use=2
ipv4     2 tcp      6 100 SYN_SENT src=10.244.0.9 dst=10.244.0.66 sport=39001 dport=1 [UNREPLIED] src=10.244.0.66 dst=10.244.0.9 sport=1 dport=39001 mark=0 use=2
ipv4     2 udp      17 20 src=10.244.0.9 dst=10.96.0.10 sport=1000 dport=53 src=10.244.0.2 dst=10.244.0.9 sport=53 dport=1000 mark=0 use=2
";

    #[test]
    fn connection_to_a_service_ends_at_the_pod_that_answers() {
        let seen: Vec<Edge> = edges(TABLE).into_iter().collect();
        let expected = [([10, 244, 0, 1], 15672), ([10, 244, 0, 9], 5672)];
        let edge =
            |(client, port): ([u8; 4], u16)| Edge { client: client.into(), server: [10, 244, 0, 55].into(), port };
        assert_eq!(seen, expected.map(edge));
    }

    #[test]
    fn own_addresses_are_the_local_ones() {
        let routes = "\
  +-- 10.244.0.0/24 2 0 2
     |-- 10.244.0.0
        /24 link UNICAST
     |-- 10.244.0.1
        /32 host LOCAL
     |-- 10.244.0.255
        /32 link BROADCAST
";
        assert_eq!(own_addresses(routes), BTreeSet::from([[10, 244, 0, 1].into()]));
    }

    #[test]
    fn gateway_is_the_first_address_of_a_range() {
        assert_eq!(gateway("10.244.0.0/24"), Some([10, 244, 0, 1].into()));
        assert_eq!(gateway("nonsense"), None);
    }
}
