//! Random values, made of the schema of a kind: some of them valid, and most of them nothing that anybody would write.

use kube::CustomResourceExt;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Map, Value, json};

/// Texts, each of which some field does not expect.
const TEXTS: [&str; 30] = [
    "",
    "a",
    "temporal",
    "theirs",
    "a-b",
    "A b",
    "-",
    ".",
    "..",
    "/",
    "%2e",
    "\n",
    "ä€😀",
    "'\"; DROP",
    "true",
    "null",
    "0",
    "-1",
    "1",
    "10Gi",
    "1Gi",
    "512mi",
    "100m",
    "1e400",
    "99999999999999999999",
    "127.0.0.1",
    "::1",
    "5m",
    "a=b\nc=d",
    "{\"a\":[1]}",
];
/// The longest text.
const LONG: usize = 300;
/// How deep free-form values go.
const DEEP: u32 = 3;

/// Draws values.
pub struct Random(StdRng);

impl Random {
    /// The same seed draws the same values.
    pub fn of(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A spec of a kind.
    pub fn spec<K: CustomResourceExt>(&mut self) -> Value {
        let crd = serde_json::to_value(K::crd()).unwrap_or_default();
        self.value(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"])
    }

    /// A value of a schema; of a text, pattern and format are not heeded, and limits of numbers hardly.
    pub fn value(&mut self, schema: &Value) -> Value {
        if let Some(values) = schema["enum"].as_array().filter(|values| !values.is_empty()) {
            return values[self.0.random_range(0..values.len())].clone();
        }
        if schema["x-kubernetes-int-or-string"] == true {
            return if self.is_likely(1, 4) { self.number(schema) } else { self.text(schema) };
        }
        match schema["type"].as_str().unwrap_or_default() {
            "object" => self.object(schema),
            "array" => {
                let length = self.0.random_range(0..3);
                (0..length).map(|_| self.value(&schema["items"])).collect()
            }
            "integer" | "number" => self.number(schema),
            "boolean" => json!(self.is_likely(1, 2)),
            "string" => self.text(schema),
            _ => self.anything(DEEP),
        }
    }

    fn object(&mut self, schema: &Value) -> Value {
        let mut object = Map::new();
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&&**name) || self.is_likely(2, 5) {
                object.insert(name.clone(), self.value(schema));
            }
        }
        if schema["additionalProperties"].is_object() {
            for _ in 0..self.0.random_range(0..3) {
                let name = self.word();
                object.insert(name, self.value(&schema["additionalProperties"]));
            }
        }
        if object.is_empty() && schema["x-kubernetes-preserve-unknown-fields"] == true {
            return self.anything(DEEP);
        }
        Value::Object(object)
    }

    fn number(&mut self, schema: &Value) -> Value {
        let bound = |name: &str| schema[name].as_f64().map(|bound| json!(bound.round()));
        let largest = if schema["format"] == "int64" { i64::MAX } else { i32::MAX.into() };
        let mut values = vec![json!(0), json!(1), json!(3), json!(-1), json!(2), json!(largest), json!(-largest)];
        values.extend(bound("minimum").into_iter().chain(bound("maximum")));
        let value = values[self.0.random_range(0..values.len())].clone();
        // Whole numbers are written as such.
        value.as_f64().map_or(value.clone(), |number| {
            if value.is_f64() { json!(format!("{number:.0}").parse::<i64>().unwrap_or_default()) } else { value }
        })
    }

    fn text(&mut self, schema: &Value) -> Value {
        let longest = schema["maxLength"].as_u64().and_then(|length| usize::try_from(length).ok()).unwrap_or(LONG);
        if self.is_likely(1, 16) {
            return json!("x".repeat(longest.min(LONG)));
        }
        json!(self.word())
    }

    fn word(&mut self) -> String {
        TEXTS[self.0.random_range(0..TEXTS.len())].to_owned()
    }

    fn anything(&mut self, deep: u32) -> Value {
        match self.0.random_range(0..7) {
            0 => Value::Null,
            1 => json!(self.is_likely(1, 2)),
            2 => json!(self.0.random_range(-5..5)),
            3 if deep > 0 => (0..self.0.random_range(0..3)).map(|_| self.anything(deep - 1)).collect(),
            4 | 5 if deep > 0 => {
                let names: Vec<String> = (0..self.0.random_range(0..3)).map(|_| self.word()).collect();
                Value::Object(names.into_iter().map(|name| (name, self.anything(deep - 1))).collect())
            }
            _ => json!(self.word()),
        }
    }

    /// True so many times out of so many.
    fn is_likely(&mut self, times: u32, of: u32) -> bool {
        self.0.random_range(0..of) < times
    }
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::api::{IpfsCluster, PostgresDatabase};

    use super::*;

    #[test]
    fn same_seed_draws_the_same_specs() {
        let draw = |seed| Random::of(seed).spec::<IpfsCluster>();
        assert_eq!(draw(1), draw(1));
        assert!((2..10).any(|seed| draw(seed) != draw(1)));
    }

    #[test]
    fn values_have_the_types_of_their_schema() {
        let schema = json!({"type": "object", "required": ["a"], "properties": {
            "a": {"type": "integer", "minimum": 7.0}, "b": {"enum": ["x", "y"]}, "c": {"type": "array", "items": {"type": "boolean"}},
        }});
        let mut random = Random::of(1);
        for _ in 0..200 {
            let value = random.value(&schema);
            assert!(value["a"].is_i64(), "{value}");
            assert!(value["b"].is_null() || value["b"] == "x" || value["b"] == "y", "{value}");
            assert!(
                value["c"].is_null() || value["c"].as_array().is_some_and(|items| items.iter().all(Value::is_boolean))
            );
        }
    }

    #[test]
    fn fields_of_all_depths_are_drawn() {
        let mut random = Random::of(1);
        let specs: Vec<Value> = (0..200).map(|_| random.spec::<PostgresDatabase>()).collect();
        for pointer in ["/provider/external/secretName", "/provider/postgres/storage/size", "/deletionPolicy"] {
            assert!(specs.iter().any(|spec| spec.pointer(pointer).is_some()), "{pointer}");
        }
    }
}
