//! The namespace of an object.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1 as core;
use kube::{ResourceExt, api::DynamicObject};
use serde::{Deserialize, Serialize};

use super::{keep, kept};
use crate::names::{COMPONENT, INJECT, POD_SECURITY, SETTINGS, WEBHOOKS};

/// What is read of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Namespace {
    /// Its UID.
    pub(crate) uid: String,
    /// The annotations of Linkerd that this controller may set.
    pub(crate) annotations: BTreeMap<String, String>,
    /// Those that this controller has set, alone or with others.
    pub(crate) owned: BTreeSet<String>,
    /// The Pod Security that its pods must meet.
    pub(crate) pod_security: Option<String>,
    /// Whether Linkerd's webhooks leave it alone.
    pub(crate) is_excluded: bool,
}

impl Namespace {
    /// Reduces a namespace that is watched.
    pub(crate) fn reduce(object: &mut DynamicObject) {
        let read = Self::read(object);
        keep(object, &read);
    }

    /// The reduced namespace.
    pub(crate) fn kept(object: &DynamicObject) -> Option<Self> {
        kept(object)
    }

    /// The same of a namespace that is read by name.
    pub(crate) fn of(object: &core::Namespace) -> Self {
        Self::read(object)
    }

    fn read(object: &impl ResourceExt) -> Self {
        let is_read = |key: &&String| key.as_str() == INJECT || SETTINGS.contains(&key.as_str());
        let annotations = object.annotations().iter().filter(|(key, value)| is_read(key) && value.len() <= 256);
        let labelled = |key: &str| object.labels().get(key).cloned();
        Self {
            uid: object.uid().unwrap_or_default(),
            annotations: annotations.map(|(key, value)| (key.clone(), value.clone())).collect(),
            owned: owned(object),
            pod_security: labelled(POD_SECURITY),
            is_excluded: labelled(WEBHOOKS).is_some_and(|value| value == "disabled"),
        }
    }
}

/// The annotations that this controller has applied.
fn owned(object: &impl ResourceExt) -> BTreeSet<String> {
    let ours = object
        .managed_fields()
        .iter()
        .filter(|entry| entry.manager.as_deref() == Some(COMPONENT) && entry.operation.as_deref() == Some("Apply"));
    let fields = ours.filter_map(|entry| entry.fields_v1.as_ref());
    let annotations = fields.filter_map(|fields| fields.0["f:metadata"]["f:annotations"].as_object());
    annotations.flat_map(|all| all.keys()).filter_map(|key| Some(key.strip_prefix("f:")?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn owned_annotations_are_those_that_were_applied() {
        let entry = |manager: &str, key: &str| {
            let fields = json!({"f:metadata": {"f:annotations": {format!("f:{key}"): {}}}});
            json!({"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields})
        };
        let namespace: core::Namespace = serde_json::from_value(json!({"metadata": {
            "name": "n", "uid": "u",
            "annotations": {INJECT: "enabled", SETTINGS[0]: "9s", "strange": "x"},
            "labels": {POD_SECURITY: "baseline"},
            "managedFields": [entry(COMPONENT, INJECT), entry("argocd", SETTINGS[0])],
        }}))
        .unwrap();
        let read = Namespace::of(&namespace);
        assert_eq!(read.owned, BTreeSet::from([INJECT.to_owned()]));
        assert_eq!(read.annotations.len(), 2);
        assert_eq!(read.pod_security.as_deref(), Some("baseline"));
    }
}
