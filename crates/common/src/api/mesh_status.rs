use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ComponentKind, ComponentReference, Status};

/// The observed state of the mesh.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeshStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling` and `Stalled` as kstatus defines them; `MeshInstalled` reports whether Linkerd is installed and its
    /// control plane runs, `Injected` whether each pod has a current proxy, `IdentityValid` whether the certificates of Linkerd
    /// are valid for another 30 days, `PolicyEnforced` whether connections are restricted, and `TrafficHealthy` whether calls
    /// succeed. Each message names the remedy.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The version of Linkerd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How many pods have a current proxy, and how many should have one: `12/14`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injected: Option<String>,
    /// The components with their proxies, at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["kind", "name"]))]
    pub components: Vec<ComponentProxies>,
    /// What `policy: Enforce` would deny, while `policy` is `Audit`, and while `Enforce` is not in force yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// The traffic between components, at most 64 edges. It changes only when an edge changes its class; the figures are metrics of
    /// this controller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traffic: Vec<EdgeTraffic>,
    /// When the certificates of Linkerd expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Certificates>,
}

impl Status for MeshStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    fn report(&mut self, generation: Option<i64>, conditions: Vec<Condition>) {
        self.observed_generation = generation;
        self.conditions = conditions;
    }
}

/// A component and the proxies of its pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentProxies {
    /// Its kind.
    pub kind: ComponentKind,
    /// Its name.
    pub name: String,
    /// How many pods it has.
    pub pods: i32,
    /// How many of them have a current proxy.
    pub proxies: i32,
}

/// What `policy: Enforce` would deny.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// The observed connections that would be denied, at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub would_deny: Vec<DeniedEdge>,
    /// How many more there are.
    #[serde(default)]
    pub more: i32,
    /// Since when no such connection was observed. Absent while there are some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_since: Option<Time>,
}

/// An observed connection that would be denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeniedEdge {
    /// The client: its identity in the mesh, or `unmeshed` with its address where it is known.
    pub client: String,
    /// The component to which it connects.
    pub component: ComponentReference,
    /// The name of the port.
    pub port: String,
}

/// The traffic from a client to a port of a component.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EdgeTraffic {
    /// The client: `<kind>/<name>` of a component, or its identity in the mesh.
    pub client: String,
    /// The component to which it connects.
    pub component: ComponentReference,
    /// The name of the port.
    pub port: String,
    /// The class of the traffic.
    pub class: TrafficClass,
}

/// A class of traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum TrafficClass {
    /// Nothing is sent.
    #[default]
    Idle,
    /// Calls succeed in time.
    Healthy,
    /// Calls succeed slowly.
    Slow,
    /// Many calls fail.
    Failing,
    /// Calls or connections are denied by policy.
    Denied,
}

/// When the certificates of Linkerd expire.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Certificates {
    /// When the first of the trust anchors expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_anchor: Option<Time>,
    /// When the issuer expires. Absent where the controller may not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Time>,
    /// When the first of the CA bundles expires by which the API server trusts Linkerd's webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<Time>,
}
