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
    Access, BindingReference, ConfigSource, DeletionPolicy, ExternalSecret, Resources, Rollout, Status, Storage,
};

/// Peers of IPFS Cluster with a Kubo each, which keep pins together. It is Ready when a CID that the controller added through
/// the Service was pinned where it should be and read back from a peer.
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
    doc = "Peers of IPFS Cluster with a Kubo each, which keep pins together. It is Ready when a CID that the controller added through the Service was pinned where it should be and read back from a peer.",
    validation = ("self.metadata.name.size() <= 35", "metadata.name: at most 35 characters, because the names of Services and pods are made from it"),
    validation = ("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')", "metadata.name: must be a DNS label that starts with a letter, because Services are named after it"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Peers", type_ = "integer", json_path = ".status.replicas"),
    printcolumn(name = "Pins", type_ = "integer", json_path = ".status.pins.total"),
    printcolumn(name = "Healthy", type_ = "string", json_path = ".status.conditions[?(@.type==\"PinsHealthy\")].status"),
    printcolumn(name = "Binding", type_ = "string", json_path = ".status.binding.name"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct IpfsClusterSpec {
    /// How many peers. Before one leaves, every pin has its replication minimum in live copies on those that stay (for
    /// -1: on all of them); until then it does not go. Not used with somebody else's cluster.
    #[serde(default = "IpfsClusterSpec::default_replicas")]
    #[x_kube(validation = ("self >= 1 && self <= 32", "must be 1 to 32: every peer sees every other"))]
    pub replicas: i32,
    /// Whether the Kubos take part in the public IPFS network, or form a network of their own with a swarm key and no
    /// outside help. A later change takes one full stop and start, which a new value of the annotation
    /// `temporal-stack.dev/full-restart` permits.
    #[serde(default)]
    pub network: Network,
    /// Where the peers run: exactly one of the providers. Absent: `kubo`, peers made by this controller.
    #[serde(default)]
    pub provider: IpfsClusterProvider,
    /// Where the user's settings of IPFS Cluster stand. Fields of this spec beat what stands there.
    #[serde(default)]
    pub config: ConfigSource,
    /// How many copies a pin has when whoever makes it does not say. Absent: what the ConfigMap says, else -1, a copy on every
    /// peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<Replication>,
    /// Who may connect to the pods, and who may collect metrics.
    #[serde(default)]
    pub access: Access,
    /// What becomes of the volumes, identities and secrets when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// When peers are restarted for a newer controller's sake.
    #[serde(default)]
    pub rollout: Rollout,
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
            deletion_policy: DeletionPolicy::default(),
            rollout: Rollout::default(),
        }
    }
}

/// Which network the Kubos take part in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// The public IPFS network: what is pinned can be found by everybody who knows its CID.
    #[default]
    Public,
    /// A network of these peers alone: a swarm key keeps all others out.
    Private,
}

/// How many copies a pin has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("(self.min == -1 && self.max == -1) || (self.min >= 1 && self.max >= self.min)", "replication: min and max are both -1 (a copy on every peer), or at least 1 with min not above max"))]
pub struct Replication {
    /// The fewest copies; -1: a copy on every peer.
    pub min: i32,
    /// The most copies that are made; -1: a copy on every peer.
    pub max: i32,
}

/// Where the peers run: exactly one of these, or none for the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!(has(self.kubo) && has(self.external))", "provider: name one of kubo and external, not both"))]
pub struct IpfsClusterProvider {
    /// Peers that this controller makes and keeps: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubo: Option<KuboProvider>,
    /// A cluster that somebody else runs. The Secret has the keys `host` and `port` (5001 if absent) of Kubo's RPC, and
    /// `cluster-host` and `cluster-port` (9094 if absent) of IPFS Cluster's REST API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalSecret>,
}

/// Peers made by this controller: a `StatefulSet`, each pod with Kubo, IPFS Cluster (CRDT) and a volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KuboProvider {
    /// The volume of each peer, for Kubo's repository and IPFS Cluster's state. Kubo's `Datastore.StorageMax` is nine tenths
    /// of its size unless `kuboConfig` says otherwise.
    #[serde(default)]
    pub storage: Storage,
    /// The image of Kubo. Absent: the controller's default (its environment's `RELATED_IMAGE_KUBO`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The image of IPFS Cluster. Absent: the controller's default (its environment's `RELATED_IMAGE_IPFS_CLUSTER`).
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
    /// Whether Kubo deletes what is not pinned when its repository is nearly as large as `Datastore.StorageMax`.
    #[serde(default)]
    pub garbage_collection: bool,
    /// More of Kubo's configuration, as in its file `config`, for instance `{Datastore: {StorageMax: 50GB}}`. It is merged
    /// into what the controller writes; what breaks that (identity, addresses of the RPC, peering, a private network's isolation)
    /// is refused. A change restarts the peers, one at a time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "any_object")]
    pub kubo_config: BTreeMap<String, Value>,
    /// More settings of IPFS Cluster, by the names of its environment, for instance `{CLUSTER_IPFSHTTP_PINTIMEOUT: 10m}`. They
    /// beat the ConfigMap's. A change restarts the peers, one at a time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cluster_config: BTreeMap<String, String>,
    /// Who may use Kubo's RPC and IPFS Cluster's REST API, beside the peers, the controller and `spec.access.clients`: neither
    /// asks for a password. Absent: nobody. Metrics are not opened by it. The cluster's network must enforce `NetworkPolicy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<NetworkPolicyPeer>,
    /// A Service for Kubo's gateway, through which everybody reads. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Exposure>,
    /// A Service for each Kubo's swarm port, so that others can connect to it. Absent: none; peers still connect outwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swarm: Option<Exposure>,
    /// Whether IPFS Cluster's proxy of Kubo's RPC can be reached on port 9095 of the clients' Service.
    #[serde(default)]
    pub proxy: bool,
}

/// How a Service can be reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exposure {
    /// The type of the Service.
    #[serde(default, rename = "type")]
    pub type_: ServiceType,
    /// Annotations of the Service, as load balancers want them.
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

/// What is known of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IpfsClusterStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling` and `Stalled` as kstatus reads them; `PeersConnected` says whether every peer sees every other,
    /// `PinsHealthy` whether pins are where they should be, `StorageRoom` whether the volumes have room, `ConfigHonoured` what
    /// became of the user's configuration. Each message says what to do next.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The volume claims that the object has been Ready with, by name: their UIDs. A claim of the same name and another UID is
    /// reported in the condition `VolumesKept`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, String>,
    /// The Secret that an application needs to use the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingReference>,
    /// How many peers there are, those that are leaving included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// The labels of the pods, as `kubectl scale` and autoscalers want them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The peers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["pod"]))]
    pub peers: Vec<Peer>,
    /// The pins, rounded above 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pins: Option<Pins>,
    /// How large the repositories are together, rounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_size: Option<Quantity>,
    /// How much room is left for the repository of the peer that has least, rounded.
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
    /// The protocol in which peers speak with each other; all need the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpc_protocol: Option<String>,
    /// Whether it answers, with its Kubo.
    pub up: bool,
}

/// How many pins there are, by their state on the peers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pins {
    /// All pins of the cluster.
    pub total: i64,
    /// Copies that wait for their turn.
    pub queued: i64,
    /// Copies that are being fetched.
    pub pinning: i64,
    /// Copies that could not be made or removed, or have gone.
    pub error: i64,
}

impl Status for IpfsClusterStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    fn report(&mut self, generation: Option<i64>, conditions: Vec<Condition>) {
        self.observed_generation = generation;
        self.conditions = conditions;
    }

    fn volumes(&self) -> BTreeMap<String, String> {
        self.volumes.clone()
    }

    fn record_volumes(&mut self, volumes: BTreeMap<String, String>) {
        self.volumes = volumes;
    }
}
