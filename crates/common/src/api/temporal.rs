use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Access, BindingReference, ConfigSource, DeletionPolicy, Exposure, PodSettings, Resources, Rollout, Storage,
};
use crate::impl_status;

/// Temporal, an IPFS pinning service: its API, its queue workers and its key server. It is Ready when the API answers, every
/// queue has a consumer, the key server answers and the tables exist.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "temporal-stack.dev",
    version = "v1alpha1",
    kind = "Temporal",
    namespaced,
    status = "TemporalStatus",
    category = "temporal-stack",
    shortname = "tmprl",
    derive = "PartialEq",
    doc = "Temporal, an IPFS pinning service: its API, its queue workers and its key server. It is Ready when the API answers, every queue has a consumer, the key server answers and the tables exist.",
    validation = ("self.metadata.name.size() <= 35", "metadata.name: at most 35 characters, because the names of Services and pods are made from it"),
    validation = ("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')", "metadata.name: must be a DNS label that starts with a letter, because Services are named after it"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "Image", type_ = "string", json_path = ".status.image", priority = 1),
    printcolumn(name = "Binding", type_ = "string", json_path = ".status.binding.name"),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct TemporalSpec {
    /// The `PostgresDatabase` in the same namespace that holds the tables; the database must be called `temporal`, because the
    /// program has that name built in. Absent: the server that the ConfigMap names (`DATABASE_URL`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Reference>,
    /// The `MessageQueue` in the same namespace that Temporal uses. Absent: the broker that the ConfigMap names (`RABBITMQ_URL`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Reference>,
    /// The `IpfsCluster` in the same namespace that stores the files. Absent: the servers that the ConfigMap names
    /// (`IPFS_API_CONNECTION_HOST`, `IPFS_CLUSTER_API_CONNECTION_HOST`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipfs: Option<Reference>,
    /// The user's configuration: variables of Temporal's environment. Absent: the ConfigMap `temporal-config`, if it exists.
    /// Fields of this spec take precedence over it.
    #[serde(default)]
    pub config: ConfigSource,
    /// The image of Temporal. Absent: the controller's default (`RELATED_IMAGE_TEMPORAL` in its environment). A changed image
    /// migrates the tables first; the pods keep the previous image until the migration has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Whether the bridge runs beside Temporal, which lets a program of 2020 use current versions of Kubo and IPFS Cluster. `Off`
    /// is for your own Kubo up to 0.27 and IPFS Cluster up to 0.14.
    #[serde(default)]
    pub bridge: Bridge,
    /// The HTTP API.
    #[serde(default)]
    pub api: TemporalApi,
    /// The queue workers.
    #[serde(default)]
    pub workers: Workers,
    /// The key server.
    #[serde(default)]
    pub krab: Krab,
    /// Compute resources of each container beside the programs: those that wait for servers, the bridge, and the one that probes a
    /// program. Absent: the program's limits of CPU and local storage, requests of up to 5m CPU and 16Mi memory, memory limits of
    /// up to 64Mi.
    #[serde(default)]
    pub helper_resources: Resources,
    /// Who may connect to the pods: clients, operators and monitoring.
    #[serde(default)]
    pub access: Access,
    /// Settings of the pods: where they run, and as whom.
    #[serde(default)]
    pub pods: PodSettings,
    /// The certificate of the API, which serves TLS if the ConfigMap has both `API_CONNECTION_CERTIFICATES_CERTPATH` and
    /// `…_KEYPATH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TemporalTls>,
    /// An Ingress for the API. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<TemporalIngress>,
    /// Accounts with administrator rights, which are created if they do not exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub admins: Vec<Admin>,
    /// Whether the key server's volume, and the keys without which it cannot be opened, are kept when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// When pods are restarted if only the controller is newer.
    #[serde(default)]
    pub rollout: Rollout,
    /// Stops all pods and keeps everything else: volumes, Secrets, Services and the binding. `false` starts them again. While it is
    /// `true`, the condition `Suspended` takes the place of `Ready`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// Another object of the stack, in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Reference {
    /// Its name.
    #[x_kube(validation = ("self.size() >= 1", "must not be empty"))]
    pub name: String,
}

/// Whether the bridge runs beside Temporal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Bridge {
    /// Beside the API and the workers that use IPFS.
    #[default]
    On,
    /// Nowhere: Temporal connects to Kubo and IPFS Cluster itself.
    Off,
}

/// The HTTP API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalApi {
    /// Number of pods.
    #[serde(default = "one_replica")]
    #[x_kube(validation = ("self >= 1 && self <= 100", "must be 1 to 100"))]
    pub replicas: i32,
    /// Compute resources of each pod. An upload is held in memory as a whole, so the limit bounds the largest file. Absent:
    /// requests of 20m CPU and 64Mi memory, a memory limit of 2Gi. The Jobs that create tables and accounts have the same
    /// resources; absent: requests of 5m CPU and 32Mi memory, a memory limit of 256Mi.
    #[serde(default)]
    pub resources: Resources,
    /// Its Service. Absent: reachable within the cluster.
    #[serde(default)]
    pub service: Exposure,
    /// How long a terminating pod keeps serving, in seconds: the program drops running requests when it receives SIGTERM.
    #[serde(default = "TemporalApi::default_drain")]
    #[x_kube(validation = ("self >= 1 && self <= 3600", "must be 1 to 3600"))]
    pub drain_seconds: i64,
}

impl TemporalApi {
    fn default_drain() -> i64 {
        15
    }
}

impl Default for TemporalApi {
    fn default() -> Self {
        Self {
            replicas: 1,
            resources: Resources::default(),
            service: Exposure::default(),
            drain_seconds: Self::default_drain(),
        }
    }
}

/// The queue workers, by their queues.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workers {
    /// Pins what was uploaded: `queue ipfs cluster`.
    #[serde(default)]
    pub cluster: Worker,
    /// Pins in private networks: `queue ipfs pin`.
    #[serde(default)]
    pub pin: Worker,
    /// Creates IPFS keys in the key server: `queue ipfs key-creation`.
    #[serde(default)]
    pub key_creation: Worker,
    /// Publishes IPNS records: `queue ipfs ipns-entry`.
    #[serde(default)]
    pub ipns_entry: Worker,
    /// Sends e-mail: `queue email-send`.
    #[serde(default)]
    pub email_send: Worker,
}

/// The workers of one queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Worker {
    /// Number of pods. With 0, messages stay in the queue.
    #[serde(default = "one_replica")]
    #[x_kube(validation = ("self >= 0 && self <= 100", "must be 0 to 100"))]
    pub replicas: i32,
    /// Compute resources of each pod. Absent: requests of 5m CPU and 32Mi memory, a memory limit of 256Mi.
    #[serde(default)]
    pub resources: Resources,
}

impl Default for Worker {
    fn default() -> Self {
        Self { replicas: 1, resources: Resources::default() }
    }
}

fn one_replica() -> i32 {
    1
}

/// The key server: one pod, because only one process at a time can open its store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Krab {
    /// The volume for the keys.
    #[serde(default = "Krab::default_storage")]
    pub storage: Storage,
    /// Compute resources. Absent: requests of 5m CPU and 32Mi memory, a memory limit of 256Mi.
    #[serde(default)]
    pub resources: Resources,
}

impl Krab {
    fn default_storage() -> Storage {
        Storage {
            size: k8s_openapi::apimachinery::pkg::api::resource::Quantity("1Gi".to_owned()),
            ..Storage::default()
        }
    }
}

impl Default for Krab {
    fn default() -> Self {
        Self { storage: Self::default_storage(), resources: Resources::default() }
    }
}

/// The certificate of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalTls {
    /// A Secret of the type `kubernetes.io/tls`, as cert-manager creates them. Its key should be an RSA key: with TLS 1.2 the API
    /// offers no other cipher. Absent: a certificate that the controller issues, whose CA is in the binding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// Additional host names of the API, for the certificate that the controller issues.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub names: Vec<String>,
}

/// An Ingress for the API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalIngress {
    /// The host name that clients use.
    #[x_kube(validation = ("self.size() >= 1", "must not be empty"))]
    pub host: String,
    /// The class of the Ingress. Absent: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    /// The Secret with the certificate of the host. Absent: the Ingress has no TLS of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_secret_name: Option<String>,
    /// Annotations of the Ingress, for instance for its controller.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An account with administrator rights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Admin {
    /// A Secret with the keys `username`, `password` and `email`. The account is created once, with that password; to change it
    /// later, use Temporal's own API.
    #[x_kube(validation = ("self.size() >= 1", "must not be empty"))]
    pub secret_name: String,
}

/// The observed state of Temporal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling` and `Stalled` as kstatus defines them; `DependenciesReady` reports whether the database, the queue
    /// and the IPFS cluster are Ready, `QueuesServed` whether every queue has its consumers, `Migrated` whether the tables match
    /// the image, `AdminsReady` whether the accounts of `spec.admins` are administrators, `ConfigHonoured` which settings of the
    /// user were changed or refused. Each message names the remedy.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// UIDs of the volume claims with which the object was Ready, by name. A claim of the same name with another UID is reported
    /// in the condition `VolumesKept`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, String>,
    /// The Secret that a client needs to use the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingReference>,
    /// Where the API answers within the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The image that last migrated the tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

impl_status!(TemporalStatus);
