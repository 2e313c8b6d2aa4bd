//! Linkerd: what its objects say, reduced to what is read.

pub(crate) mod certificate;
pub(crate) mod installation;
pub(crate) mod namespace;
pub(crate) mod node;
pub(crate) mod pod;
pub(crate) mod policies;
pub(crate) mod version;
pub(crate) mod workload;

use kube::api::{DynamicObject, ObjectMeta};
use serde::{Serialize, de::DeserializeOwned};

/// Replaces the content of an object by what was read from it, and its metadata by its identity.
fn keep(object: &mut DynamicObject, read: &impl Serialize) {
    let metadata = std::mem::take(&mut object.metadata);
    object.metadata =
        ObjectMeta { name: metadata.name, namespace: metadata.namespace, uid: metadata.uid, ..ObjectMeta::default() };
    // The types here always serialise.
    object.data = serde_json::to_value(read).unwrap_or_default();
}

/// What was kept of an object; `None` if it was too large.
fn kept<T: DeserializeOwned>(object: &DynamicObject) -> Option<T> {
    T::deserialize(&object.data).ok()
}
