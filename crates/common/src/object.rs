//! Objects of the API server as JSON, bounded while they are parsed.
//!
//! Parsed, `[{"":0}]` takes a hundred times its length, and the schema of a custom resource may keep fields that it does not know.
//! One such object of a megabyte would take more memory than the process may have, and again at each start. So a spec has at most
//! [`MOST`] values, and so has each field of the metadata. What is beyond is parsed and dropped, and a spec with more is replaced
//! by a text that says so: it parses as no kind's spec, so the object is reported like one with any other mistake.
//!
//! Everything else is flat, or of a schema without unknown fields, and grows in proportion to its text.

use std::{cell::Cell, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// The most values of a spec; those of the stack have a hundred, and a long configuration of Kubo some hundred more.
const MOST: usize = 4000;
/// In place of a spec that has more.
const TOO_MANY: &str = "more than 4,000 values; move long configuration into a ConfigMap or Secret that the spec names";

/// Parses an object.
pub(crate) fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Part::Object.deserialize(deserializer)
}

/// What is being parsed.
#[derive(Clone, Copy)]
enum Part<'a> {
    /// The object itself.
    Object,
    /// Its metadata.
    Metadata,
    /// A part that grows in proportion to its text.
    Flat,
    /// A part of one that has a limit: how many values are left, and whether any was dropped.
    Limited(&'a Budget),
}

struct Budget {
    left: Cell<usize>,
    is_exceeded: Cell<bool>,
}

impl Budget {
    fn new() -> Self {
        Self { left: Cell::new(MOST), is_exceeded: Cell::new(false) }
    }

    /// The value of a spec, or the text in its place.
    fn replace_excess(&self, spec: Value) -> Value {
        if self.is_exceeded.get() { TOO_MANY.into() } else { spec }
    }
}

impl Part<'_> {
    /// Whether a further value may be kept, which then counts.
    fn take(self) -> bool {
        let Self::Limited(budget) = self else { return true };
        let left = budget.left.get().checked_sub(1);
        budget.left.set(left.unwrap_or_default());
        left.is_some()
    }

    fn exceed(self) {
        if let Self::Limited(budget) = self {
            budget.is_exceeded.set(true);
        }
    }

    /// The value of the field `key`.
    fn field<'de, A: MapAccess<'de>>(self, key: &str, map: &mut A) -> Result<Value, A::Error> {
        match self {
            Self::Object if key == "metadata" => map.next_value_seed(Part::Metadata),
            Self::Object if key == "spec" => {
                let budget = Budget::new();
                Ok(budget.replace_excess(map.next_value_seed(Part::Limited(&budget))?))
            }
            Self::Metadata => map.next_value_seed(Part::Limited(&Budget::new())),
            Self::Object | Self::Flat => map.next_value_seed(Part::Flat),
            Self::Limited(_) => map.next_value_seed(self),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        // A list is no object, and has no fields with limits of their own.
        let part = if matches!(self, Self::Limited(_)) { self } else { Part::Flat };
        let mut items = Vec::new();
        while part.take() {
            match list.next_element_seed(part)? {
                Some(item) => items.push(item),
                None => return Ok(items.into()),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            self.exceed();
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while self.take() {
            let Some(key) = map.next_key::<String>()? else { return Ok(fields.into()) };
            let value = self.field(&key, &mut map)?;
            fields.insert(key, value);
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            self.exceed();
        }
        Ok(fields.into())
    }
}

#[cfg(test)]
mod tests {
    use kube::core::DeserializeGuard;
    use serde_json::json;

    use super::*;
    use crate::{api::IpfsCluster, metadata::Timeless};

    fn parse(object: &Value) -> Value {
        bounded(&mut serde_json::Deserializer::from_str(&object.to_string())).unwrap()
    }

    #[test]
    fn usual_object_is_unchanged() {
        let config: Vec<Value> =
            (0..300).map(|number| json!({"a": [number, -1, 0.5, null, true, "\u{e9}\n"]})).collect();
        let object = json!({
            "metadata": {"name": "a", "labels": {"b": "c"}, "ownerReferences": [{"uid": "u", "controller": true}]},
            "spec": {"config": config, "empty": [{}, []]},
            "status": {"conditions": [{"type": "Ready"}]},
            "data": (0..5000).map(|number| (number.to_string(), json!("x"))).collect::<Map<_, _>>(),
        });
        assert_eq!(parse(&object), object);
        assert_eq!(parse(&json!([1, {"spec": {}}])), json!([1, {"spec": {}}]));
    }

    #[test]
    fn spec_of_too_many_values_is_no_spec_and_names_the_cause() {
        for config in [json!(vec![0; 100_000]), json!(vec![json!({"": 0}); 50_000])] {
            let spec = json!({"provider": {"kubo": {"kuboConfig": {"Experimental": config}}}, "replicas": 1});
            let metadata = json!({"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1"});
            let object = json!({"metadata": metadata, "spec": spec, "status": {}});
            assert_eq!(parse(&object), json!({"metadata": metadata, "spec": TOO_MANY, "status": {}}));
            let guarded: Timeless<DeserializeGuard<IpfsCluster>> = serde_json::from_value(object).unwrap();
            let invalid = guarded.0.0.unwrap_err();
            assert!(invalid.error.contains(TOO_MANY), "{}", invalid.error);
            assert_eq!(invalid.metadata.uid.as_deref(), Some("u"));
        }
    }

    #[test]
    fn field_of_the_metadata_is_cut_and_the_others_are_kept() {
        let owners = vec![json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}); 20_000];
        let metadata = json!({"annotations": {"a": "b"}, "ownerReferences": owners, "name": "a", "uid": "u"});
        let parsed = parse(&json!({"metadata": metadata, "spec": {"a": 1}}));
        let owners = parsed["metadata"]["ownerReferences"].as_array().unwrap();
        assert!((500..2000).contains(&owners.len()), "{}", owners.len());
        assert_eq!((&parsed["metadata"]["name"], &parsed["metadata"]["uid"]), (&json!("a"), &json!("u")));
        assert_eq!(parsed["spec"], json!({"a": 1}));
        serde_json::from_value::<Timeless<DeserializeGuard<IpfsCluster>>>(parsed).unwrap();
    }
}
