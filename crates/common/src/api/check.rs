//! Values of a spec that are valid for the schema, but that the API server would refuse later, in a child, with the name of a
//! field that the user never wrote. They are found by the names of fields, so every kind is checked: `resources`, `storage`,
//! `image`, and fields that end in these words.

use std::{cmp::Ordering, collections::BTreeMap};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;

use super::{Resources, Storage};
use crate::{
    manifest::{compare_quantities as compare, is_whole_quantity},
    message::shortened,
};

/// Less memory or storage than this lacks a unit.
const LEAST: &str = "1Mi";
/// Maps with keys of the user.
const FREE: [&str; 6] = ["annotations", "labels", "nodeSelector", "parameters", "kuboConfig", "clusterConfig"];
/// How many levels of a spec are checked.
const DEEPEST: usize = 8;

/// All errors in a spec: the fields, the errors, and the remedies.
pub fn wrong_with_spec(spec: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    look_through("spec", spec, DEEPEST, &mut wrong);
    wrong
}

fn look_through(path: &str, value: &Value, deepest: usize, wrong: &mut Vec<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        let is = |word: &str| key == word || key.ends_with(&capital(word));
        if is("resources")
            && let Ok(resources) = serde_json::from_value::<Resources>(value.clone())
        {
            wrong_with_resources(&path, &resources, wrong);
        } else if is("storage")
            && let Ok(storage) = serde_json::from_value::<Storage>(value.clone())
        {
            wrong.extend(wrong_with_bytes(&format!("{path}.size"), &storage.size.0, true));
        } else if is("image")
            && let Some(image) = value.as_str()
        {
            wrong.extend(wrong_with_image(&path, image));
        } else if deepest > 0 && !FREE.contains(&key.as_str()) {
            look_through(&path, value, deepest - 1, wrong);
        }
    }
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    format!("{}{rest}", first.to_ascii_uppercase())
}

fn wrong_with_resources(path: &str, resources: &Resources, wrong: &mut Vec<String>) {
    let Resources { requests, limits } = resources;
    let before = wrong.len();
    for (kind, all) in [("requests", requests), ("limits", limits)] {
        for (name, Quantity(amount)) in all {
            let field = format!("{path}.{kind}.{name}");
            wrong.extend(if !is_resource(name) {
                Some(format!("{field} is not a container resource; write cpu, memory or ephemeral-storage"))
            } else if name == "cpu" {
                wrong_with_cpu(&field, amount, kind == "limits")
            } else if name == "memory" || name == "ephemeral-storage" || name.starts_with("hugepages-") {
                wrong_with_bytes(&field, amount, kind == "limits")
            } else {
                wrong_with_count(&field, amount)
            });
        }
    }
    if wrong.len() == before {
        wrong_with_both(path, requests, limits, wrong);
    }
}

fn wrong_with_both(
    path: &str,
    requests: &BTreeMap<String, Quantity>,
    limits: &BTreeMap<String, Quantity>,
    wrong: &mut Vec<String>,
) {
    for (name, Quantity(request)) in requests {
        let limit = limits.get(name).map(|limit| limit.0.as_str());
        // For these, requests and limits must be equal.
        let is_exact = name.contains('/') || name.starts_with("hugepages-");
        match limit.map(|limit| (limit, compare(request, limit))) {
            Some((limit, Some(Ordering::Greater))) => wrong.push(format!(
                "{path}.requests.{name} is {request}, above {path}.limits.{name}, which is {limit}; lower the request, or raise the limit"
            )),
            Some((limit, Some(Ordering::Less))) if is_exact => wrong.push(format!(
                "{path}.requests.{name} is {request}, and {path}.limits.{name} is {limit}; set both to the same value"
            )),
            None if is_exact => {
                wrong.push(format!("{path}.limits.{name} is absent; set it to {request}, as in requests"));
            }
            _ => {}
        }
    }
}

/// The resources of containers that Kubernetes accepts: its own names, and extended ones, which have a domain.
fn is_resource(name: &str) -> bool {
    ["cpu", "memory", "ephemeral-storage"].contains(&name)
        || name.starts_with("hugepages-")
        || name.split_once('/').is_some_and(|(domain, rest)| {
            domain.contains('.') && !domain.ends_with("kubernetes.io") && !rest.is_empty() && !rest.contains('/')
        })
}

fn wrong_with_cpu(field: &str, amount: &str, must_be_some: bool) -> Option<String> {
    match compare(amount, "0") {
        None => {
            Some(format!("{field} is {}, which is not a quantity; write {}", quoted(amount), meant(amount, "500m")))
        }
        Some(Ordering::Less) => Some(format!("{field} is {amount}, which is negative; write 500m, for instance")),
        Some(Ordering::Equal) if must_be_some => {
            Some(format!("{field} is zero; remove it, or write 500m, for instance"))
        }
        Some(_) => None,
    }
}

fn wrong_with_bytes(field: &str, amount: &str, must_be_some: bool) -> Option<String> {
    match compare(amount, "0") {
        None => {
            Some(format!("{field} is {}, which is not a quantity; write {}", quoted(amount), meant(amount, "512Mi")))
        }
        Some(Ordering::Less) => Some(format!("{field} is {amount}, which is negative; write 512Mi, for instance")),
        Some(Ordering::Equal) if !must_be_some => None,
        Some(_) if is_whole_quantity(amount) != Some(true) || compare(amount, LEAST) == Some(Ordering::Less) => {
            let number: String = amount.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            let number = if number.trim_matches(['0', '.']).is_empty() { "512" } else { &number };
            Some(format!("{field} is {amount}, less than {LEAST}; write {number}Mi if you mean that"))
        }
        Some(_) => None,
    }
}

fn wrong_with_count(field: &str, amount: &str) -> Option<String> {
    let is_count = compare(amount, "0").is_some_and(Ordering::is_ge) && is_whole_quantity(amount) == Some(true);
    (!is_count).then(|| format!("{field} is {}, which is not a whole number; write 1, for instance", quoted(amount)))
}

fn wrong_with_image(field: &str, image: &str) -> Option<String> {
    let is_bad = image.is_empty() || image.chars().any(|c| c.is_whitespace() || c.is_control());
    is_bad.then(|| {
        format!(
            "{field} is {}, which is not an image reference: it is empty or contains a space; correct it",
            quoted(image)
        )
    })
}

/// The intended quantity, if only the unit is misspelt: `512mi`, `512MB`, `512 Mi`; else an example.
fn meant(amount: &str, example: &str) -> String {
    let plain: String = amount.chars().filter(|c| !c.is_whitespace()).collect::<String>().replace(',', ".");
    let at = plain.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(plain.len());
    let (number, unit) = plain.split_at(at);
    let unit = match unit.to_ascii_lowercase().trim_end_matches('b') {
        "" => "",
        "k" => "k",
        "ki" => "Ki",
        "m" => "M",
        "mi" => "Mi",
        "g" => "G",
        "gi" => "Gi",
        "t" => "T",
        "ti" => "Ti",
        _ => "?",
    };
    let meant = format!("{number}{unit}");
    if compare(&meant, "0").is_some() { meant } else { format!("{example}, for instance") }
}

fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text, 60))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is wrong with a spec with these resources is one thing, which has these parts.
    fn assert_one_problem(resources: &Value, parts: &[&str]) {
        let wrong = wrong_with_spec(&json!({"provider": {"x": {"resources": resources}}}));
        assert_eq!(wrong.len(), 1, "{resources}: {wrong:?}");
        for part in ["spec.provider.x.resources"].iter().chain(parts) {
            assert!(wrong[0].contains(part), "{part}: {wrong:?}");
        }
    }

    #[test]
    fn valid_resources_are_accepted() {
        for right in [
            json!({}),
            json!({"requests": {"cpu": 0.25, "memory": "128Mi"}, "limits": {"cpu": 0.5, "memory": 536_870_912}}),
            json!({"requests": {"cpu": 0, "memory": "0"}, "limits": {"cpu": 1, "memory": "1e9"}}),
            json!({"limits": {"nvidia.com/gpu": 1, "hugepages-2Mi": "64Mi", "ephemeral-storage": "1G"}}),
        ] {
            assert_eq!(wrong_with_spec(&json!({"x": {"clusterResources": right}})), Vec::<String>::new(), "{right}");
        }
    }

    #[test]
    fn malformed_quantity_is_named_with_a_correction() {
        for (amount, meant) in
            [("512mi", "512Mi"), ("512MB", "512M"), ("512 Mi", "512Mi"), ("1,5Gi", "1.5Gi"), ("much", "512Mi, for")]
        {
            assert_one_problem(
                &json!({"limits": {"memory": amount}}),
                &["limits.memory", "not a quantity", &format!("write {meant}")],
            );
        }
        assert_one_problem(&json!({"limits": {"cpu": "half"}}), &["limits.cpu", "write 500m"]);
        assert_one_problem(&json!({"limits": {"memory": ""}}), &["not a quantity"]);
    }

    #[test]
    fn fractional_or_tiny_byte_amounts_are_refused() {
        for amount in ["512m", "512", "0", "0.5", "1n"] {
            assert_one_problem(&json!({"limits": {"memory": amount}}), &["limits.memory", "Mi if you mean that"]);
        }
        let wrong = wrong_with_spec(&json!({"krab": {"storage": {"size": "10m"}}}));
        assert!(wrong[0].contains("spec.krab.storage.size is 10m"), "{wrong:?}");
    }

    #[test]
    fn negative_amounts_are_refused() {
        assert_one_problem(&json!({"requests": {"cpu": "-100m"}}), &["negative"]);
        assert_one_problem(&json!({"limits": {"memory": "-1Gi"}}), &["negative"]);
        assert!(wrong_with_spec(&json!({"storage": {"size": "-1Gi"}}))[0].contains("negative"));
    }

    #[test]
    fn request_above_its_limit_is_refused() {
        for (name, request, limit) in [("memory", "256Mi", "128Mi"), ("cpu", "1", "500m")] {
            let parts = [format!("requests.{name} is {request}"), format!("limits.{name}, which is {limit}")];
            assert_one_problem(
                &json!({"requests": {name: request}, "limits": {name: limit}}),
                &[&parts[0], &parts[1], "lower the request"],
            );
        }
        assert_one_problem(&json!({"requests": {"nvidia.com/gpu": 1}}), &["limits.nvidia.com/gpu is absent"]);
        assert_one_problem(&json!({"requests": {"a.b/c": 1}, "limits": {"a.b/c": 2}}), &["set both to the same"]);
    }

    #[test]
    fn unknown_resource_names_are_refused() {
        for name in ["cpus", "Memory", "kubernetes.io/x", "a/b/c", "storage"] {
            assert_one_problem(&json!({"limits": {name: "1Gi"}}), &[name, "not a container resource"]);
        }
        assert_one_problem(&json!({"limits": {"a.b/c": "500m"}}), &["not a whole number"]);
    }

    #[test]
    fn image_with_a_space_is_refused() {
        for image in ["", " a", "a b", "a\n"] {
            let wrong = wrong_with_spec(&json!({"provider": {"kubo": {"clusterImage": image}}, "image": "good:1"}));
            assert_eq!(wrong.len(), 1, "{wrong:?}");
            assert!(wrong[0].contains("spec.provider.kubo.clusterImage"), "{wrong:?}");
        }
    }

    #[test]
    fn keys_of_user_defined_maps_are_not_checked() {
        let annotations = json!({"image": "a picture of it", "storage": {"size": "none"}});
        assert_eq!(wrong_with_spec(&json!({"gateway": {"annotations": annotations}})), Vec::<String>::new());
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let worker = json!({"resources": {"limits": {"memory": "1mi", "cpu": "-1"}}});
        assert_eq!(wrong_with_spec(&json!({"workers": {"pin": worker, "cluster": worker}})).len(), 4);
    }
}
