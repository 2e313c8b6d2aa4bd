//! Metadata that clients write and that need not parse.
//!
//! An entry of `managedFields` has a time, which the API server keeps as a client wrote it, up to the end of the year 9999. That is
//! later than this program can represent, and one object that does not parse fails the whole list of its kind, for all
//! namespaces. Nothing here needs these times, so they are removed before an object is parsed.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::Value;

use crate::object::bounded;

/// Removes the times of the entries in `managedFields`.
pub(crate) fn remove_times(object: &mut Value) {
    let entries = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten().filter_map(Value::as_object_mut) {
        entry.remove("time");
    }
}

/// An object that is parsed without the times of its managed fields.
#[derive(Clone, Debug)]
pub(crate) struct Timeless<K>(pub(crate) K);

impl<'de, K: DeserializeOwned> Deserialize<'de> for Timeless<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = bounded(deserializer)?;
        remove_times(&mut object);
        K::deserialize(object).map(Self).map_err(D::Error::custom)
    }
}

impl<K: Resource> Resource for Timeless<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(resource: &K::DynamicType) -> Cow<'_, str> {
        K::kind(resource)
    }

    fn group(resource: &K::DynamicType) -> Cow<'_, str> {
        K::group(resource)
    }

    fn version(resource: &K::DynamicType) -> Cow<'_, str> {
        K::version(resource)
    }

    fn plural(resource: &K::DynamicType) -> Cow<'_, str> {
        K::plural(resource)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{
        api::DynamicObject,
        core::{DeserializeGuard, PartialObjectMeta},
    };
    use serde_json::json;

    use super::*;
    use crate::cache::Arrived;

    fn object(time: &str) -> Value {
        let entry = json!({"manager": "kubectl", "operation": "Update", "time": time, "fieldsV1": {"f:data": {}}});
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "namespace": "n", "managedFields": [entry]},
            "data": {"key": "value"},
        })
    }

    #[test]
    fn object_with_any_time_of_its_fields_parses() {
        for time in ["9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "soon"] {
            let map: Timeless<ConfigMap> = serde_json::from_value(object(time)).unwrap();
            assert_eq!(map.0.data.unwrap()["key"], "value");
            assert!(map.0.metadata.managed_fields.unwrap()[0].fields_v1.is_some());
            let guarded: Timeless<DeserializeGuard<ConfigMap>> = serde_json::from_value(object(time)).unwrap();
            assert!(guarded.0.0.is_ok());
            serde_json::from_value::<Timeless<PartialObjectMeta<ConfigMap>>>(object(time)).unwrap();
            serde_json::from_value::<Timeless<DynamicObject>>(object(time)).unwrap();
            serde_json::from_value::<Arrived>(object(time)).unwrap();
        }
        assert!(serde_json::from_value::<ConfigMap>(object("9999-12-31T23:59:59Z")).is_err(), "no longer needed");
    }
}
