//! An object as it arrives, and as the cache keeps it.

use std::{borrow::Cow, fmt, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::{Resource, api::ApiResource};
use lz4_flex::block::{compress_with_dict, decompress_with_dict};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, json};

use super::members;
use crate::{api::label, shared};

/// The metadata's field for who owns which field.
const MANAGED: &str = "managedFields";

/// An object as compressed JSON text, with the little that is needed without unpacking it.
#[derive(Clone)]
pub struct Packed {
    uid: Box<str>,
    version: Box<str>,
    /// The UID of the object that controls it, by its owner references; of pods and what makes them only.
    controller: Option<Box<str>>,
    updaters: Box<[Box<str>]>,
    alike: Arc<str>,
    length: usize,
    text: Box<[u8]>,
    /// When it was put, by the cache's own clock.
    pub(super) arrived: u64,
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
        self.parse().unwrap_or_default()
    }

    /// The object as its type.
    pub fn parse<K: DeserializeOwned>(&self) -> serde_json::Result<K> {
        // What was packed here can be unpacked; if not, its text is empty, which does not parse.
        let text = decompress_with_dict(&self.text, self.length, self.alike.as_bytes()).unwrap_or_default();
        serde_json::from_slice(&text)
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

    /// The UID of the object that controls it; `None` where nothing does, and for kinds of which that does not matter.
    pub(super) fn controller(&self) -> Option<&str> {
        self.controller.as_deref()
    }

    /// Whether it is the same object as another, with the same controller.
    pub(super) fn has_same_owner(&self, other: &Self) -> bool {
        self.uid == other.uid && self.controller == other.controller
    }

    /// The UID; empty if it has none.
    pub(crate) fn uid(&self) -> &str {
        &self.uid
    }

    /// The resource version as a number, if it is one.
    pub(super) fn number(&self) -> Option<u64> {
        self.version.parse().ok()
    }
}

/// An object as a watch or the answer to a write brings it: as text, with its metadata, which the cache does not keep.
#[derive(Clone)]
pub struct Arrived {
    metadata: ObjectMeta,
    updaters: Box<[Box<str>]>,
    text: Box<str>,
}

impl fmt::Debug for Arrived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrived").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

impl Arrived {
    /// Takes an object without its managed fields, apart from who updated it without applying, and from those of the component
    /// that its labels name: which fields this one still owns.
    pub fn new(mut object: Value) -> serde_json::Result<Self> {
        let mut metadata = ObjectMeta::deserialize(object.get("metadata").unwrap_or(&Value::Null))?;
        let mut managers = metadata.managed_fields.take().unwrap_or_default();
        managers.retain(|entry| entry.subresource.is_none());
        let component = metadata.labels.as_ref().and_then(|labels| labels.get(label::COMPONENT));
        let owned = managers.iter().filter(|entry| component.is_some() && entry.manager.as_ref() == component);
        let owned = owned.map(|entry| {
            json!({
                "apiVersion": entry.api_version, "manager": entry.manager, "operation": entry.operation,
                "fieldsV1": entry.fields_v1,
            })
        });
        let owned: Vec<Value> = owned.collect();
        if let Some(fields) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            fields.remove(MANAGED);
            if !owned.is_empty() {
                fields.insert(MANAGED.to_owned(), owned.into());
            }
        }
        let updates = |entry: &ManagedFieldsEntry| entry.operation.as_deref() == Some("Update");
        let updaters = managers.into_iter().filter(updates).filter_map(|entry| entry.manager);
        let updaters = updaters.map(String::into_boxed_str).collect();
        Ok(Self { metadata, updaters, text: object.to_string().into_boxed_str() })
    }

    /// The object as JSON text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The resource version as a number, if it is one.
    pub(super) fn number(&self) -> Option<u64> {
        self.metadata.resource_version.as_deref()?.parse().ok()
    }

    /// The same with nothing but what says which object it is, whose, and which shared secret it has.
    pub(super) fn reduced(self) -> Self {
        let annotations = self.metadata.annotations.unwrap_or_default();
        let number = annotations.into_iter().find(|(key, _)| key == shared::NUMBER);
        let metadata = ObjectMeta {
            name: self.metadata.name,
            namespace: self.metadata.namespace,
            uid: self.metadata.uid,
            resource_version: self.metadata.resource_version,
            owner_references: self.metadata.owner_references,
            annotations: number.map(|number| [number].into()),
            ..ObjectMeta::default()
        };
        let text = json!({ "metadata": metadata }).to_string().into_boxed_str();
        Self { metadata, updaters: Box::default(), text }
    }

    /// Packs it by what it differs in from the text of an object that is much alike.
    pub(super) fn pack(self, alike: Arc<str>, kind: &str) -> Packed {
        let owners = self.metadata.owner_references.unwrap_or_default();
        let controller =
            owners.into_iter().filter(|_| members::matters(kind)).find(|owner| owner.controller == Some(true));
        Packed {
            controller: controller.map(|controller| controller.uid.into_boxed_str()),
            uid: self.metadata.uid.unwrap_or_default().into_boxed_str(),
            version: self.metadata.resource_version.unwrap_or_default().into_boxed_str(),
            updaters: self.updaters,
            length: self.text.len(),
            text: compress_with_dict(self.text.as_bytes(), alike.as_bytes()).into_boxed_slice(),
            alike,
            arrived: 0,
        }
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
    fn only_the_managed_fields_of_the_component_are_kept() {
        let managers = json!([
            {"manager": "m", "operation": "Apply", "fieldsV1": {"f:data": {}}},
            {"manager": "m", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
            {"manager": "k", "operation": "Apply", "fieldsV1": {"f:spec": {}}},
        ]);
        let labels = json!({label::COMPONENT: "m"});
        let object = json!({"metadata": {"name": "a", "labels": labels, "managedFields": managers}});
        let kept = Arrived::new(object).unwrap().pack("".into(), "Secret").value()["metadata"][MANAGED].clone();
        let is_kept =
            kept.as_array().is_some_and(|kept| kept.len() == 1 && kept[0]["fieldsV1"] == json!({"f:data": {}}));
        assert!(is_kept, "{kept}");
    }

    #[test]
    fn managed_fields_are_dropped_but_who_posted_is_known() {
        let managers = json!([{"manager": "m", "operation": "Update"}, {"manager": "k", "operation": "Apply"}]);
        let arrived = Arrived::new(json!({"metadata": {"name": "a", "managedFields": managers}})).unwrap();
        let packed = arrived.pack("".into(), "Secret");
        assert_eq!(packed.value(), json!({"metadata": {"name": "a"}}));
        assert!(packed.was_posted_by("m"));
        assert!(!packed.was_posted_by("k"));
    }

    #[test]
    fn an_object_takes_the_room_of_what_is_its_own() {
        let text = |name: &str| json!({"metadata": {"name": name}, "data": {"a": "b".repeat(500), "c": "1, 2, 3, 4"}});
        let first = Arrived::new(text("one")).unwrap();
        let alike: Arc<str> = first.text().into();
        for (object, name) in [(first, "one"), (Arrived::new(text("another")).unwrap(), "another")] {
            let packed = object.pack(alike.clone(), "Secret");
            assert_eq!(packed.value(), text(name));
            assert!(packed.text.len() < 50, "{}", packed.text.len());
        }
    }
}
