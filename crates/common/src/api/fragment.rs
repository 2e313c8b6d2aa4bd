//! Parts of a spec or status that more than one kind has.

use std::collections::BTreeMap;

use k8s_openapi::{api::networking::v1::NetworkPolicyPeer, apimachinery::pkg::api::resource::Quantity};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What becomes of data when the custom resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Volumes, and the Secrets without which they cannot be opened, stay. A custom resource of the same kind, name and
    /// namespace takes them over again.
    #[default]
    Retain,
    /// Volumes and Secrets are deleted with the custom resource.
    Delete,
}

/// When pods are restarted whose template differs only because the controller is newer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Rollout {
    /// Only when the user asks for it: the condition `RestartPending` says that a restart would bring something new.
    /// A new value of the annotation `temporal-stack.dev/restart` asks for one.
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
    /// Name of the StorageClass. Absent: the cluster's default class. It is used when the volume is made; a volume does
    /// not change its class.
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

/// Compute resources of a container. What is absent has the default that the documentation of the kind names.
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

/// Who may connect to the pods, as lists of peers of a `NetworkPolicy`. All other ports are open to the component's own pods
/// and to its controller alone. The cluster's network must enforce `NetworkPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Who may connect as a client. Absent: everybody who has a login, and nobody where no password is asked for. An empty
    /// list: nobody. Components that refer to this one are clients too: list their pods, which have the label
    /// `app.kubernetes.io/component`, for instance `temporal`. Metrics are not opened by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Vec<NetworkPolicyPeer>>,
    /// Who may collect metrics. Absent: nobody. Nothing else is opened by it.
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

/// Where the user's configuration stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigSource {
    /// Name of a ConfigMap in the same namespace; it may be absent. An edit of the ConfigMap with the default name is acted
    /// on at once; so is one of any other that has the label `temporal-stack.dev/config=true`; without it, within minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<String>,
}

/// One key of a Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// Name of the Secret. With the label `temporal-stack.dev/config=true` an edit is acted on at once; without it, within
    /// minutes.
    pub secret_name: String,
    /// The key within the Secret.
    #[serde(default = "SecretKey::default_key")]
    pub key: String,
}

impl SecretKey {
    fn default_key() -> String {
        "password".to_owned()
    }
}

/// Something that runs elsewhere, described by a Secret with the keys of the Service Binding specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalSecret {
    /// Name of the Secret in the same namespace. With the label `temporal-stack.dev/config=true` an edit is acted on at once;
    /// without it, within minutes.
    pub secret_name: String,
}

/// The Secret that tells others how to use this component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BindingReference {
    /// Name of the Secret, in the same namespace. Its keys are those of the Service Binding specification.
    pub name: String,
}
