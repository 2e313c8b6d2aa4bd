//! Limits on the length of Kubernetes names, by their use.

use serde_json::Value;

use crate::{dns, manifest::Manifest};

/// The longest part of a host name, and the longest value of a label.
const LABEL: usize = 63;
/// The suffix that the set's controller appends to its name, for a label of the pods.
const REVISION: &str = "-0123456789";

/// The names that are too long in a bill of materials, a line each. `pods` is the maximum number of pods of a set.
pub fn too_long(manifests: &[Manifest], pods: usize) -> Vec<String> {
    manifests.iter().flat_map(|manifest| wrong(manifest, pods)).collect()
}

fn wrong(manifest: &Manifest, pods: usize) -> Vec<String> {
    let (kind, name) = (manifest.resource.kind.as_str(), manifest.name());
    let mut names = vec![(name.to_owned(), dns::HOST)];
    match kind {
        // The name of a Job is a label of its pods.
        "Service" | "Job" => names.push((name.to_owned(), LABEL)),
        "StatefulSet" => {
            names.push((format!("{name}{REVISION}"), LABEL));
            names.push((format!("{name}-{}", pods - 1), LABEL));
        }
        _ => {}
    }
    labels(&manifest.object, &mut names);
    let long = names.into_iter().filter(|(name, most)| name.len() > *most);
    long.map(|(name, most)| format!("{kind}: {name} has {} characters of {most}", name.len())).collect()
}

/// The values of all labels and selectors of labels.
fn labels(value: &Value, found: &mut Vec<(String, usize)>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::Object(labels) if ["labels", "matchLabels", "selector"].contains(&key.as_str()) => {
                        found.extend(labels.values().filter_map(|label| Some((label.as_str()?.to_owned(), LABEL))));
                        labels.values().for_each(|value| self::labels(value, found));
                    }
                    value => self::labels(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| labels(item, found)),
        _ => {}
    }
}
