use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{Access, BindingReference, DeletionPolicy, ExternalSecret, PodSettings, Resources, Rollout, Storage};
use crate::impl_status;

/// A message queue with a virtual host and a login for one application. It is Ready when a message that the controller published
/// as the application has been consumed again.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "temporal-stack.dev",
    version = "v1alpha1",
    kind = "MessageQueue",
    namespaced,
    status = "MessageQueueStatus",
    category = "temporal-stack",
    shortname = "msgq",
    derive = "PartialEq",
    doc = "A message queue with a virtual host and a login for one application. It is Ready when a message that the controller published as the application has been consumed again.",
    validation = ("self.metadata.name.size() <= 35", "metadata.name: at most 35 characters, because the names of Services and pods are made from it"),
    validation = ("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')", "metadata.name: must be a DNS label that starts with a letter, because Services are named after it"),
    validation = ("!has(self.spec.suspend) || !self.spec.suspend || !has(self.spec.provider) || !has(self.spec.provider.external)", "spec.suspend has no effect with provider external: nothing runs here that could stop; remove it"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Quorum", type_ = "string", json_path = ".status.conditions[?(@.type==\"QuorumSafe\")].status"),
    printcolumn(name = "Nodes", type_ = "integer", json_path = ".status.nodes"),
    printcolumn(name = "Binding", type_ = "string", json_path = ".status.binding.name"),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct MessageQueueSpec {
    /// Where the message queue runs: exactly one of the providers. Absent: `rabbitmq`, nodes that this controller runs.
    #[serde(default)]
    pub provider: MessageQueueProvider,
    /// Name of the application's virtual host. Absent: the name of this object. A later change creates the new virtual host and
    /// keeps the old one with its contents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^[!-~]{1,100}$') && !(self in ['/', '.', '..'])", "must have 1 to 100 ASCII characters without spaces, and must not be /, . or .."))]
    pub virtual_host: Option<String>,
    /// Who may connect to the pods: clients, operators and monitoring.
    #[serde(default)]
    pub access: Access,
    /// Settings of the pods: where they run, and as whom.
    #[serde(default)]
    pub pods: PodSettings,
    /// Whether the volumes and their Secrets are kept when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// When nodes are restarted if only the controller is newer.
    #[serde(default)]
    pub rollout: Rollout,
    /// Stops all pods and keeps everything else: volumes, Secrets, Services and the binding. `false` starts them again. While it is
    /// `true`, the condition `Suspended` takes the place of `Ready`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// Where the message queue runs: exactly one of these, or none for the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!(has(self.rabbitmq) && has(self.external))", "provider: name one of rabbitmq and external, not both"))]
pub struct MessageQueueProvider {
    /// A RabbitMQ cluster that this controller runs: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rabbitmq: Option<RabbitmqProvider>,
    /// A broker that runs elsewhere. The Secret has the key `uri` (`amqp://user:password@host:5672/vhost`), or the keys
    /// `host`, `port` (5672 if absent), `username`, `password` and `virtual-host` (`/` if absent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalSecret>,
}

/// A RabbitMQ cluster that this controller runs: a `StatefulSet` with a volume for each node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RabbitmqProvider {
    /// Number of nodes: 1, 3 or 5. A single node has no second copy of a message; with three, one can fail without loss or
    /// interruption. Nodes that join get members of every quorum queue; before a node leaves, its queues are moved to the others.
    #[serde(default = "RabbitmqProvider::default_replicas")]
    #[x_kube(validation = ("self in [1, 3, 5]", "must be 1, 3 or 5: a cluster needs a majority, and an even number adds none"))]
    pub replicas: i32,
    /// The volume of each node.
    #[serde(default)]
    pub storage: Storage,
    /// The container image, RabbitMQ 3.13 to 4.x. Absent: the controller's default (`RELATED_IMAGE_RABBITMQ` in its environment).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Compute resources of each node. Absent: requests of 100m CPU and 256Mi memory, a memory limit of 1Gi. Publishers are
    /// blocked at 60 % of the limit.
    #[serde(default)]
    pub resources: Resources,
    /// Additional lines for `rabbitmq.conf`, for instance `channel_max = 1000`. Settings that the controller manages (listeners,
    /// clustering, users, log) are refused. A change restarts the nodes, one at a time.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub additional_config: String,
}

impl RabbitmqProvider {
    fn default_replicas() -> i32 {
        1
    }
}

impl Default for RabbitmqProvider {
    fn default() -> Self {
        Self {
            replicas: Self::default_replicas(),
            storage: Storage::default(),
            image: None,
            resources: Resources::default(),
            additional_config: String::new(),
        }
    }
}

/// The observed state of the message queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageQueueStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling` and `Stalled` as kstatus defines them; `QuorumSafe` reports whether one more node can fail without
    /// loss or interruption; `ConfigHonoured` whether the user's cookie is used. Each message names the remedy.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// UIDs of the volume claims with which the object was Ready, by name. A claim of the same name with another UID is reported
    /// in the condition `VolumesKept`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, String>,
    /// The Secret that an application needs to use the message queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingReference>,
    /// The virtual host that the binding leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_host: Option<String>,
    /// The login that the binding holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Number of nodes that are members of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<i32>,
    /// Version of the broker, for instance `4.0.5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// The value of the annotation `temporal-stack.dev/rotate` for which the binding's login was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<String>,
}

impl_status!(MessageQueueStatus);
