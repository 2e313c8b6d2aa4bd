//! What a round has found: plain data.

use temporal_stack_common::{
    api::{ComponentKind, EdgeTraffic, TrafficClass},
    port::{self, Port},
};

use super::{
    edge::Edge,
    leaf::Leaf,
    subject::{Ends, Link, Party},
};

/// The most edges in the status.
const SHOWN: usize = 64;

/// The traffic of a Mesh.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    /// The edges with traffic, by their ends.
    pub(crate) edges: Vec<Edge>,
    /// Connections and requests as the servers' proxies judged them, and how many since the last round: in the first round with a
    /// pod, since its proxy started.
    pub(crate) links: Vec<(Link, u64)>,
    /// Whether there are no rates yet, because they need two rounds.
    pub(crate) is_first: bool,
    /// Whether there were more edges than are counted.
    pub(crate) is_cut: bool,
    /// Of how many pods metrics were read.
    pub(crate) read: usize,
    /// How many pods have a proxy.
    pub(crate) targets: usize,
    /// The pods whose metrics could not be read several times in a row.
    pub(crate) unread: Vec<Unread>,
    /// The certificates of the proxies that were ever read, with the names of their pods.
    pub(crate) leaves: Vec<(String, Leaf)>,
}

/// A pod whose metrics could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    /// Its name.
    pub(crate) pod: String,
    /// The error.
    pub(crate) cause: String,
    /// How often in a row.
    pub(crate) rounds: u32,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            edges: Vec::new(),
            links: Vec::new(),
            is_first: true,
            is_cut: false,
            read: 0,
            targets: 0,
            unread: Vec::new(),
            leaves: Vec::new(),
        }
    }
}

impl Report {
    /// The edges as the status shows them: first those between components, and those of the worst class.
    pub(crate) fn traffic(&self) -> Vec<EdgeTraffic> {
        let mut edges: Vec<(bool, TrafficClass, EdgeTraffic)> = self.edges.iter().filter_map(shown).collect();
        edges.sort_unstable_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)).then_with(|| a.2.cmp(&b.2)));
        edges.truncate(SHOWN);
        let mut shown: Vec<EdgeTraffic> = edges.into_iter().map(|(_, _, edge)| edge).collect();
        shown.sort_unstable();
        shown
    }
}

fn shown(edge: &Edge) -> Option<(bool, TrafficClass, EdgeTraffic)> {
    let Party::Component(server) = &edge.ends.server else { return None };
    let (client, component) = (edge.ends.client.to_string(), (**server).clone());
    let shown = EdgeTraffic { client, component, port: port_name(&edge.ends), class: edge.class };
    Some((edge.ends.client.is_component(), edge.class, shown))
}

/// The name of a port, or its number if the component has none of that number.
pub(super) fn port_name(ends: &Ends) -> String {
    let Party::Component(server) = &ends.server else { return ends.port.to_string() };
    let known = ports(server.kind).iter().find(|port| port.number == ends.port);
    known.map_or_else(|| ends.port.to_string(), |port| port.name.to_owned())
}

fn ports(kind: ComponentKind) -> &'static [Port] {
    match kind {
        ComponentKind::PostgresDatabase => &[port::POSTGRESQL],
        ComponentKind::MessageQueue => {
            &[port::AMQP, port::MANAGEMENT, port::RABBITMQ_METRICS, port::EPMD, port::CLUSTERING]
        }
        ComponentKind::IpfsCluster => {
            &[port::RPC, port::GATEWAY, port::SWARM, port::REST, port::PROXY, port::PEERS, port::CLUSTER_METRICS]
        }
        ComponentKind::ObjectStorage => &[port::S3, port::S3_ADMINISTRATION],
        ComponentKind::Temporal => &[port::API, port::KRAB, port::BRIDGE_ADMIN],
    }
}
