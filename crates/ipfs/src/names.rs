//! What things are called in the cluster: all after the object, and after pods.

use kube::ResourceExt;
use temporal_stack_common::{api::IpfsCluster, volume::claim_name};

/// The field of the spec with the resources of the containers.
pub(crate) const RESOURCES: &str = "spec.provider.kubo.resources";
/// The same of IPFS Cluster's containers.
pub(crate) const CLUSTER_RESOURCES: &str = "spec.provider.kubo.clusterResources";
/// The port of Kubo's RPC.
pub(crate) const RPC: u16 = 5001;
/// The port on which Kubos speak with each other.
pub(crate) const SWARM: u16 = 4001;
/// The port of Kubo's gateway.
pub(crate) const GATEWAY: u16 = 8080;
/// The port of IPFS Cluster's REST API.
pub(crate) const REST: u16 = 9094;
/// The port of IPFS Cluster's proxy of Kubo's RPC.
pub(crate) const PROXY: u16 = 9095;
/// The port on which peers speak with each other.
pub(crate) const PEERS: u16 = 9096;
/// The port for Prometheus.
pub(crate) const METRICS: u16 = 8888;

/// What the pin of the verification is called, so that it can be told from those of users.
pub(crate) const PROBE: &str = "temporal-stack-verification";
/// The key of its metadata that says when it was written, and for what.
pub(crate) const PROVEN: &str = "temporal-stack.dev/proven";

/// The most peers that a cluster may have: every peer sees every other.
pub(crate) const MOST_PEERS: i32 = 32;

/// The `StatefulSet` and the Service for clients.
pub(crate) fn set(object: &IpfsCluster) -> String {
    format!("{}-ipfscluster", object.name_any())
}

/// The headless Service that gives pods their names.
pub(crate) fn pods(object: &IpfsCluster) -> String {
    format!("{}-pods", set(object))
}

/// The pod with this ordinal.
pub(crate) fn pod(object: &IpfsCluster, ordinal: i32) -> String {
    format!("{}-{ordinal}", set(object))
}

/// The host name of the pod with this ordinal.
pub(crate) fn host(object: &IpfsCluster, ordinal: i32) -> String {
    format!("{}.{}", pod(object, ordinal), suffix(object, &pods(object)))
}

/// The host name of a Service. Without the cluster's domain, which the resolver's search path adds, so that any will do.
pub(crate) fn suffix(object: &IpfsCluster, service: &str) -> String {
    format!("{service}.{}.svc", object.namespace().unwrap_or_default())
}

/// The volume claim of the pod with this ordinal.
pub(crate) fn volume(object: &IpfsCluster, ordinal: i32) -> String {
    claim_name(&pod(object, ordinal))
}

/// The Secret with the keys of one peer.
pub(crate) fn identity(object: &IpfsCluster, ordinal: i32) -> String {
    format!("{}-identity-{ordinal}", set(object))
}

/// The n-th Secret that all peers share.
pub(crate) fn shared(object: &IpfsCluster, number: u32) -> String {
    format!("{}-secret-{number}", set(object))
}

/// The Secret that tells each peer who it is and who the others are.
pub(crate) fn peers(object: &IpfsCluster) -> String {
    format!("{}-peers", set(object))
}

/// The Service for Kubo's gateway.
pub(crate) fn gateway(object: &IpfsCluster) -> String {
    format!("{}-gateway", set(object))
}

/// The Service for the swarm port of the Kubo with this ordinal.
pub(crate) fn swarm(object: &IpfsCluster, ordinal: i32) -> String {
    format!("{}-swarm-{ordinal}", set(object))
}

/// The Secret that applications read.
pub(crate) fn binding(object: &IpfsCluster) -> String {
    format!("{}-binding", set(object))
}
