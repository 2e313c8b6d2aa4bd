//! The table of fields in the page of a kind, from the schema that `kubectl explain` shows.

use anyhow::{Context as _, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};

const BEGIN: &str = "<!-- fields: written by `cargo xtask codegen` -->";
const END: &str = "<!-- end of fields -->";

/// The page with the table between its marks replaced.
pub(super) fn put(page: &str, crd: &CustomResourceDefinition) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).context("the page lacks the mark where its fields begin")?;
    let (_, after) = rest.split_once(END).context("the page lacks the mark where its fields end")?;
    let schema = crd.spec.versions.first().and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    let mut rows = vec!["| field | type | meaning |".to_owned(), "|---|---|---|".to_owned()];
    for part in ["spec", "status"] {
        let fields = schema.and_then(|schema| schema.properties.as_ref()?.get(part));
        walk(part, fields.context("the kind has no schema")?, &mut rows);
    }
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", rows.join("\n")))
}

fn walk(path: &str, schema: &JSONSchemaProps, rows: &mut Vec<String>) {
    for (name, field) in schema.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        let meaning = field.description.as_deref().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        let default = field.default.as_ref().filter(|default| default.0 != serde_json::json!({}));
        let default = default.map(|default| format!(" Default: `{}`.", default.0)).unwrap_or_default();
        rows.push(format!("| `{path}` | {} | {meaning}{default} |", kind(field)));
        // Conditions are the same in every kind of Kubernetes.
        if name != "conditions" && field.x_kubernetes_preserve_unknown_fields != Some(true) {
            walk(&path, field, rows);
        }
    }
}

/// Some of its names are known, and others are accepted, too.
fn is_open(field: &JSONSchemaProps) -> bool {
    field.x_kubernetes_preserve_unknown_fields == Some(true) && field.properties.is_some()
}

fn kind(field: &JSONSchemaProps) -> String {
    if let Some(values) = &field.enum_ {
        return values
            .iter()
            .map(|value| format!("`{}`", value.0.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if field.x_kubernetes_int_or_string == Some(true) {
        return "quantity".to_owned();
    }
    match (field.type_.as_deref(), &field.items) {
        (Some("array"), Some(JSONSchemaPropsOrArray::Schema(item))) => format!("list of {}", kind(item)),
        (Some("object"), _) if field.additional_properties.is_some() || is_open(field) => "map".to_owned(),
        (Some(name), _) => name.to_owned(),
        (None, _) => "any".to_owned(),
    }
}
