//! All names in the cluster, with the ports and labels by which its parts find each other.

use std::collections::BTreeMap;

pub(crate) use temporal_stack_common::names::Names;
use temporal_stack_common::{
    api::{IpfsCluster, Network},
    port,
    readiness::Program,
    workload,
};

/// The component.
pub(crate) const COMPONENT: &str = "ipfs";
/// The ConfigMap that is read unless the object names another one.
pub(crate) const CONFIG: &str = "ipfs-cluster-config";
/// The field of the spec with the volumes.
pub(crate) const STORAGE: &str = "spec.provider.kubo.storage";
/// The field of the spec with the resources of Kubo's containers.
const RESOURCES: &str = "spec.provider.kubo.resources";
/// The field of the spec with the resources of IPFS Cluster's containers.
const CLUSTER_RESOURCES: &str = "spec.provider.kubo.clusterResources";
/// The containers of a peer.
pub(crate) const PROGRAMS: &[Program] = const {
    &[
        Program::new("prepare-kubo", RESOURCES, "128Mi"),
        Program::new("kubo", RESOURCES, "128Mi"),
        Program::new("prepare-cluster", CLUSTER_RESOURCES, "64Mi"),
        Program::new("cluster", CLUSTER_RESOURCES, "64Mi"),
    ]
};
/// The largest number of peers: every peer is connected with every other.
pub(crate) const MOST_PEERS: i32 = 32;

/// The port of Kubo's RPC.
pub(crate) const RPC: u16 = port::RPC.number;
/// The port on which Kubos exchange blocks.
pub(crate) const SWARM: u16 = port::SWARM.number;
/// The port of Kubo's gateway.
pub(crate) const GATEWAY: u16 = port::GATEWAY.number;
/// The port of IPFS Cluster's REST API.
pub(crate) const REST: u16 = port::REST.number;
/// The port of IPFS Cluster's proxy of Kubo's RPC.
pub(crate) const PROXY: u16 = port::PROXY.number;
/// The port for traffic between the peers of IPFS Cluster.
pub(crate) const PEERS: u16 = port::PEERS.number;
/// The port for Prometheus.
pub(crate) const METRICS: u16 = port::CLUSTER_METRICS.number;

/// Label of identities: the ordinal of the peer's pod.
pub(crate) const PEER: &str = "temporal-stack.dev/peer";
/// Label of pods: whether they receive clients. A peer that should leave gets no new ones.
pub(crate) const SERVES: &str = "temporal-stack.dev/serves";
/// Label of volume claims: whether the peer has left gracefully.
pub(crate) const LEFT: &str = "temporal-stack.dev/left";
/// Annotation of shared secrets: the network that they were created for.
pub(crate) const NETWORK: &str = "temporal-stack.dev/network";

/// The key of the secret that peers of IPFS Cluster need to communicate.
pub(crate) const CLUSTER_SECRET: &str = "cluster-secret";
/// The key of the secret that Kubos of a private network need to communicate.
pub(crate) const SWARM_KEY: &str = "swarm-key";

/// The name of the pin of the verification, which distinguishes it from those of users.
pub(crate) const PROBE: &str = "temporal-stack-verification";
/// The key of its metadata with the time and the subject of the latest proof.
pub(crate) const PROVEN: &str = "temporal-stack.dev/proven";

/// The Secret with the configuration of each peer, and the addresses of the others.
pub(crate) fn peers(names: &Names) -> String {
    names.child("peers")
}

/// The Service for Kubo's gateway.
pub(crate) fn gateway(names: &Names) -> String {
    names.child("gateway")
}

/// The Secret with the keys of one peer.
pub(crate) fn identity(names: &Names, ordinal: i32) -> String {
    names.child(format_args!("identity-{ordinal}"))
}

/// The n-th Secret that all peers share.
pub(crate) fn shared(names: &Names, number: u32) -> String {
    names.child(format_args!("secret-{number}"))
}

/// The Service for the swarm port of the Kubo with this ordinal.
pub(crate) fn swarm(names: &Names, ordinal: i32) -> String {
    names.child(format_args!("swarm-{ordinal}"))
}

/// The ConfigMap that an object reads.
pub(crate) fn config_map(object: &IpfsCluster) -> &str {
    object.spec.config.config_map.as_deref().unwrap_or(CONFIG)
}

/// The labels by which pods are found.
pub(crate) fn selector(names: &Names) -> BTreeMap<String, String> {
    workload::selector(COMPONENT, COMPONENT, &names.object)
}

/// A network, as in the annotation [`NETWORK`].
pub(crate) fn network_name(network: Network) -> &'static str {
    match network {
        Network::Public => "public",
        Network::Private => "private",
    }
}
