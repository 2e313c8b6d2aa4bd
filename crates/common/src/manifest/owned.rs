//! Whether all intended fields still belong to the manager that applied them, by the managed fields of the API server.
//!
//! A list or map that the API treats as one value (`x-kubernetes-list-type: atomic`, `x-kubernetes-map-type: atomic`: the
//! selector of a Service, the rules and peers of a `NetworkPolicy`, the arguments of a container) is owned as a whole. An edit
//! that adds to it leaves every intended value in place, but takes over the ownership. The server knows which lists and maps are
//! atomic: its `managedFields` end at them, so no table of kinds is needed, defaults that the server adds do not matter, and
//! foreign kinds need no special treatment.

use serde_json::Value;

use super::contains::{Difference, is_empty};

/// Metadata without an owner.
const IDENTITY: [&str; 4] = ["name", "namespace", "uid", "resourceVersion"];

/// Finds the first intended field that `manager` does not own in `live`, whether by POST or by apply.
pub(crate) fn disowned(intent: &Value, manager: &str, live: &Value) -> Option<Difference> {
    let entries = live["metadata"]["managedFields"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_version = |entry: &&Value| entry["apiVersion"].is_null() || entry["apiVersion"] == intent["apiVersion"];
    let is_managers = |entry: &&Value| entry["manager"] == manager && entry["subresource"].is_null();
    let nodes: Vec<&Value> =
        entries.iter().filter(is_managers).filter(of_version).map(|entry| &entry["fieldsV1"]).collect();
    let mut path = Vec::new();
    let lacks = intent.as_object().into_iter().flatten().any(|(key, wanted)| match key.as_str() {
        "apiVersion" | "kind" | "status" => false,
        "metadata" => {
            let fields = wanted.as_object().into_iter().flatten();
            let mut owned = fields.filter(|(key, _)| !IDENTITY.contains(&key.as_str()));
            let below = children(&nodes, "f:metadata");
            owned.any(|(key, wanted)| lacks_field(key, wanted, &below, &mut path)) && {
                path.push(key.clone());
                true
            }
        }
        _ => lacks_field(key, wanted, &nodes, &mut path),
    });
    lacks.then(|| Difference::at(&path))
}

/// Whether a field of a map is missing from the managed fields; `path` is then the path to it, innermost first.
fn lacks_field(key: &str, wanted: &Value, nodes: &[&Value], path: &mut Vec<String>) -> bool {
    let below = children(nodes, &format!("f:{key}"));
    let lacks = if below.is_empty() { !is_empty(wanted) } else { lacks_value(wanted, &below, path) };
    if lacks {
        path.push(key.to_owned());
    }
    lacks
}

fn lacks_value(wanted: &Value, nodes: &[&Value], path: &mut Vec<String>) -> bool {
    // The managed fields end at a value that is owned as a whole.
    if nodes.iter().any(|node| node.as_object().is_none_or(serde_json::Map::is_empty)) {
        return false;
    }
    match wanted {
        Value::Object(fields) => fields.iter().any(|(key, wanted)| lacks_field(key, wanted, nodes, path)),
        Value::Array(elements) => {
            let keyed = keyed(nodes);
            elements.iter().enumerate().any(|(index, element)| {
                let below: Vec<&Value> =
                    keyed.iter().filter(|(key, _)| is_of(key, element)).map(|(_, node)| *node).collect();
                let lacks = below.is_empty() || lacks_value(element, &below, path);
                if lacks {
                    path.push(index.to_string());
                }
                lacks
            })
        }
        _ => false,
    }
}

fn children<'a>(nodes: &[&'a Value], key: &str) -> Vec<&'a Value> {
    nodes.iter().filter_map(|node| node.get(key)).collect()
}

/// How the managed fields name an element of a list: by its key fields, or by its value.
enum Element {
    Key(Value),
    Value(Value),
}

fn keyed<'a>(nodes: &[&'a Value]) -> Vec<(Element, &'a Value)> {
    let entries = nodes.iter().filter_map(|node| node.as_object()).flatten();
    let element = |key: &str| {
        let (kind, text) = key.split_once(':')?;
        let value = serde_json::from_str(text).ok()?;
        match kind {
            "k" => Some(Element::Key(value)),
            "v" => Some(Element::Value(value)),
            _ => None,
        }
    };
    entries.filter_map(|(key, node)| Some((element(key)?, node))).collect()
}

/// Whether this names the element. A part of the key that the element does not have is a default of the server.
fn is_of(noted: &Element, element: &Value) -> bool {
    match noted {
        Element::Value(value) => value == element,
        Element::Key(key) => {
            let mut parts = key.as_object().into_iter().flatten();
            parts.all(|(part, value)| element.get(part).is_none_or(|has| has == value))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Where something is missing from what the manager `m` owns.
    fn missing(intent: &Value, fields: &Value) -> Option<String> {
        let managed = json!([
            {"manager": "m", "operation": "Apply", "fieldsV1": fields},
            {"manager": "other", "operation": "Update", "fieldsV1": {"f:spec": {}}},
        ]);
        disowned(intent, "m", &json!({"metadata": {"managedFields": managed}})).map(|difference| difference.pointer)
    }

    #[test]
    fn extended_selector_is_disowned() {
        let intent = json!({"kind": "Service", "metadata": {"name": "x"}, "spec": {"selector": {"a": "b"}, "type": "ClusterIP"}});
        assert_eq!(missing(&intent, &json!({"f:spec": {"f:selector": {}, "f:type": {}}})), None);
        let after = json!({"f:spec": {"f:type": {}}});
        assert_eq!(missing(&intent, &after).as_deref(), Some("/spec/selector"));
    }

    #[test]
    fn elements_of_merged_lists_are_found_by_their_keys() {
        let port = json!({".": {}, "f:port": {}, "f:name": {}, "f:protocol": {}});
        let fields = json!({"f:spec": {"f:ports": {".": {}, r#"k:{"port":1,"protocol":"TCP"}"#: port}}});
        let intent = |port: u16| json!({"spec": {"ports": [{"port": port, "name": "a"}]}});
        assert_eq!(missing(&intent(1), &fields), None);
        assert_eq!(missing(&intent(2), &fields).as_deref(), Some("/spec/ports/0"));
    }

    #[test]
    fn nested_list_is_owned_separately() {
        let pod = |container: Value| json!({"f:spec": {"f:containers": {r#"k:{"name":"c"}"#: container}}});
        let intent = json!({"spec": {"containers": [{"name": "c", "args": ["-a"]}]}});
        assert_eq!(missing(&intent, &pod(json!({".": {}, "f:name": {}, "f:args": {}}))), None);
        let after = pod(json!({".": {}, "f:name": {}}));
        assert_eq!(missing(&intent, &after).as_deref(), Some("/spec/containers/0/args"));
    }

    #[test]
    fn elements_of_sets_are_found_by_their_values() {
        let fields = json!({"f:metadata": {"f:finalizers": {".": {}, r#"v:"a""#: {}}}});
        assert_eq!(missing(&json!({"metadata": {"name": "x", "finalizers": ["a"]}}), &fields), None);
        let wanted = json!({"metadata": {"name": "x", "finalizers": ["a", "b"]}});
        assert_eq!(missing(&wanted, &fields).as_deref(), Some("/metadata/finalizers/1"));
    }

    #[test]
    fn empty_value_needs_no_owner() {
        assert_eq!(
            missing(&json!({"spec": {"a": {}, "b": [], "c": false, "d": 0}}), &json!({"f:spec": {"f:e": {}}})),
            None
        );
    }

    #[test]
    fn only_posted_and_applied_fields_count_as_owned() {
        let live = json!({"metadata": {"managedFields": [
            {"manager": "m", "operation": "Update", "fieldsV1": {"f:data": {"f:a": {}}}},
            {"manager": "m", "operation": "Apply", "fieldsV1": {"f:data": {"f:b": {}}}},
            {"manager": "m", "operation": "Apply", "apiVersion": "v0", "fieldsV1": {"f:data": {"f:c": {}}}},
        ]}});
        let intent = |key: &str| json!({"apiVersion": "v1", "data": {key: "1"}});
        assert_eq!((disowned(&intent("a"), "m", &live), disowned(&intent("b"), "m", &live)), (None, None));
        assert!(disowned(&intent("c"), "m", &live).is_some());
        assert!(disowned(&intent("a"), "other", &live).is_some());
        assert!(disowned(&intent("a"), "m", &json!({"metadata": {}})).is_some());
    }
}
