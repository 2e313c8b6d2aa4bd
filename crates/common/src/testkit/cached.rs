//! Children as the watches have seen them.

use serde_json::Value;

use crate::{
    api::label,
    cache::{Arrived, Cache, Children, Instance},
};

/// These objects, each with its kind, as children of the object with the UID `ours`. The UID of each is its name.
pub fn cached(objects: &[(&str, Value)]) -> Children {
    let cache = Cache::default();
    for (version, (kind, object)) in (1..).zip(objects) {
        let mut object = object.clone();
        object["metadata"]["namespace"] = "n".into();
        object["metadata"]["uid"] = object["metadata"]["name"].clone();
        object["metadata"]["resourceVersion"] = version.to_string().into();
        object["metadata"]["labels"][label::INSTANCE] = "i".into();
        cache.put(kind, Arrived::new(object).unwrap());
    }
    cache.children(&Instance { namespace: "n".to_owned(), name: "i".to_owned() }, "ours")
}
