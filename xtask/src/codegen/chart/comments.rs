//! The comments of values: in `values.yaml` above each key, and in the table of the chart's README.

use anyhow::{Context as _, Result};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use super::HEADER;

const BEGIN: &str = "<!-- values: written by `cargo xtask codegen` -->";
const END: &str = "<!-- end of values -->";
/// The maximum length of a line of comments.
const WIDTH: usize = 118;

/// The JSON schema of values, in the draft that Helm reads, without references.
pub(super) fn schema<T: JsonSchema>() -> Result<Value> {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = serde_json::to_value(settings.into_generator().into_root_schema_for::<T>())?;
    tidy(&mut schema);
    Ok(schema)
}

/// Removes what would make a value required: a user gives some, and the chart's own complete them. A null, with which Helm removes a
/// default, stays wrong.
fn tidy(schema: &mut Value) {
    if let Some(object) = schema.as_object_mut() {
        object.remove("required");
        if let Some(Value::String(text)) = object.get_mut("description") {
            *text = one_line(text);
        }
        object.values_mut().for_each(tidy);
    } else if let Some(list) = schema.as_array_mut() {
        list.iter_mut().for_each(tidy);
    }
}

/// `values.yaml`: the defaults with a comment above every key.
pub(super) fn values(defaults: &impl Serialize, schema: &Value) -> Result<String> {
    let text = serde_saphyr::to_string(defaults)?;
    let mut lines: Vec<String> = Vec::new();
    let mut path: Vec<&str> = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let key = line.trim_start().split_once(':').map(|(key, _)| key);
        path.truncate(indent / 2);
        path.extend(key);
        let description = description(schema, &path);
        if let Some(description) = description {
            let margin = " ".repeat(indent);
            if indent == 0 {
                lines.push(String::new());
            }
            lines.extend(wrapped(description, WIDTH - indent).into_iter().map(|words| format!("{margin}# {words}")));
        }
        lines.push(line.to_owned());
    }
    Ok(format!("{HEADER}{}\n", lines.join("\n")))
}

/// The README with the table between its marks replaced.
pub(super) fn put(page: &str, defaults: &impl Serialize, schema: &Value) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).context("the README lacks the mark where its values begin")?;
    let (_, after) = rest.split_once(END).context("the README lacks the mark where its values end")?;
    let mut rows = vec!["| value | default | meaning |".to_owned(), "|---|---|---|".to_owned()];
    walk("", &serde_json::to_value(defaults)?, schema, &mut rows);
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", rows.join("\n")))
}

fn walk(path: &str, defaults: &Value, schema: &Value, rows: &mut Vec<String>) {
    for (key, field) in schema["properties"].as_object().into_iter().flatten() {
        let (path, default) = (format!("{path}{key}"), &defaults[key]);
        if field["properties"].is_object() {
            walk(&format!("{path}."), default, field, rows);
            continue;
        }
        let meaning = field["description"].as_str().unwrap_or_default().replace('|', "\\|");
        rows.push(format!("| `{path}` | `{default}` | {meaning} |"));
    }
}

/// The description of the value at a path.
fn description<'a>(schema: &'a Value, path: &[&str]) -> Option<&'a str> {
    let field = path.iter().try_fold(schema, |schema, key| schema["properties"].get(key))?;
    field["description"].as_str()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].len() + word.len() + 1 > width {
            lines.push(word.to_owned());
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Things.
    #[derive(Serialize, JsonSchema)]
    struct Things {
        /// The inner
        /// one.
        inner: Inner,
        /// Free keys.
        free: BTreeMap<String, String>,
    }

    /// Inner.
    #[derive(Serialize, JsonSchema)]
    struct Inner {
        /// How many.
        count: u8,
    }

    fn things() -> Things {
        Things { inner: Inner { count: 3 }, free: BTreeMap::from([("a".to_owned(), "b".to_owned())]) }
    }

    #[test]
    fn every_key_of_the_values_has_its_comment() {
        let text = values(&things(), &schema::<Things>().unwrap()).unwrap();
        let expected = "\n# The inner one.\ninner:\n  # How many.\n  count: 3\n\n# Free keys.\nfree:\n  a: b\n";
        assert_eq!(text, format!("{HEADER}{expected}"));
    }

    #[test]
    fn table_has_a_row_for_each_value() {
        let page = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let text = put(&page, &things(), &schema::<Things>().unwrap()).unwrap();
        assert!(text.contains("| `inner.count` | `3` | How many. |\n"), "{text}");
        assert!(text.starts_with("a\n") && text.ends_with("\nb\n") && !text.contains("old"), "{text}");
    }

    #[test]
    fn no_value_is_required() {
        let schema = schema::<Things>().unwrap();
        assert_eq!(schema["properties"]["inner"]["properties"]["count"]["type"], "integer");
        assert!(!schema.to_string().contains("required"), "{schema}");
    }
}
