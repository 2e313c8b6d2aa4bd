//! The custom resource of lamps.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use temporal_stack_common::{
    api::{DeletionPolicy, Rollout},
    impl_status,
};

#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "test.dev", version = "v1", kind = "Lamp", namespaced, status = "LampStatus", derive = "PartialEq")]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of one test")]
pub struct LampSpec {
    /// A value of the ConfigMap.
    pub colour: String,
    /// A value of the ConfigMap that may be absent.
    pub shade: Option<String>,
    /// Whether there is a second ConfigMap.
    pub spare: bool,
    /// Whether the user's ConfigMap is not read.
    pub plain: bool,
    /// Whether the Secret is not wanted.
    pub keyless: bool,
    /// Whether the ConfigMap of the first version must be deleted.
    pub tidy: bool,
    /// A volume claim that another controller creates.
    pub claim: Option<String>,
    /// A volume claim that is no longer wanted.
    pub outgrown: Option<String>,
    /// The label `room` of the first pod.
    pub room: Option<String>,
    /// A `StorageClass` that must exist.
    pub class: Option<String>,
    /// The operation that the product must carry out.
    pub say: Option<String>,
    /// An immutable field of the set.
    pub service: String,
    /// The number of pods of the set.
    pub replicas: i32,
    /// A value in the pod template.
    pub roll: String,
    /// Memory of the pods.
    pub memory: Option<String>,
    /// Whether there is a Deployment of the same pods.
    pub deployed: bool,
    /// Whether there is a Service for the pods.
    pub served: bool,
    /// A setting with its own annotation.
    pub part: Option<String>,
    /// Whether there is a Job, which is waited for.
    pub lit: bool,
    /// Whether there is a `PodDisruptionBudget`, the first of all children.
    pub guarded: bool,
    /// Whether another lamp shines until this one does.
    pub relieved: bool,
    /// The Service of another component that it refers to.
    pub beside: Option<String>,
    /// Whether the Secret is kept or deleted with the lamp.
    pub deletion_policy: DeletionPolicy,
    /// Whether nothing of it runs.
    pub suspend: bool,
    /// When pods are restarted.
    pub rollout: Rollout,
    /// Whether pods keep their templates, whatever the rollout.
    pub steadied: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LampStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, String>,
}

impl_status!(LampStatus);
