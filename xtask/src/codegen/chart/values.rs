//! The values of the chart: their defaults become `values.yaml`, their doc comments its comments and the chart's README, and
//! their types `values.schema.json`.

#![expect(clippy::doc_markdown, reason = "they are comments of YAML, where kinds of Kubernetes have no backticks")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// The part of an object that is given to Kubernetes as it is.
type Verbatim = Map<String, Value>;

/// The values of the chart.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Values {
    /// The controllers to install.
    pub(super) controllers: Controllers,
    /// The namespaces that the controllers serve.
    pub(super) watch: Watch,
    /// The registry of the stack's own images: the controllers', and the bridge's.
    pub(super) image: Image,
    /// Names of Secrets with logins of registries, for the pods of the controllers. The pods of the products have `spec.pods` for that.
    pub(super) image_pull_secrets: Vec<Reference>,
    /// The images of products whose object names none: full references, with a tag or a digest.
    pub(super) images: Images,
    /// The number of replicas of each controller. One leads; the second has warm caches and takes over. Two also make a PodDisruptionBudget.
    #[schemars(range(min = 1, max = 2))]
    pub(super) replicas: u8,
    /// What each controller requests, and its limits. `controllers.<name>.resources` replaces it for one controller.
    pub(super) resources: Verbatim,
    /// The level of the log, or a filter such as `info,temporal_stack_common=debug`.
    pub(super) log_level: String,
    /// Further arguments of all controllers; `docker run IMAGE --help` lists them.
    pub(super) extra_arguments: Vec<String>,
    /// The namespace of Linkerd's control plane, for the mesh controller.
    pub(super) linkerd_namespace: String,
    /// Labels of the nodes on which the controllers may run.
    pub(super) node_selector: BTreeMap<String, String>,
    /// Taints of nodes that the controllers tolerate.
    pub(super) tolerations: Vec<Verbatim>,
    /// Affinity of the controllers' pods.
    pub(super) affinity: Verbatim,
    /// Labels that are added to the controllers' pods.
    pub(super) pod_labels: BTreeMap<String, String>,
    /// Annotations of the controllers' pods.
    pub(super) pod_annotations: BTreeMap<String, String>,
    /// The PriorityClass of the controllers' pods; empty: none.
    pub(super) priority_class_name: String,
    /// The CustomResourceDefinitions.
    pub(super) crds: Crds,
    /// ClusterRoles that add the kinds to Kubernetes' own roles `view`, `edit` and `admin`.
    pub(super) user_roles: UserRoles,
    /// The NetworkPolicy of each controller.
    pub(super) network_policy: NetworkPolicy,
    /// Objects for Prometheus Operator and Grafana.
    pub(super) monitoring: Monitoring,
    /// Set by Helm where this chart is a part of another; not used.
    pub(super) global: Verbatim,
}

/// The controllers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Controllers {
    /// `PostgresDatabase`: PostgreSQL.
    pub(super) database: Controller,
    /// `MessageQueue`: RabbitMQ.
    pub(super) queue: Controller,
    /// `IpfsCluster`: Kubo and IPFS Cluster.
    pub(super) ipfs: Controller,
    /// `ObjectStorage`: MinIO, the Versity S3 Gateway, or buckets of Rook.
    pub(super) storage: Controller,
    /// `Mesh`: Linkerd's proxies and policies. It needs the whole cluster: set it to false with `watch.namespaces`.
    pub(super) mesh: Controller,
    /// `Temporal`: its API, workers and key server.
    pub(super) temporal: Controller,
}

/// One controller.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Controller {
    /// Whether it is installed.
    pub(super) enabled: bool,
    /// The digest of its image, such as `sha256:…`, instead of the tag.
    #[schemars(regex(pattern = "^(sha256:[0-9a-f]{64})?$"))]
    pub(super) digest: String,
    /// What it requests, and its limits, where they differ from `resources`.
    pub(super) resources: Verbatim,
}

impl Default for Controller {
    fn default() -> Self {
        Self { enabled: true, digest: String::new(), resources: Verbatim::new() }
    }
}

/// The namespaces that the controllers serve.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Watch {
    /// Serve these namespaces only, with a Role and a RoleBinding in each, which must exist. Empty: the whole cluster, with a ClusterRole.
    pub(super) namespaces: Vec<String>,
    /// With `namespaces`: also grant, by a ClusterRole, what the controllers read of kinds without a namespace (StorageClasses, volumes,
    /// nodes). Without it the scheduler's words about a missing class or volume stand in the condition.
    pub(super) cluster_kinds: bool,
}

/// The registry of the stack's own images.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Image {
    /// The host of the registry, such as `registry.example.com`; empty: the default one of the nodes.
    pub(super) registry: String,
    /// The path of the images in the registry, without their names.
    pub(super) repository: String,
    /// The tag; empty: the chart's appVersion.
    pub(super) tag: String,
    /// When the kubelet pulls the controllers' images; empty: Kubernetes' default.
    pub(super) pull_policy: PullPolicy,
}

/// When the kubelet pulls an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[expect(dead_code, reason = "the others are for users: they stand in the schema")]
pub(super) enum PullPolicy {
    #[default]
    #[serde(rename = "")]
    Default,
    Always,
    IfNotPresent,
    Never,
}

/// The name of a Secret, as Kubernetes writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reference {
    /// The name.
    pub(super) name: String,
}

/// The images of the products.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Images {
    /// PostgreSQL.
    pub(super) postgres: String,
    /// RabbitMQ.
    pub(super) rabbitmq: String,
    /// Kubo.
    pub(super) kubo: String,
    /// IPFS Cluster.
    pub(super) ipfs_cluster: String,
    /// MinIO, by its maintained fork.
    pub(super) minio: String,
    /// The Versity S3 Gateway.
    pub(super) versity: String,
    /// Temporal.
    pub(super) temporal: String,
    /// The bridge beside Temporal; empty: from the registry of the controllers.
    pub(super) bridge: String,
}

/// The `CustomResourceDefinitions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Crds {
    /// Whether the chart installs and upgrades those of the enabled controllers. They and all objects stay after `helm uninstall`.
    /// Set it to false for a second release in the cluster, and where an administrator installs them.
    pub(super) install: bool,
}

/// Roles of users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserRoles {
    /// Whether they are created. Set it to false for a second release in the cluster.
    pub(super) create: bool,
}

/// The `NetworkPolicy` of each controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkPolicy {
    /// Whether it is created: it admits namespaces with the label `temporal-stack.dev/monitoring=true`, for metrics.
    pub(super) create: bool,
}

/// Objects for Prometheus Operator and Grafana.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Monitoring {
    /// A PodMonitor for the controllers, and one for the pods of each product with metrics.
    pub(super) pod_monitors: Toggle,
    /// A Service and a ServiceMonitor for each controller, instead of the PodMonitor for the controllers.
    pub(super) service_monitors: Toggle,
    /// A PrometheusRule for each controller: alerts.
    pub(super) rules: Toggle,
    /// A ConfigMap with the dashboard, for Grafana's sidecar.
    pub(super) dashboard: Toggle,
}

/// Objects that are created on demand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Toggle {
    /// Whether they are created.
    pub(super) enabled: bool,
    /// Labels by which Prometheus, or Grafana's sidecar, finds them.
    pub(super) labels: BTreeMap<String, String>,
}
