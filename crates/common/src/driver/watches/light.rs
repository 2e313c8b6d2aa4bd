//! The parts of a watched object that are kept: users write it, so they must not determine how much memory it takes.
//!
//! A status is written by the controller alone, but it has versions and names that a tenant's program reports. So it counts against
//! the limit of its namespace, and not against that of its object, which the user could not meet.

use std::collections::HashMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    api::DynamicObject,
    core::{DeserializeGuard, error_boundary::InvalidObject},
};
use serde::Serialize;
use serde_json::Value;

use crate::{api::GROUP, tally::Tally};

/// The largest size of an object without its status, in bytes. All objects are kept in memory; a long configuration belongs in a
/// ConfigMap, which is not.
const LARGEST: usize = 64 << 10;
/// The most levels of an object: the deepest that is of any use has a dozen. The client leaves deeper ones out at a level that
/// differs between a list and a watch, so an object must be refused long before.
const DEEPEST: usize = 64;
/// The size of all objects of one kind in a namespace with their statuses, in bytes.
const MOST_OF_NAMESPACE: usize = 8 << 20;
/// How many characters are kept of the error of an object that does not parse.
const LONGEST_ERROR: usize = 500;
/// How many bytes of labels are kept of an object.
const MOST_LABELS: usize = 4 << 10;

/// Removes unused parts, which may be the largest: managed fields and foreign annotations.
pub(super) fn lighten(object: &mut impl Resource) {
    let meta = object.meta_mut();
    meta.managed_fields = None;
    let is_ours = |key: &str| key.strip_prefix(GROUP).is_some_and(|rest| rest.starts_with('/'));
    if let Some(annotations) = &mut meta.annotations {
        annotations.retain(|key, _| is_ours(key));
    }
    if let Some(labels) = &mut meta.labels
        && labels.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > MOST_LABELS
    {
        labels.retain(|key, _| is_ours(key));
    }
}

/// Treats an object that is too large or too deep, alone or together with the others of its namespace, like one that does not
/// parse: it is reported in its status, and only its identity is kept. The error of an object that does not parse is cut, because
/// it may quote input of any length.
pub(super) fn refuse_large<K: Resource<DynamicType = ()> + Serialize>(
    object: &mut DeserializeGuard<K>,
    sizes: &mut Sizes,
) {
    let known = match &mut object.0 {
        Ok(known) => known,
        Err(invalid) => {
            invalid.error = invalid.error.chars().take(LONGEST_ERROR).collect();
            invalid.metadata = identity(&invalid.metadata);
            sizes.remove(&invalid.metadata);
            return;
        }
    };
    let extent = Extent::new(known);
    let error = if extent.size > LARGEST {
        format!(
            "its {} KiB exceed the limit of {}; move long configuration into a ConfigMap or Secret that the spec names",
            extent.size >> 10,
            LARGEST >> 10
        )
    } else if extent.levels > DEEPEST {
        format!("its values are nested deeper than {DEEPEST} levels; remove the deepest ones")
    } else if !sizes.put(known.meta(), extent.size + extent.status) {
        format!(
            "the objects of this kind in the namespace exceed {} MiB together; shorten or delete some of them, then edit this one",
            MOST_OF_NAMESPACE >> 20
        )
    } else {
        return;
    };
    sizes.remove(known.meta());
    object.0 = Err(InvalidObject { error, metadata: identity(known.meta()) });
}

/// The same for a neighbour, which then does not parse.
pub(super) fn empty_large(object: &mut DynamicObject, sizes: &mut Sizes) {
    let extent = Extent::new(object);
    let is_fit = extent.size <= LARGEST && extent.levels <= DEEPEST;
    if !is_fit || !sizes.put(&object.metadata, extent.size + extent.status) {
        sizes.remove(&object.metadata);
        object.data = Value::Null;
        object.metadata = identity(&object.metadata);
    }
}

/// The metadata whose length users do not determine.
fn identity(metadata: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        generation: metadata.generation,
        resource_version: metadata.resource_version.clone(),
        creation_timestamp: metadata.creation_timestamp.clone(),
        deletion_timestamp: metadata.deletion_timestamp.clone(),
        ..ObjectMeta::default()
    }
}

/// The sizes of the objects of one kind, by namespace and UID.
#[derive(Default)]
pub(super) struct Sizes {
    objects: HashMap<String, usize>,
    namespaces: Tally,
}

impl Sizes {
    /// Counts an object, instead of its earlier state; `false` if there is no room for it in its namespace.
    fn put(&mut self, metadata: &ObjectMeta, size: usize) -> bool {
        self.remove(metadata);
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        if self.namespaces.amount(namespace) + size > MOST_OF_NAMESPACE {
            return false;
        }
        self.namespaces.add(namespace, size);
        self.objects.insert(metadata.uid.clone().unwrap_or_default(), size);
        true
    }

    /// Forgets an object.
    pub(super) fn remove(&mut self, metadata: &ObjectMeta) {
        let Some(size) = self.objects.remove(metadata.uid.as_deref().unwrap_or_default()) else { return };
        self.namespaces.subtract(metadata.namespace.as_deref().unwrap_or_default(), size);
    }
}

/// How large an object is.
struct Extent {
    /// Without its status, in bytes.
    size: usize,
    /// Its status, in bytes.
    status: usize,
    /// How deeply its values are nested.
    levels: usize,
}

impl Extent {
    fn new(object: &impl Serialize) -> Self {
        let mut object = serde_json::to_value(object).unwrap_or_default();
        let status = object.as_object_mut().and_then(|fields| fields.remove("status"));
        let status = status.map_or(0, |status| status.to_string().len());
        Self { size: object.to_string().len(), status, levels: levels(&object) }
    }
}

/// How many lists and objects are around the innermost one, with it. What was parsed has some hundred at most.
fn levels(value: &Value) -> usize {
    let deepest = match value {
        Value::Object(fields) => fields.values().map(levels).max(),
        Value::Array(items) => items.iter().map(levels).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::OwnerReference};
    use serde_json::json;

    use super::*;
    use crate::api::IpfsCluster;

    fn metadata(namespace: &str, uid: usize) -> ObjectMeta {
        ObjectMeta { namespace: Some(namespace.to_owned()), uid: Some(uid.to_string()), ..ObjectMeta::default() }
    }

    #[test]
    fn objects_of_a_namespace_have_a_common_limit() {
        let mut sizes = Sizes::default();
        let fitting = (0..1000).filter(|uid| sizes.put(&metadata("hostile", *uid), LARGEST)).count();
        assert_eq!(fitting, MOST_OF_NAMESPACE / LARGEST);
        assert!(sizes.put(&metadata("other", 5000), LARGEST));
        assert!(!sizes.put(&metadata("hostile", 5001), 1000));
        // An object that is known may change, and one that goes makes room.
        assert!(sizes.put(&metadata("hostile", 0), LARGEST - 2000));
        assert!(sizes.put(&metadata("hostile", 5001), 1000));
        (0..1000).for_each(|uid| sizes.remove(&metadata("hostile", uid)));
        sizes.remove(&metadata("hostile", 5001));
        assert_eq!(sizes.namespaces.amount("hostile"), 0);
    }
    /// Metadata with whatever a user may write without a limit.
    fn written_at_length() -> ObjectMeta {
        let owner = OwnerReference { name: "n".repeat(1000), ..OwnerReference::default() };
        ObjectMeta {
            name: Some("x".to_owned()),
            annotations: Some([(format!("{GROUP}/paused"), "a".repeat(200_000))].into()),
            labels: Some([("a".to_owned(), "b".to_owned())].into()),
            finalizers: Some(vec!["example.com/held".to_owned(); 1000]),
            owner_references: Some(vec![owner; 100]),
            generation: Some(3),
            ..metadata("hostile", 1)
        }
    }

    fn is_identity(metadata: &ObjectMeta) -> bool {
        let kept = serde_json::to_value(metadata).unwrap();
        kept == json!({"name": "x", "namespace": "hostile", "uid": "1", "generation": 3})
    }

    #[test]
    fn refused_object_keeps_only_its_identity() {
        let mut sizes = Sizes::default();
        let invalid = InvalidObject { error: "e".repeat(100_000), metadata: written_at_length() };
        let mut unparsable = DeserializeGuard::<Pod>(Err(invalid));
        let mut large = DeserializeGuard(Ok(Pod { metadata: written_at_length(), ..Pod::default() }));
        for object in [&mut unparsable, &mut large] {
            refuse_large(object, &mut sizes);
            let refused = object.0.as_ref().unwrap_err();
            assert!(refused.error.len() <= LONGEST_ERROR && is_identity(&refused.metadata), "{refused:?}");
        }
        let mut neighbour = DynamicObject { types: None, metadata: written_at_length(), data: json!({"spec": {}}) };
        empty_large(&mut neighbour, &mut sizes);
        assert!(neighbour.data.is_null() && is_identity(&neighbour.metadata), "{:?}", neighbour.metadata);
        assert_eq!(sizes.namespaces.total(), 0);
    }

    #[test]
    fn object_that_no_longer_parses_makes_room() {
        let mut sizes = Sizes::default();
        refuse_large(&mut DeserializeGuard(Ok(Pod { metadata: metadata("n", 1), ..Pod::default() })), &mut sizes);
        assert!(sizes.namespaces.amount("n") > 0);
        let invalid = InvalidObject { error: "no".to_owned(), metadata: metadata("n", 1) };
        refuse_large(&mut DeserializeGuard::<Pod>(Err(invalid)), &mut sizes);
        assert_eq!(sizes.namespaces.amount("n"), 0);
    }

    #[test]
    fn statuses_count_towards_the_limit_of_a_namespace() {
        let mut sizes = Sizes::default();
        let reporting = |uid: usize| {
            let status = json!({"message": "1".repeat(256 << 10)});
            let pod = json!({"metadata": metadata("hostile", uid), "status": status});
            DeserializeGuard(Ok(serde_json::from_value::<Pod>(pod).unwrap()))
        };
        let kept = (0..100).filter(|uid| {
            let mut object = reporting(*uid);
            refuse_large(&mut object, &mut sizes);
            object.0.is_ok()
        });
        assert_eq!(kept.count(), 31);
    }

    #[test]
    fn deep_object_is_refused_before_the_client_cuts_it() {
        let nested = |levels: usize| (0..levels).fold(json!(0), |inner, _| json!([inner]));
        for (levels, is_refused) in [(10, false), (DEEPEST, true), (90, true)] {
            let config = json!({"Experimental": nested(levels)});
            let spec = json!({"provider": {"kubo": {"kuboConfig": config}}});
            let cluster = json!({"metadata": metadata("n", 1), "spec": spec});
            let mut object = DeserializeGuard(Ok(serde_json::from_value::<IpfsCluster>(cluster).unwrap()));
            refuse_large(&mut object, &mut Sizes::default());
            assert_eq!(object.0.is_err_and(|refused| refused.error.contains("levels")), is_refused, "{levels}");
        }
    }
}
