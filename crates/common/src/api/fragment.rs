//! Parts of a spec or status that several kinds share.

use std::collections::BTreeMap;

use k8s_openapi::{api::networking::v1::NetworkPolicyPeer, apimachinery::pkg::api::resource::Quantity};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Whether data are kept or deleted with the custom resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Volumes, and the Secrets without which they cannot be opened, are kept. A new custom resource of the same kind, name and
    /// namespace adopts them.
    #[default]
    Retain,
    /// Volumes and Secrets are deleted with the custom resource.
    Delete,
}

/// When pods are restarted if their template differs only because the controller is newer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Rollout {
    /// Only on request: the condition `RestartPending` reports that a restart would apply a newer template, and a new value of
    /// the annotation `temporal-stack.dev/restart` requests the restart.
    #[default]
    WhenAsked,
    /// As soon as it is safe, one pod at a time.
    Automatic,
}

/// A volume for the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Size of the volume, for instance `10Gi`. It can grow where the StorageClass allows expansion; it cannot shrink.
    #[serde(default = "Storage::default_size")]
    #[x_kube(validation = ("type(self) == int ? self > 0 : isQuantity(self) && quantity(self).isGreaterThan(quantity('0')) && !self.matches('[num]$')", "must be a quantity above zero, such as 10Gi"))]
    pub size: Quantity,
    /// Name of the StorageClass. Absent: the cluster's default class. It is used when the volume is created; the class of a
    /// volume cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
}

impl Storage {
    fn default_size() -> Quantity {
        Quantity("10Gi".to_owned())
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self { size: Self::default_size(), storage_class_name: None }
    }
}

/// Compute resources of a container. Absent resources have the defaults in the documentation of the kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!has(self.requests) || !has(self.requests.memory) || (type(self.requests.memory) == int ? self.requests.memory >= 0 : isQuantity(self.requests.memory) && !quantity(self.requests.memory).isLessThan(quantity('0')) && !self.requests.memory.matches('[num]$'))", "requests.memory must be a quantity of bytes, such as 512Mi"),
    validation = ("!has(self.limits) || !has(self.limits.memory) || (type(self.limits.memory) == int ? self.limits.memory > 0 : isQuantity(self.limits.memory) && quantity(self.limits.memory).isGreaterThan(quantity('0')) && !self.limits.memory.matches('[num]$'))", "limits.memory must be a quantity of bytes above zero, such as 512Mi"),
    validation = ("!has(self.requests) || !has(self.requests.memory) || !has(self.limits) || !has(self.limits.memory) || !isQuantity(string(self.requests.memory)) || !isQuantity(string(self.limits.memory)) || quantity(string(self.requests.memory)).compareTo(quantity(string(self.limits.memory))) <= 0", "requests.memory must not be above limits.memory")
)]
pub struct Resources {
    /// What the container is guaranteed, for instance `{cpu: 100m, memory: 256Mi}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "amounts")]
    pub requests: BTreeMap<String, Quantity>,
    /// What the container may use at most, for instance `{memory: 1Gi}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "amounts")]
    pub limits: BTreeMap<String, Quantity>,
}

/// Who may connect to the pods, as lists of `NetworkPolicy` peers. All other ports are open only to the component's own pods and
/// to its controller. The network of the cluster must enforce `NetworkPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Who may connect as a client. Absent: everyone with a login, but no one where the product asks for no password. An empty
    /// list: no one. Components that refer to this one are clients too: list their pods by the label
    /// `app.kubernetes.io/component`, for instance `temporal`. It does not open the metrics port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Vec<NetworkPolicyPeer>>,
    /// Who may administer the product with its own tools, at the ports that the kind's documentation lists. Absent: no one besides
    /// the component's own pods and its controller. It opens no other port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operators: Vec<NetworkPolicyPeer>,
    /// Who may collect metrics, also those of a mesh's proxy in the pods. Absent: no one. It opens no other port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<NetworkPolicyPeer>,
}

/// Amounts by resource. A CPU may be a fraction without quotes, as pods take it, for which a schema of Kubernetes has no type: so it
/// has none, and what is in it is checked by its pattern and by the controller.
fn amounts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "cpu": {
                "x-kubernetes-preserve-unknown-fields": true,
                "pattern": r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?$",
                "minimum": 0,
            },
            "memory": { "x-kubernetes-int-or-string": true },
            "ephemeral-storage": { "x-kubernetes-int-or-string": true },
        },
    })
}

/// Where the user's configuration is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigSource {
    /// Name of a ConfigMap in the same namespace; it need not exist. Edits of the ConfigMap with the default name, and of others
    /// with the label `temporal-stack.dev/config=true`, are applied immediately; edits of ConfigMaps without the label within
    /// minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<String>,
}

/// One key of a Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// Name of the Secret. With the label `temporal-stack.dev/config=true` an edit is applied immediately, without it within
    /// minutes.
    pub secret_name: String,
    /// The key in the Secret.
    #[serde(default = "SecretKey::default_key")]
    pub key: String,
}

impl SecretKey {
    fn default_key() -> String {
        "password".to_owned()
    }
}

/// A server that runs elsewhere, described by a Secret with the keys of the Service Binding specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalSecret {
    /// Name of the Secret in the same namespace. With the label `temporal-stack.dev/config=true` an edit is applied immediately,
    /// without it within minutes.
    pub secret_name: String,
}

/// The Secret that applications read to connect to this component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BindingReference {
    /// Name of the Secret, in the same namespace. Its keys are those of the Service Binding specification.
    pub name: String,
}
