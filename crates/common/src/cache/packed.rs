//! An object as the cache keeps it.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::{Resource, api::ApiResource};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// An object as JSON text, with the few things that are needed without parsing it.
#[derive(Clone)]
pub struct Packed {
    pub(super) metadata: ObjectMeta,
    managers: Box<[ManagedFieldsEntry]>,
    pub(super) text: Box<str>,
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may be a Secret's.
        let version = self.metadata.resource_version.as_deref().unwrap_or_default();
        write!(f, "{}@{version}", self.metadata.name.as_deref().unwrap_or_default())
    }
}

impl Packed {
    /// Packs an object. Managed fields are dropped, apart from who updated it without applying.
    pub fn new(mut object: Value) -> serde_json::Result<Self> {
        let mut metadata = ObjectMeta::deserialize(object.get("metadata").unwrap_or(&Value::Null))?;
        if let Some(fields) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            fields.remove("managedFields");
        }
        let managers = metadata
            .managed_fields
            .take()
            .unwrap_or_default()
            .into_iter()
            .filter(|entry| entry.operation.as_deref() == Some("Update") && entry.subresource.is_none())
            .map(|entry| ManagedFieldsEntry { manager: entry.manager, ..ManagedFieldsEntry::default() })
            .collect();
        metadata.annotations = None;
        Ok(Self { metadata, managers, text: object.to_string().into_boxed_str() })
    }

    /// The object as JSON.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The object as its type.
    pub fn parse<K: DeserializeOwned>(&self) -> serde_json::Result<K> {
        serde_json::from_str(&self.text)
    }

    /// Whether `manager` has made it by POST and not applied it since: see [`crate::driver`].
    pub fn was_posted_by(&self, manager: &str) -> bool {
        self.managers.iter().any(|entry| entry.manager.as_deref() == Some(manager))
    }

    /// The resource version as a number, if it is one.
    pub(super) fn version(&self) -> Option<u64> {
        self.metadata.resource_version.as_deref()?.parse().ok()
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Packed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl Resource for Packed {
    type DynamicType = ApiResource;
    type Scope = kube::core::DynamicResourceScope;

    fn kind(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
