use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::NetworkPolicyPeer,
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::Condition},
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Access, BindingReference, ConfigSource, DeletionPolicy, ExternalSecret, PodSettings, Resources, Rollout, Storage,
};
use crate::impl_status;

/// A cluster of IPFS peers, each with Kubo and IPFS Cluster, that share a set of pins. It is Ready when a CID that the controller
/// added through the Service has been pinned on its peers and read back from one of them.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "temporal-stack.dev",
    version = "v1alpha1",
    kind = "IpfsCluster",
    namespaced,
    status = "IpfsClusterStatus",
    category = "temporal-stack",
    shortname = "ipfs",
    derive = "PartialEq",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    doc = "A cluster of IPFS peers, each with Kubo and IPFS Cluster, that share a set of pins. It is Ready when a CID that the controller added through the Service has been pinned on its peers and read back from one of them.",
    validation = ("self.metadata.name.size() <= 35", "metadata.name: at most 35 characters, because the names of Services and pods are made from it"),
    validation = ("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')", "metadata.name: must be a DNS label that starts with a letter, because Services are named after it"),
    validation = ("!has(self.spec.suspend) || !self.spec.suspend || !has(self.spec.provider) || !has(self.spec.provider.external)", "spec.suspend has no effect with provider external: nothing runs here that could stop; remove it"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Peers", type_ = "integer", json_path = ".status.replicas"),
    printcolumn(name = "Pins", type_ = "integer", json_path = ".status.pins.total"),
    printcolumn(name = "Healthy", type_ = "string", json_path = ".status.conditions[?(@.type==\"PinsHealthy\")].status"),
    printcolumn(name = "Binding", type_ = "string", json_path = ".status.binding.name"),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct IpfsClusterSpec {
    /// Number of peers. A peer leaves only when every pin has its replication minimum in live copies on the remaining peers (for
    /// -1: on all of them). Not used with an external cluster.
    #[serde(default = "IpfsClusterSpec::default_replicas")]
    #[x_kube(validation = ("self >= 1 && self <= 32", "must be 1 to 32: every peer sees every other"))]
    pub replicas: i32,
    /// Whether the Kubos join the public IPFS network, or form a private network with a swarm key. A later change needs a full
    /// restart, which a new value of the annotation `temporal-stack.dev/full-restart` permits.
    #[serde(default)]
    pub network: Network,
    /// Where the peers run: exactly one of the providers. Absent: `kubo`, peers that this controller runs.
    #[serde(default)]
    pub provider: IpfsClusterProvider,
    /// The ConfigMap with settings of IPFS Cluster. Fields of this spec take precedence over it.
    #[serde(default)]
    pub config: ConfigSource,
    /// How many copies a pin has if the request does not set a number. Absent: the setting of the ConfigMap, else -1, a copy on
    /// every peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<Replication>,
    /// Who may connect to the pods: clients, operators and monitoring.
    #[serde(default)]
    pub access: Access,
    /// Settings of the pods: where they run, and as whom.
    #[serde(default)]
    pub pods: PodSettings,
    /// Whether the volumes, identities and secrets are kept when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// When peers are restarted if only the controller is newer.
    #[serde(default)]
    pub rollout: Rollout,
    /// Stops all pods and keeps everything else: volumes, Secrets, Services and the binding. `false` starts them again. While it is
    /// `true`, the condition `Suspended` takes the place of `Ready`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

impl IpfsClusterSpec {
    fn default_replicas() -> i32 {
        1
    }
}

impl Default for IpfsClusterSpec {
    fn default() -> Self {
        Self {
            replicas: Self::default_replicas(),
            network: Network::default(),
            provider: IpfsClusterProvider::default(),
            config: ConfigSource::default(),
            replication: None,
            access: Access::default(),
            pods: PodSettings::default(),
            deletion_policy: DeletionPolicy::default(),
            rollout: Rollout::default(),
            suspend: false,
        }
    }
}

/// The network that the Kubos join.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// The public IPFS network: everyone who knows the CID of pinned content can find it.
    #[default]
    Public,
    /// A network of these peers only: a swarm key excludes all others.
    Private,
}

/// How many copies a pin has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("(self.min == -1 && self.max == -1) || (self.min >= 1 && self.max >= self.min)", "replication: min and max are both -1 (a copy on every peer), or at least 1 with min not above max"))]
pub struct Replication {
    /// The minimum number of copies; -1: a copy on every peer.
    pub min: i32,
    /// The maximum number of copies; -1: a copy on every peer.
    pub max: i32,
}

/// Where the peers run: exactly one of these, or none for the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!(has(self.kubo) && has(self.external))", "provider: name one of kubo and external, not both"))]
pub struct IpfsClusterProvider {
    /// Peers that this controller runs: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubo: Option<KuboProvider>,
    /// A cluster that runs elsewhere. The Secret has the keys `host` and `port` (5001 if absent) of Kubo's RPC, and
    /// `cluster-host` and `cluster-port` (9094 if absent) of IPFS Cluster's REST API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalSecret>,
}

/// Peers that this controller runs: a `StatefulSet`, each pod with Kubo, IPFS Cluster (CRDT) and a volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KuboProvider {
    /// The volume of each peer, for Kubo's repository and IPFS Cluster's state. Kubo's `Datastore.StorageMax` is 90 % of its size
    /// unless `kuboConfig` sets it.
    #[serde(default)]
    pub storage: Storage,
    /// The image of Kubo. Absent: the controller's default (`RELATED_IMAGE_KUBO` in its environment).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The image of IPFS Cluster. Absent: the controller's default (`RELATED_IMAGE_IPFS_CLUSTER` in its environment).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_image: Option<String>,
    /// Compute resources of each Kubo. Absent: requests of 100m CPU and 256Mi memory, a memory limit of 1Gi.
    #[serde(default)]
    pub resources: Resources,
    /// Compute resources of each IPFS Cluster. Absent: requests of 50m CPU and 96Mi memory, a memory limit of 512Mi.
    #[serde(default)]
    pub cluster_resources: Resources,
    /// Whether Kubo offers `pubsub`, which old clients of Temporal use.
    #[serde(default)]
    pub pubsub: bool,
    /// Whether Kubo deletes unpinned content when its repository approaches `Datastore.StorageMax`.
    #[serde(default)]
    pub garbage_collection: bool,
    /// Additional configuration of Kubo, as in its file `config`, for instance `{Datastore: {StorageMax: 50GB}}`. It is merged
    /// into the controller's configuration; settings that would break a peer (identity, addresses of the RPC, peering, isolation
    /// of a private network) are refused. A change restarts the peers, one at a time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "any_object")]
    pub kubo_config: BTreeMap<String, Value>,
    /// Additional settings of IPFS Cluster, by the names of its environment variables, for instance
    /// `{CLUSTER_IPFSHTTP_PINTIMEOUT: 10m}`. They take precedence over the ConfigMap. A change restarts the peers, one at a time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cluster_config: BTreeMap<String, String>,
    /// Who may use Kubo's RPC and IPFS Cluster's REST API, in addition to the peers, the controller and `spec.access.clients`:
    /// neither asks for a password. Absent: no one. It does not open the metrics port. The network of the cluster must enforce
    /// `NetworkPolicy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<NetworkPolicyPeer>,
    /// A Service for Kubo's gateway, through which everyone can read. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Exposure>,
    /// A Service for each Kubo's swarm port, so that other nodes can connect to it. Absent: none; peers still open connections.
    /// Peers announce the addresses of their pods: list those of a `NodePort` or `LoadBalancer` in `kuboConfig`, in
    /// `Addresses.AppendAnnounce`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swarm: Option<Exposure>,
    /// Whether IPFS Cluster's proxy of Kubo's RPC can be reached on port 9095 of the clients' Service.
    #[serde(default)]
    pub proxy: bool,
}

/// How a Service is exposed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exposure {
    /// The type of the Service.
    #[serde(default, rename = "type")]
    pub type_: ServiceType,
    /// Annotations of the Service, for instance for its load balancer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The type of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// Within the cluster.
    #[default]
    ClusterIP,
    /// On a port of every node.
    NodePort,
    /// Through a load balancer.
    LoadBalancer,
}

impl ServiceType {
    /// As it stands in a Service.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// An object whose fields another program knows.
fn any_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// The observed state of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IpfsClusterStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling` and `Stalled` as kstatus defines them; `PeersConnected` reports whether every peer sees every
    /// other, `PinsHealthy` whether every pin has its copies, `StorageAvailable` whether the volumes have free space,
    /// `ConfigHonoured` which settings of the user were changed or refused. Each message names the remedy.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// UIDs of the volume claims with which the object was Ready, by name. A claim of the same name with another UID is reported
    /// in the condition `VolumesKept`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, String>,
    /// The Secret that an application needs to use the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingReference>,
    /// Number of peers, including those that are leaving.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Label selector of the pods, for `kubectl scale` and autoscalers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The peers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["pod"]))]
    pub peers: Vec<Peer>,
    /// The pins, rounded above 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pins: Option<Pins>,
    /// Total size of the repositories, rounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_size: Option<Quantity>,
    /// Free space of the peer that has least, rounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_space: Option<Quantity>,
}

/// A peer of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Its pod.
    pub pod: String,
    /// Its peer ID in IPFS Cluster.
    pub id: String,
    /// Its Kubo's peer ID.
    pub kubo_id: String,
    /// Version of IPFS Cluster, for instance `1.1.6`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version of Kubo, for instance `0.42.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubo_version: Option<String>,
    /// The protocol version between peers; all need the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpc_protocol: Option<String>,
    /// Whether it and its Kubo answer.
    pub up: bool,
}

/// Number of pins, by their state on the peers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pins {
    /// All pins of the cluster.
    pub total: i64,
    /// Copies that are queued.
    pub queued: i64,
    /// Copies that are being fetched.
    pub pinning: i64,
    /// Copies that could not be created or removed, or were lost.
    pub error: i64,
}

impl_status!(IpfsClusterStatus);
