//! Workloads between a component and its pods, and those of Linkerd's control plane.

use kube::{ResourceExt, api::DynamicObject};
use serde::{Deserialize, Serialize};
use temporal_stack_common::api::label;

use super::{keep, kept};
use crate::names::{CONTROL_PLANE, VERSION};

/// A workload of a component, which leads from a pod to the custom resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Workload {
    /// Its UID.
    #[serde(skip)]
    pub(crate) uid: String,
    /// The UID of its controller.
    pub(crate) owner: Option<String>,
}

impl Workload {
    /// Reduces a workload.
    pub(crate) fn reduce(object: &mut DynamicObject) {
        let controller = object.owner_references().iter().find(|owner| owner.controller == Some(true));
        let read = Self { owner: controller.map(|owner| owner.uid.clone()), ..Self::default() };
        keep(object, &read);
    }

    /// The reduced workload.
    pub(crate) fn kept(object: &DynamicObject) -> Option<Self> {
        Some(Self { uid: object.uid().unwrap_or_default(), ..kept(object)? })
    }
}

/// A Deployment of Linkerd's control plane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plane {
    /// Its name.
    #[serde(skip)]
    pub(crate) name: String,
    /// What it is.
    pub(crate) part: String,
    /// The version of Linkerd.
    pub(crate) version: Option<String>,
    /// How many of its pods are ready.
    pub(crate) ready: i64,
}

impl Plane {
    /// Reduces a Deployment.
    pub(crate) fn reduce(object: &mut DynamicObject) {
        let labelled = |key: &str| object.labels().get(key).map(|value| value.chars().take(64).collect::<String>());
        let read = Self {
            part: labelled(CONTROL_PLANE).unwrap_or_default(),
            version: labelled(VERSION).filter(|version| !version.is_empty()),
            ready: object.data["status"]["readyReplicas"].as_i64().unwrap_or_default(),
            ..Self::default()
        };
        keep(object, &read);
    }

    /// The reduced Deployment.
    pub(crate) fn kept(object: &DynamicObject) -> Option<Self> {
        Some(Self { name: object.name_any(), ..kept(object)? })
    }
}

/// The selector of the stack's pods and workloads.
pub(crate) const OF_STACK: &str = "app.kubernetes.io/managed-by=temporal-stack";

const _: () = assert!(label::MANAGED_BY.len() + 1 + label::STACK.len() == OF_STACK.len());
