//! Custom resources.

use serde_json::{Value, json};

use crate::api::Kind;

/// An object of this name with this spec, in the namespace `default`: its generation 7.
pub fn object<K: Kind>(name: &str, spec: &Value) -> K {
    let object = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name, "namespace": "default", "uid": "0", "generation": 7},
        "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}
