//! The desired object with its ownership: a manifest with the metadata of its owner, and how that metadata is read.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Value, json};

use crate::{
    api::{DeletionPolicy, annotation, label},
    manifest::{Lifetime, Manifest, Mode, difference, hash},
};

/// The owner of the children.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    /// The component, which is also the field manager.
    pub(super) component: &'static str,
    /// The custom resource.
    pub(super) reference: OwnerReference,
}

/// The object to apply: with namespace, labels, owner, and the hash of all that.
pub(super) fn stamped(owner: &Owner, manifest: &Manifest) -> Value {
    let mut object = manifest.object.clone();
    object["apiVersion"] = json!(manifest.resource.api_version);
    object["kind"] = json!(manifest.resource.kind);
    let lifetime = manifest.lifetime;
    mark(&mut object, owner, lifetime);
    if matches!(manifest.mode, Mode::Existing) {
        // It has no hash: a correct object needs no write, and a write beside those of its creators would only cause conflicts.
        // Its ownership is set separately.
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("ownerReferences");
        }
        return object;
    }
    if !manifest.immutable.is_empty() {
        let made: Vec<_> = manifest.immutable.iter().map(|pointer| object.pointer(pointer)).collect();
        let made = hash(&json!(made));
        object["metadata"]["annotations"][annotation::MADE] = json!(made);
    }
    let intent = hash(&without_secrets(&object));
    object["metadata"]["annotations"][annotation::INTENT] = json!(intent);
    object
}

/// The keys of a Secret without their values, from whose hash a weak password could be guessed. A changed value is found by
/// comparing the values themselves.
fn without_secrets(object: &Value) -> Value {
    let mut shown = object.clone();
    if object["kind"] == "Secret"
        && let Some(data) = shown.get_mut("data").and_then(Value::as_object_mut)
    {
        data.values_mut().for_each(|value| *value = Value::Null);
    }
    shown
}

/// Whether an immutable part must change or disappear.
pub(super) fn must_be_remade(manifest: &Manifest, intent: &Value, live: &Value) -> bool {
    let made = |object: &Value| object["metadata"]["annotations"][annotation::MADE].as_str().map(str::to_owned);
    manifest.immutable.iter().any(|pointer| differs_at(pointer, intent, live))
        || made(live).is_some_and(|was| made(intent) != Some(was))
}

/// Writes the ownership of an object: labels, owner annotation of data, owner reference unless it outlives its owner.
pub(super) fn mark(object: &mut Value, owner: &Owner, lifetime: Lifetime) {
    let labels = &mut object["metadata"]["labels"];
    labels[label::MANAGED_BY] = json!(label::STACK);
    labels[label::COMPONENT] = json!(owner.component);
    labels[label::INSTANCE] = json!(owner.reference.name);
    if let Lifetime::Data(_) = lifetime {
        labels[label::DATA] = json!("true");
        object["metadata"]["annotations"][annotation::OWNER] = json!(owner.reference.uid);
    }
    if lifetime != Lifetime::Data(DeletionPolicy::Retain) {
        object["metadata"]["ownerReferences"] = json!([owner.reference]);
    }
}

/// Whether an object may be written to: it has our owner reference, or it is data of an object of the same kind and name.
pub(super) fn is_ours(owner: &Owner, meta: &ObjectMeta) -> bool {
    let labelled =
        |key: &str, value: &str| meta.labels.as_ref().and_then(|labels| labels.get(key)).is_some_and(|v| v == value);
    owns(owner, meta)
        || (is_data(meta)
            && labelled(label::MANAGED_BY, label::STACK)
            && labelled(label::COMPONENT, owner.component)
            && labelled(label::INSTANCE, &owner.reference.name))
}

/// Whether an object may be deleted because it is no longer wanted. Data must be recorded as this object's; and data that are
/// deleted with their object must be exactly the recorded ones: a copy that was restored by hand has another UID.
pub(super) fn may_be_deleted(owner: &Owner, lifetime: Lifetime, meta: &ObjectMeta) -> bool {
    if !is_data(meta) {
        return owns(owner, meta);
    }
    let note = |key: &str| meta.annotations.as_ref()?.get(key).cloned();
    note(annotation::OWNER).as_ref() == Some(&owner.reference.uid)
        && (lifetime == Lifetime::WithOwner || (meta.uid.is_some() && note(annotation::RECORDED) == meta.uid))
}

/// Whether an object belongs to an earlier custom resource of the same kind and name: garbage collection will take it.
pub(super) fn is_predecessors(owner: &Owner, meta: &ObjectMeta) -> bool {
    meta.owner_references.iter().flatten().any(|reference| {
        reference.api_version == owner.reference.api_version
            && reference.kind == owner.reference.kind
            && reference.name == owner.reference.name
            && reference.uid != owner.reference.uid
    })
}

/// Whether an object has our owner reference.
pub(super) fn owns(owner: &Owner, meta: &ObjectMeta) -> bool {
    meta.owner_references.iter().flatten().any(|reference| reference.uid == owner.reference.uid)
}

/// Whether an object is labelled as data.
pub(super) fn is_data(meta: &ObjectMeta) -> bool {
    meta.labels.as_ref().and_then(|labels| labels.get(label::DATA)).is_some_and(|value| value == "true")
}

/// Whether data belonged to an earlier object of the same name.
pub(super) fn was_of_another(owner: &Owner, live: &Value) -> bool {
    live["metadata"]["annotations"][annotation::OWNER].as_str().is_some_and(|uid| uid != owner.reference.uid)
}

fn differs_at(pointer: &str, intent: &Value, live: &Value) -> bool {
    match (intent.pointer(pointer), live.pointer(pointer)) {
        (Some(intent), Some(live)) => difference(intent, live).is_some(),
        (Some(_), None) => true,
        (None, _) => false,
    }
}
