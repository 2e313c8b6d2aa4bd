//! An object as it arrives, and as the cache keeps it.

use std::{borrow::Cow, fmt};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::{Resource, api::ApiResource};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// An object as JSON text, with the little that is needed without parsing it.
#[derive(Clone)]
pub struct Packed {
    uid: Box<str>,
    version: Box<str>,
    updaters: Box<[Box<str>]>,
    text: Box<str>,
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may be a Secret's.
        write!(f, "{}@{}", self.uid, self.version)
    }
}

impl Packed {
    /// The object as JSON.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The object as its type.
    pub fn parse<K: DeserializeOwned>(&self) -> serde_json::Result<K> {
        serde_json::from_str(&self.text)
    }

    /// The metadata, parsed.
    pub fn metadata(&self) -> ObjectMeta {
        #[derive(Deserialize)]
        struct Object {
            metadata: ObjectMeta,
        }
        self.parse().map(|object: Object| object.metadata).unwrap_or_default()
    }

    /// The resource version; empty if it has none.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether `manager` has made it by POST and not applied it since: see [`crate::driver`].
    pub fn was_posted_by(&self, manager: &str) -> bool {
        self.updaters.iter().any(|updater| &**updater == manager)
    }

    /// Whether it is the object with that metadata, and not another one of its name.
    pub(super) fn is(&self, metadata: &ObjectMeta) -> bool {
        *self.uid == *metadata.uid.as_deref().unwrap_or_default()
    }

    /// The UID; empty if it has none.
    pub(super) fn uid(&self) -> &str {
        &self.uid
    }

    /// The resource version as a number, if it is one.
    pub(super) fn number(&self) -> Option<u64> {
        self.version.parse().ok()
    }
}

/// An object as a watch or the answer to a write brings it: packed, with its metadata, which the cache does not keep.
#[derive(Clone, Debug)]
pub struct Arrived {
    metadata: ObjectMeta,
    pub(super) packed: Packed,
}

impl Arrived {
    /// Packs an object. Managed fields are dropped, apart from who updated it without applying.
    pub fn new(mut object: Value) -> serde_json::Result<Self> {
        let mut metadata = ObjectMeta::deserialize(object.get("metadata").unwrap_or(&Value::Null))?;
        if let Some(fields) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            fields.remove("managedFields");
        }
        let updates =
            |entry: &ManagedFieldsEntry| entry.operation.as_deref() == Some("Update") && entry.subresource.is_none();
        let managers = metadata.managed_fields.take().unwrap_or_default();
        let updaters = managers.into_iter().filter(updates).filter_map(|entry| entry.manager);
        let packed = Packed {
            uid: metadata.uid.as_deref().unwrap_or_default().into(),
            version: metadata.resource_version.as_deref().unwrap_or_default().into(),
            updaters: updaters.map(String::into_boxed_str).collect(),
            text: object.to_string().into_boxed_str(),
        };
        Ok(Self { metadata, packed })
    }
}

impl<'de> Deserialize<'de> for Arrived {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Resource for Arrived {
    type DynamicType = ApiResource;
    type Scope = kube::core::DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn managed_fields_are_dropped_but_who_posted_is_known() {
        let managers = json!([{"manager": "m", "operation": "Update"}, {"manager": "k", "operation": "Apply"}]);
        let arrived = Arrived::new(json!({"metadata": {"name": "a", "managedFields": managers}})).unwrap();
        assert_eq!(arrived.packed.value(), json!({"metadata": {"name": "a"}}));
        assert!(arrived.packed.was_posted_by("m"));
        assert!(!arrived.packed.was_posted_by("k"));
    }
}
