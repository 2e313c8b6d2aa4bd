use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Access, BindingReference, ConfigSource, DeletionPolicy, Exposure, Resources, Rollout, Status, Storage};

/// Temporal, an IPFS pinning service: its API, its queue workers and its key server. It is Ready when the API
/// answers, every queue has a consumer, the key server answers and the tables are there.
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
    doc = "Temporal, an IPFS pinning service: its API, its queue workers and its key server. It is Ready when the API answers, every queue has a consumer, the key server answers and the tables are there.",
    validation = ("self.metadata.name.size() <= 35", "metadata.name: at most 35 characters, because the names of Services and pods are made from it"),
    validation = ("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')", "metadata.name: must be a DNS label that starts with a letter, because Services are named after it"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "Image", type_ = "string", json_path = ".status.image", priority = 1),
    printcolumn(name = "Binding", type_ = "string", json_path = ".status.binding.name"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct TemporalSpec {
    /// The `PostgresDatabase` of the same namespace that it keeps its tables in; the database must be called `temporal`, because
    /// the program has that name built in. Absent: what the ConfigMap says (`DATABASE_URL`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Reference>,
    /// The `MessageQueue` of the same namespace that its parts speak through. Absent: what the ConfigMap says (`RABBITMQ_URL`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Reference>,
    /// The `IpfsCluster` of the same namespace that keeps the files. Absent: what the ConfigMap says
    /// (`IPFS_API_CONNECTION_HOST`, `IPFS_CLUSTER_API_CONNECTION_HOST`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipfs: Option<Reference>,
    /// Where the user's configuration stands: variables of Temporal's environment. Absent: the ConfigMap `temporal-config`, if
    /// there is one. Fields of this spec beat what stands there.
    #[serde(default)]
    pub config: ConfigSource,
    /// The image of Temporal. Absent: the controller's default (its environment's `RELATED_IMAGE_TEMPORAL`). Another one
    /// migrates the tables first; what runs goes on until that has worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Whether the bridge runs beside Temporal, which lets a program of 2020 speak with today's Kubo and IPFS Cluster. `Off`
    /// is for a Kubo up to 0.27 and an IPFS Cluster up to 0.14 of your own.
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
    /// Who may connect to the pods, and who may collect metrics.
    #[serde(default)]
    pub access: Access,
    /// How the API speaks TLS, which it does when the ConfigMap has both `API_CONNECTION_CERTIFICATES_CERTPATH` and
    /// `…_KEYPATH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TemporalTls>,
    /// An Ingress for the API. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<TemporalIngress>,
    /// Accounts with all rights, which are made when they are not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub admins: Vec<Admin>,
    /// What becomes of the key server's volume, and of the keys without which it cannot be opened, when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// When pods are restarted for a newer controller's sake.
    #[serde(default)]
    pub rollout: Rollout,
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
    /// Nowhere: Temporal speaks with Kubo and IPFS Cluster itself.
    Off,
}

/// The HTTP API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalApi {
    /// How many pods.
    #[serde(default = "one")]
    #[x_kube(validation = ("self >= 1 && self <= 100", "must be 1 to 100"))]
    pub replicas: i32,
    /// Compute resources of each. An upload is in memory as a whole, so the limit bounds the largest file. Absent: requests of
    /// 20m CPU and 64Mi memory, a memory limit of 2Gi. The runs that make tables and accounts have the same, with requests of
    /// 5m CPU and 32Mi memory and a memory limit of 256Mi where absent.
    #[serde(default)]
    pub resources: Resources,
    /// Its Service. Absent: within the cluster.
    #[serde(default)]
    pub service: Exposure,
    /// How long a pod that is to end goes on serving, in seconds: the program drops what is under way when it is told to end.
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
    /// Makes IPFS keys in the key server: `queue ipfs key-creation`.
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
    /// How many pods. With none, messages stay in the queue.
    #[serde(default = "one")]
    #[x_kube(validation = ("self >= 0 && self <= 100", "must be 0 to 100"))]
    pub replicas: i32,
    /// Compute resources of each. Absent: requests of 5m CPU and 32Mi memory, a memory limit of 256Mi.
    #[serde(default)]
    pub resources: Resources,
}

impl Default for Worker {
    fn default() -> Self {
        Self { replicas: 1, resources: Resources::default() }
    }
}

fn one() -> i32 {
    1
}

/// The key server: one pod, because its store has one user at a time.
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
    /// A Secret of the type `kubernetes.io/tls`, as cert-manager makes them. Its key should be an RSA one: with TLS 1.2 the API
    /// offers no other cipher. Absent: a certificate that the controller makes, whose CA is in the binding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// More names that clients call the API by, for the certificate that the controller makes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// An Ingress for the API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalIngress {
    /// The host that clients call.
    #[x_kube(validation = ("self.size() >= 1", "must not be empty"))]
    pub host: String,
    /// The class of the Ingress. Absent: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    /// The Secret with the certificate of the host. Absent: the Ingress has no TLS of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_secret_name: Option<String>,
    /// Annotations of the Ingress, as its controller wants them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An account with all rights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Admin {
    /// A Secret with the keys `username`, `password` and `email`. The account is made once, with that password; to change it
    /// later, use Temporal's own API.
    #[x_kube(validation = ("self.size() >= 1", "must not be empty"))]
    pub secret_name: String,
}

/// What is known of Temporal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling` and `Stalled` as kstatus reads them; `DependenciesReady` says whether the database, the queue and
    /// the IPFS cluster are, `QueuesServed` whether every queue has its consumers, `Migrated` whether the tables are those of the
    /// image, `AdminsMade` whether the accounts of `spec.admins` are there, `ConfigHonoured` what became of the user's
    /// configuration. Each message says what to do next.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The volume claims that the object has been Ready with, by name: their UIDs. A claim of the same name and another UID is
    /// reported in the condition `VolumesKept`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, String>,
    /// The Secret that a client needs to use the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingReference>,
    /// Where the API answers within the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The image whose migration the tables have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

impl Status for TemporalStatus {
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
