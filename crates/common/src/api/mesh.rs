use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MeshStatus, Rollout};

/// Linkerd around the stack: proxies beside the pods of a namespace, policies derived from the references of its components, and
/// the traffic between them. It is Ready when the proxy of every pod answers.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "temporal-stack.dev",
    version = "v1alpha1",
    kind = "Mesh",
    plural = "meshes",
    namespaced,
    status = "MeshStatus",
    category = "temporal-stack",
    derive = "PartialEq",
    doc = "Linkerd around the stack: proxies beside the pods of a namespace, policies derived from the references of its components, and the traffic between them. It is Ready when the proxy of every pod answers.",
    validation = ("self.metadata.name.size() <= 35", "metadata.name: at most 35 characters, because the names of policies are made from it"),
    validation = ("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')", "metadata.name: must be a DNS label that starts with a letter, because policies are named after it"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Injected", type_ = "string", json_path = ".status.injected"),
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.policy"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct MeshSpec {
    /// The components whose pods get a proxy, in the field `spec.pods.annotations` of each. Absent: the whole namespace, by an
    /// annotation of the namespace; a component stays out with `linkerd.io/inject: disabled` in its own `spec.pods.annotations`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["kind", "name"]))]
    pub components: Option<Vec<ComponentReference>>,
    /// When components are restarted whose pods lack a proxy, or have one with earlier settings. `Automatic` restarts one
    /// component after the other, each by its own safe order, and waits until it is Ready again. `WhenAsked` lists them in the
    /// condition `Injected`, with the command for each.
    #[serde(default)]
    pub rollout: Rollout,
    /// Whether connections are restricted to those that the components need, and those in `allow`. Absent: `Off`.
    #[serde(default)]
    pub policy: Policy,
    /// What a proxy does with connections to a port without a policy. It takes effect when a pod starts. Absent: the default of
    /// the Linkerd installation, which is usually to accept everything. With `deny` a pod that starts while Linkerd's control
    /// plane does not answer accepts nothing, probes of the kubelet included, until it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_inbound_policy: Option<DefaultInboundPolicy>,
    /// Who else may connect, at most 64: users of the API, readers of the gateway, Prometheus.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub allow: Vec<Allowed>,
    /// Whether calls to IPFS have timeouts, and idempotent ones are repeated on failure, by `HTTPRoute` objects. Absent: `Off`.
    #[serde(default = "Switch::off")]
    pub routes: Switch,
    /// Whether the controller reads the metrics of the proxies, for `status.traffic`, for the metrics of this controller, and for
    /// the calculation of what `Enforce` would deny. Absent: `On`.
    #[serde(default = "Switch::on")]
    pub traffic: Switch,
}

/// A kind of component with pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ComponentKind {
    /// A database.
    #[default]
    PostgresDatabase,
    /// A message queue.
    MessageQueue,
    /// An IPFS cluster.
    IpfsCluster,
    /// An object storage.
    ObjectStorage,
    /// Temporal.
    Temporal,
}

impl ComponentKind {
    /// All kinds, in the order in which components are restarted: nothing is restarted before what it uses.
    pub const ALL: [Self; 5] =
        [Self::PostgresDatabase, Self::MessageQueue, Self::IpfsCluster, Self::ObjectStorage, Self::Temporal];

    /// The name of the kind.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PostgresDatabase => "PostgresDatabase",
            Self::MessageQueue => "MessageQueue",
            Self::IpfsCluster => "IpfsCluster",
            Self::ObjectStorage => "ObjectStorage",
            Self::Temporal => "Temporal",
        }
    }

    /// The component's label on its pods (`app.kubernetes.io/component`).
    pub const fn component(self) -> &'static str {
        match self {
            Self::PostgresDatabase => "database",
            Self::MessageQueue => "queue",
            Self::IpfsCluster => "ipfs",
            Self::ObjectStorage => "storage",
            Self::Temporal => "temporal",
        }
    }
}

/// A component in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentReference {
    /// Its kind.
    pub kind: ComponentKind,
    /// Its name.
    #[x_kube(validation = ("self.size() >= 1 && self.size() <= 35", "must be the name of a component, 1 to 35 characters"))]
    #[schemars(length(max = 35))]
    pub name: String,
}

/// Whether connections are restricted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Policy {
    /// Not by this object.
    #[default]
    Off,
    /// Nothing is denied. The condition `PolicyEnforced` and `status.audit` report which observed connections `Enforce` would deny.
    Audit,
    /// Connections that no component needs, and that `allow` does not list, are denied. It takes effect when every pod has a
    /// current proxy, and no connection is observed that a component needs and that would be denied.
    Enforce,
}

/// What a proxy does with connections to a port without a policy: a value of Linkerd's annotation
/// `config.linkerd.io/default-inbound-policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DefaultInboundPolicy {
    /// Accept everything.
    AllUnauthenticated,
    /// Accept pods with a proxy.
    AllAuthenticated,
    /// Accept addresses of the cluster.
    ClusterUnauthenticated,
    /// Accept pods of the cluster with a proxy.
    ClusterAuthenticated,
    /// Accept nothing.
    Deny,
    /// Accept and log everything.
    Audit,
}

impl DefaultInboundPolicy {
    /// The value of the annotation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AllUnauthenticated => "all-unauthenticated",
            Self::AllAuthenticated => "all-authenticated",
            Self::ClusterUnauthenticated => "cluster-unauthenticated",
            Self::ClusterAuthenticated => "cluster-authenticated",
            Self::Deny => "deny",
            Self::Audit => "audit",
        }
    }
}

/// Further clients of one port of a component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Allowed {
    /// The component to which they connect.
    pub component: ComponentReference,
    /// The port, by its name on the pods: `postgresql`; `amqp`, `management`, `metrics`; `rpc`, `gateway`, `swarm`, `cluster`,
    /// `proxy`, `metrics`; `s3`; `api`, `krab`.
    #[x_kube(validation = ("self.matches('^[a-z]([-a-z0-9]{0,13}[a-z0-9])?$')", "must be the name of a port, such as postgresql"))]
    #[schemars(length(min = 1, max = 15))]
    pub port: String,
    /// Who may connect: everyone who is in one of the lists.
    pub from: Clients,
}

/// Clients of a port: everyone who is in one of the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("size(self.serviceAccounts) + size(self.namespaces) + size(self.networks) > 0", "from: name at least one of serviceAccounts, namespaces and networks"))]
pub struct Clients {
    /// Pods with a proxy, by their ServiceAccount; at most 16.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub service_accounts: Vec<ServiceAccountReference>,
    /// All pods with a proxy of these namespaces; at most 16.
    #[serde(default)]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))
    )]
    pub namespaces: Vec<String>,
    /// Everyone with an address in these networks, with a proxy or without, such as `10.0.0.0/8` or `fd00::/8`; at most 16.
    #[serde(default)]
    #[schemars(length(max = 16), inner(length(min = 3, max = 49), regex(pattern = r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")))]
    pub networks: Vec<String>,
}

/// A ServiceAccount.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountReference {
    /// Its name.
    #[x_kube(validation = ("self.size() >= 1 && self.size() <= 253", "must be the name of a ServiceAccount"))]
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its namespace. Absent: that of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')", "must be the name of a namespace"))]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
}

/// Whether something is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    #[default]
    Off,
}

impl Switch {
    fn on() -> Self {
        Self::On
    }

    fn off() -> Self {
        Self::Off
    }

    /// Whether it is on.
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}
