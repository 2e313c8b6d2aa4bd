//! How long names of Kubernetes may be, by what becomes of them.

use serde_json::Value;

use crate::{dns, manifest::Manifest};

/// What the set's controller puts behind its name, for a label of the pods.
const REVISION: &str = "-0123456789";

/// What is too long in a bill of materials, a line each. `pods` is how many pods a set may have at most.
pub fn too_long(manifests: &[Manifest], pods: usize) -> Vec<String> {
    manifests.iter().flat_map(|manifest| wrong(manifest, pods)).collect()
}

fn wrong(manifest: &Manifest, pods: usize) -> Vec<String> {
    let (kind, name) = (manifest.resource.kind.as_str(), manifest.name());
    let mut names = vec![(name.to_owned(), dns::HOST)];
    match kind {
        // A label of their pods is the name of a Job.
        "Service" | "Job" => names.push((name.to_owned(), dns::LABEL)),
        "StatefulSet" => {
            names.push((format!("{name}{REVISION}"), dns::LABEL));
            names.push((format!("{name}-{}", pods - 1), dns::LABEL));
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
                        found
                            .extend(labels.values().filter_map(|label| Some((label.as_str()?.to_owned(), dns::LABEL))));
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
