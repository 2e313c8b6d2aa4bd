//! Whether a live object still contains every value that was intended.

use std::cmp::Ordering;

use serde_json::Value;

use super::quantity;

/// The first place in which a live object differs from the intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// JSON pointer to the field.
    pub pointer: String,
}

/// Finds the first intended value that `live` does not contain.
///
/// Additions of the API server (defaults, status, fields of other managers) are no difference. Nor are rewritten values:
/// quantities are compared by value, and empty maps and lists may be absent. In a list of objects every intended element must be
/// contained in some live one, because merged lists keep foreign elements; a list of plain values must be equal. Foreign
/// additions to a list or map that the API treats as one value are detected by [`disowned`](super::disowned).
pub fn difference(intent: &Value, live: &Value) -> Option<Difference> {
    let mut path = Vec::new();
    has_difference(intent, live, &mut path).then(|| Difference::at(&path))
}

impl Difference {
    /// The difference at the end of a path, innermost first.
    pub(super) fn at(path: &[String]) -> Self {
        Self { pointer: path.iter().rev().fold(String::new(), |pointer, part| pointer + "/" + part) }
    }
}

/// Whether they differ; `path` is then the path to the difference, innermost first.
fn has_difference(intent: &Value, live: &Value, path: &mut Vec<String>) -> bool {
    match (intent, live) {
        (Value::Object(intent), Value::Object(live)) => {
            for (key, wanted) in intent {
                let differs = match live.get(key) {
                    Some(found) if is_quantity_field(key) => !has_same_quantities(wanted, found),
                    Some(found) => has_difference(wanted, found, path),
                    None => !is_empty(wanted),
                };
                if differs {
                    path.push(key.clone());
                    return true;
                }
            }
            false
        }
        (Value::Array(intent), Value::Array(live)) if intent.iter().all(Value::is_object) => {
            for (index, wanted) in intent.iter().enumerate() {
                // Most lists keep their order, so the element of the same index is tried first.
                let here = live.get(index).is_some_and(|found| !has_difference(wanted, found, &mut Vec::new()));
                let found = here || live.iter().any(|found| !has_difference(wanted, found, &mut Vec::new()));
                if !found {
                    path.push(index.to_string());
                    return true;
                }
            }
            intent.is_empty() && !live.is_empty()
        }
        (intent, live) => intent != live,
    }
}

pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(list) => list.is_empty(),
        // Empty values are left out by the server if their type has no pointer.
        Value::String(text) => text.is_empty(),
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
    }
}

/// Fields whose strings are quantities, which the API server writes in its own canonical form.
fn is_quantity_field(key: &str) -> bool {
    matches!(key, "requests" | "limits" | "sizeLimit" | "hard" | "divisor")
}

fn has_same_quantities(intent: &Value, live: &Value) -> bool {
    match (intent, live) {
        (Value::Object(intent), Value::Object(live)) => {
            intent.iter().all(|(key, wanted)| live.get(key).is_some_and(|found| has_same_quantities(wanted, found)))
        }
        (Value::String(intent), Value::String(live)) => {
            intent == live || quantity::compare(intent, live) == Some(Ordering::Equal)
        }
        (intent, live) => intent == live,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointer(intent: &Value, live: &Value) -> Option<String> {
        difference(intent, live).map(|difference| difference.pointer)
    }

    #[test]
    fn defaults_of_the_server_are_no_difference() {
        let intent = json!({"spec": {"ports": [{"name": "sql", "port": 5432}]}});
        let live = json!({"spec": {"ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}], "type": "ClusterIP"}});
        assert_eq!(pointer(&intent, &live), None);
    }

    #[test]
    fn changed_value_is_named_with_its_path() {
        let intent = json!({"spec": {"ports": [{"name": "sql", "port": 5432}]}});
        let live = json!({"spec": {"ports": [{"name": "sql", "port": 5433}]}});
        assert_eq!(pointer(&intent, &live).as_deref(), Some("/spec/ports/0"));
    }

    #[test]
    fn quantity_is_compared_by_value() {
        let intent = json!({"resources": {"limits": {"memory": "1024Mi", "cpu": "0.5"}}});
        let live = json!({"resources": {"limits": {"memory": "1Gi", "cpu": "500m"}}});
        assert_eq!(pointer(&intent, &live), None);
    }

    #[test]
    fn quantity_of_another_value_is_a_difference() {
        let intent = json!({"resources": {"limits": {"memory": "1Gi"}}});
        let live = json!({"resources": {"limits": {"memory": "2Gi"}}});
        assert_eq!(pointer(&intent, &live).as_deref(), Some("/resources/limits"));
    }

    #[test]
    fn foreign_elements_of_a_merged_list_are_no_difference() {
        let intent = json!({"ports": [{"port": 1}]});
        let live = json!({"ports": [{"port": 2}, {"port": 1}]});
        assert_eq!(pointer(&intent, &live), None);
    }

    #[test]
    fn appended_argument_is_a_difference() {
        assert!(pointer(&json!({"args": ["-a"]}), &json!({"args": ["-a", "-b"]})).is_some());
    }

    #[test]
    fn absent_zero_is_no_difference_but_another_value_is() {
        let intent = json!({"text": "", "flag": false, "number": 0});
        assert_eq!(pointer(&intent, &json!({})), None);
        assert_eq!(pointer(&intent, &json!({"flag": true})).as_deref(), Some("/flag"));
    }

    #[test]
    fn absent_empty_map_is_no_difference_but_an_absent_value_is() {
        assert_eq!(pointer(&json!({"a": {}, "b": {"c": []}}), &json!({})), None);
        assert_eq!(pointer(&json!({"a": {"b": 1}}), &json!({})).as_deref(), Some("/a"));
    }
}
