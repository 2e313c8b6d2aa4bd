use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, LocalObjectReference, Toleration, TopologySpreadConstraint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of all pods, including those of Jobs. A change restarts them, except one of labels or annotations alone, which waits
/// for the next restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodSettings {
    /// Secrets in the same namespace with logins for registries. Those of the ServiceAccount `default` are not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// More labels. Those that the controller sets (`app.kubernetes.io/name`, `…/instance`, `…/component`, `…/managed-by`, and all of
    /// `temporal-stack.dev`) are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// More annotations. Those of `temporal-stack.dev` are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Who chooses the users and groups of the processes. Set it when the object is created: a user cannot read the volumes of another.
    #[serde(default, skip_serializing_if = "PodSecurity::is_managed")]
    pub security_context: PodSecurity,
    /// Labels that a machine must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// The taints of machines that are tolerated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// Rules for machines, and for other pods on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// How pods are spread. Absent: over machines, where possible. A constraint without `labelSelector` counts the pods of the same
    /// workload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// The `PriorityClass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// The `RuntimeClass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_class_name: Option<String>,
    /// An existing ServiceAccount for all pods. Absent: each component has its own, by which a mesh tells it from others. Its token
    /// is never mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
}

/// Who chooses the users and groups of the processes in pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PodSecurity {
    /// The controller: those of the official images.
    #[default]
    Managed,
    /// The platform, which must set `runAsUser` and `fsGroup` of each pod itself, as OpenShift does. Everything else that the Pod
    /// Security Standard `restricted` asks for is still set.
    Platform,
}

impl PodSecurity {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_managed(&self) -> bool {
        *self == Self::Managed
    }
}

impl PodSettings {
    /// The settings whose change restarts pods; `None` if all are absent.
    pub fn restarting(&self) -> Option<Self> {
        let settings = Self { labels: BTreeMap::new(), annotations: BTreeMap::new(), ..self.clone() };
        (settings != Self::default()).then_some(settings)
    }
}
