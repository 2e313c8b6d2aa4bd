//! An object as received, and as the cache keeps it.

use std::{borrow::Cow, fmt, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, api::ApiResource};
use lz4_flex::block::{compress_with_dict, decompress_with_dict};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, json};

use super::members;
use crate::{api::label, metadata::remove_times, object::bounded, shared};

/// The metadata field with the owners of fields.
const MANAGED: &str = "managedFields";
/// The longest UID that is kept beside the text, in bytes: the API server's have 36, but references may name any.
const LONGEST_UID: usize = 64;
/// The longest reference to an owner, and the longest number of a shared secret, that a reduced object keeps, in bytes.
const LONGEST_OWNER: usize = 512;
const LONGEST_NUMBER: usize = 16;

/// An object as compressed JSON text, with the few values that are needed without unpacking it.
#[derive(Clone)]
pub(crate) struct Packed {
    uid: Arc<str>,
    version: Box<str>,
    /// The UID of the object that controls it, by its owner references; only for pods and the kinds that create them.
    controller: Option<Box<str>>,
    /// Whether its component has created it by POST and not applied it since.
    is_posted: bool,
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
    pub(crate) fn value(&self) -> Value {
        self.parse().unwrap_or_default()
    }

    /// The object as its type.
    pub(crate) fn parse<K: DeserializeOwned>(&self) -> serde_json::Result<K> {
        // Packed text can be unpacked; if not, the text is empty, which does not parse.
        let text = decompress_with_dict(&self.text, self.length, self.alike.as_bytes()).unwrap_or_default();
        serde_json::from_slice(&text)
    }

    /// The metadata, parsed.
    pub(crate) fn metadata(&self) -> ObjectMeta {
        #[derive(Deserialize)]
        struct Object {
            metadata: ObjectMeta,
        }
        self.parse().map(|object: Object| object.metadata).unwrap_or_default()
    }

    /// The resource version; empty if it has none.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Whether its component has created it by POST and not applied it since: see [`crate::driver`].
    pub(crate) fn was_posted(&self) -> bool {
        self.is_posted
    }

    /// Whether it is the object with that metadata, and not another one of its name.
    pub(super) fn is(&self, metadata: &ObjectMeta) -> bool {
        *self.uid == *metadata.uid.as_deref().unwrap_or_default()
    }

    /// The UID of the object that controls it; `None` if nothing does, and for kinds for which that does not matter.
    pub(super) fn controller(&self) -> Option<&str> {
        self.controller.as_deref()
    }

    /// Whether it is the same object as another, with the same controller.
    pub(super) fn has_same_owner(&self, other: &Self) -> bool {
        self.uid == other.uid && self.controller == other.controller
    }

    /// How many bytes are kept.
    pub(super) fn kept(&self) -> usize {
        self.text.len()
    }

    /// How many bytes it has when a pass unpacks it: a tenant's text of one letter is a two-hundredth as long while it is kept.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The UID; empty if it has none.
    pub(crate) fn uid(&self) -> &str {
        &self.uid
    }

    /// The same, for an index that shares it.
    pub(super) fn shared_uid(&self) -> Arc<str> {
        self.uid.clone()
    }

    /// The resource version as a number, if it is one.
    pub(super) fn number(&self) -> Option<u64> {
        self.version.parse().ok()
    }
}

/// An object from a watch or the answer to a write: as text, with its metadata, which the cache does not keep.
#[derive(Clone)]
pub(crate) struct Arrived {
    metadata: ObjectMeta,
    is_posted: bool,
    text: Box<str>,
}

impl fmt::Debug for Arrived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrived").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

impl Arrived {
    /// Takes an object without its managed fields, except the entries of `Update` operations, and those of the component in its
    /// labels, which show the fields that it still owns.
    pub(crate) fn new(mut object: Value) -> serde_json::Result<Self> {
        remove_times(&mut object);
        let mut metadata = ObjectMeta::deserialize(object.get("metadata").unwrap_or(&Value::Null))?;
        let mut managers = metadata.managed_fields.take().unwrap_or_default();
        let component = metadata.labels.as_ref().and_then(|labels| labels.get(label::COMPONENT));
        managers
            .retain(|entry| entry.subresource.is_none() && component.is_some() && entry.manager.as_ref() == component);
        let is_posted = managers.iter().any(|entry| entry.operation.as_deref() == Some("Update"));
        let owned = managers.iter().map(|entry| {
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
        Ok(Self { metadata, is_posted, text: object.to_string().into_boxed_str() })
    }

    /// The object as JSON text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The resource version as a number, if it is one.
    pub(super) fn number(&self) -> Option<u64> {
        self.metadata.resource_version.as_deref()?.parse().ok()
    }

    /// The same, reduced to its identity, its owner and the number of its shared secret.
    pub(super) fn reduced(self) -> Self {
        let annotations = self.metadata.annotations.unwrap_or_default();
        let number =
            annotations.into_iter().find(|(key, value)| key == shared::NUMBER && value.len() <= LONGEST_NUMBER);
        // The controller, if it has one: an object of the stack has no other owner.
        let owners = self.metadata.owner_references.into_iter().flatten().filter(is_plain);
        let owner = owners.max_by_key(|owner| owner.controller == Some(true));
        let metadata = ObjectMeta {
            name: self.metadata.name,
            namespace: self.metadata.namespace,
            uid: self.metadata.uid,
            resource_version: self.metadata.resource_version,
            owner_references: owner.map(|owner| vec![owner]),
            annotations: number.map(|number| [number].into()),
            ..ObjectMeta::default()
        };
        let text = json!({ "metadata": metadata }).to_string().into_boxed_str();
        Self { metadata, is_posted: false, text }
    }

    /// Compresses it by its difference from the text of a similar object.
    pub(super) fn pack(self, alike: Arc<str>, kind: &str) -> Packed {
        let controller = members::controller(&self.metadata).filter(|_| members::matters(kind));
        // No object has such a UID, so it may be any other.
        let controller = controller.map(|uid| if uid.len() > LONGEST_UID { "" } else { uid }.into());
        Packed {
            controller,
            uid: self.metadata.uid.unwrap_or_default().into(),
            version: self.metadata.resource_version.unwrap_or_default().into_boxed_str(),
            is_posted: self.is_posted,
            length: self.text.len(),
            text: compress_with_dict(self.text.as_bytes(), alike.as_bytes()).into_boxed_slice(),
            alike,
            arrived: 0,
        }
    }
}

/// Whether a reference to an owner is no longer than those that the API server and its controllers write.
fn is_plain(owner: &OwnerReference) -> bool {
    let OwnerReference { api_version, kind, name, uid, .. } = owner;
    [api_version, kind, name, uid].iter().map(|text| text.len()).sum::<usize>() <= LONGEST_OWNER
}

impl<'de> Deserialize<'de> for Arrived {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(bounded(deserializer)?).map_err(serde::de::Error::custom)
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
    fn posting_manager_counts_if_it_is_the_component() {
        let managers = json!([{"manager": "m", "operation": "Update"}, {"manager": "k", "operation": "Apply"}]);
        for (component, is_posted) in [("m", true), ("k", false)] {
            let labels = json!({label::COMPONENT: component});
            let object = json!({"metadata": {"name": "a", "labels": labels, "managedFields": managers}});
            assert_eq!(Arrived::new(object).unwrap().pack("".into(), "Secret").was_posted(), is_posted, "{component}");
        }
        let arrived = Arrived::new(json!({"metadata": {"name": "a", "managedFields": managers}})).unwrap();
        assert_eq!(arrived.pack("".into(), "Secret").value(), json!({"metadata": {"name": "a"}}));
    }

    #[test]
    fn similar_object_takes_only_the_room_of_its_difference() {
        let text = |name: &str| json!({"metadata": {"name": name}, "data": {"a": "b".repeat(500), "c": "1, 2, 3, 4"}});
        let first = Arrived::new(text("one")).unwrap();
        let alike: Arc<str> = first.text().into();
        for (object, name) in [(first, "one"), (Arrived::new(text("another")).unwrap(), "another")] {
            let packed = object.pack(alike.clone(), "Secret");
            assert_eq!(packed.value(), text(name));
            assert!(packed.text.len() < 50, "{}", packed.text.len());
        }
    }
    #[test]
    fn reduced_object_keeps_nothing_of_any_length() {
        let owner = |name: &str, is_controller: bool| json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name, "uid": name, "controller": is_controller});
        let mut owners = vec![owner(&"n".repeat(2000), false)];
        owners.extend((0..5000).map(|number| owner(&number.to_string(), false)));
        owners.push(owner("set", true));
        let metadata = json!({
            "name": "a", "uid": "u", "resourceVersion": "1", "ownerReferences": owners,
            "annotations": {shared::NUMBER: "7".repeat(100_000)},
        });
        let packed = Arrived::new(json!({ "metadata": metadata })).unwrap().reduced().pack("".into(), "Pod");
        assert!(
            packed.length() < 1000 && packed.controller() == Some("set"),
            "{} {:?}",
            packed.length(),
            packed.controller()
        );
    }

    #[test]
    fn managers_and_owners_beside_the_text_are_bounded() {
        let managers: Vec<_> =
            (0..5000).map(|number| json!({"manager": number.to_string(), "operation": "Update"})).collect();
        let owner = json!({"apiVersion": "", "kind": "", "name": "", "uid": "u".repeat(100_000), "controller": true});
        let metadata = json!({"name": "a", "labels": {label::COMPONENT: "m"}, "managedFields": managers, "ownerReferences": [owner]});
        let packed = Arrived::new(json!({ "metadata": metadata })).unwrap().pack("".into(), "Pod");
        assert!(!packed.was_posted() && packed.controller() == Some(""));
    }
}
