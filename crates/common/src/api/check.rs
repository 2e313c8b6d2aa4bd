//! What a spec may not say although its types take it: the values that the API server would refuse later, in a child, with the name
//! of a field that the user never wrote. Found by the names of fields, so every kind is checked: `resources`, `storage`, `image`,
//! and those that end in these words.

use std::{cmp::Ordering, collections::BTreeMap};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;

use super::{Resources, Storage};
use crate::{
    manifest::{compare_quantities as compare, is_whole_quantity},
    message::shortened,
};

/// Less memory or storage than this was meant to have a unit.
const LEAST: &str = "1Mi";
/// Maps whose keys are the user's.
const FREE: [&str; 5] = ["annotations", "labels", "parameters", "kuboConfig", "clusterConfig"];
/// How many levels of a spec are checked.
const DEEPEST: usize = 8;

/// All that is wrong with a spec: the fields, what is wrong with them, and what to write.
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
                Some(format!("{field} is no resource of a container; write cpu, memory or ephemeral-storage"))
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
        // Of these a container has exactly what it asks for.
        let is_exact = name.contains('/') || name.starts_with("hugepages-");
        match limit.map(|limit| (limit, compare(request, limit))) {
            Some((limit, Some(Ordering::Greater))) => wrong.push(format!(
                "{path}.requests.{name} is {request}, above {path}.limits.{name}, which is {limit}; lower the request, or raise the limit"
            )),
            Some((limit, Some(Ordering::Less))) if is_exact => wrong.push(format!(
                "{path}.requests.{name} is {request}, and {path}.limits.{name} is {limit}; set both to the same"
            )),
            None if is_exact => {
                wrong.push(format!("{path}.limits.{name} is absent; set it to {request}, as in requests"));
            }
            _ => {}
        }
    }
}

/// What Kubernetes takes as a resource of a container: its own names, and those of others, which have a domain.
fn is_resource(name: &str) -> bool {
    ["cpu", "memory", "ephemeral-storage"].contains(&name)
        || name.starts_with("hugepages-")
        || name.split_once('/').is_some_and(|(domain, rest)| {
            domain.contains('.') && !domain.ends_with("kubernetes.io") && !rest.is_empty() && !rest.contains('/')
        })
}

fn wrong_with_cpu(field: &str, amount: &str, must_be_some: bool) -> Option<String> {
    match compare(amount, "0") {
        None => Some(format!("{field} is {}, which is no quantity; write {}", quoted(amount), meant(amount, "500m"))),
        Some(Ordering::Less) => Some(format!("{field} is {amount}, below zero; write 500m, for instance")),
        Some(Ordering::Equal) if must_be_some => {
            Some(format!("{field} is zero; remove it, or write 500m, for instance"))
        }
        Some(_) => None,
    }
}

fn wrong_with_bytes(field: &str, amount: &str, must_be_some: bool) -> Option<String> {
    match compare(amount, "0") {
        None => Some(format!("{field} is {}, which is no quantity; write {}", quoted(amount), meant(amount, "512Mi"))),
        Some(Ordering::Less) => Some(format!("{field} is {amount}, below zero; write 512Mi, for instance")),
        Some(Ordering::Equal) if !must_be_some => None,
        Some(_) if is_whole_quantity(amount) != Some(true) || compare(amount, LEAST) == Some(Ordering::Less) => {
            let number: String = amount.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            let number = if number.trim_matches(['0', '.']).is_empty() { "512" } else { &number };
            Some(format!("{field} is {amount}, less than {LEAST} of bytes; write {number}Mi, if that is meant"))
        }
        Some(_) => None,
    }
}

fn wrong_with_count(field: &str, amount: &str) -> Option<String> {
    let is_count = compare(amount, "0").is_some_and(Ordering::is_ge) && is_whole_quantity(amount) == Some(true);
    (!is_count).then(|| format!("{field} is {}, which is no whole number; write 1, for instance", quoted(amount)))
}

fn wrong_with_image(field: &str, image: &str) -> Option<String> {
    let is_bad = image.is_empty() || image.chars().any(|c| c.is_whitespace() || c.is_control());
    is_bad.then(|| {
        format!("{field} is {}, which is no image: it is empty or has a space in it; correct it", quoted(image))
    })
}

/// What was meant, where only the unit is written differently: `512mi`, `512MB`, `512 Mi`; else an example.
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
    fn one(resources: &Value, parts: &[&str]) {
        let wrong = wrong_with_spec(&json!({"provider": {"x": {"resources": resources}}}));
        assert_eq!(wrong.len(), 1, "{resources}: {wrong:?}");
        for part in ["spec.provider.x.resources"].iter().chain(parts) {
            assert!(wrong[0].contains(part), "{part}: {wrong:?}");
        }
    }

    #[test]
    fn what_pods_may_have_is_right() {
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
    fn what_is_no_quantity_is_named_with_what_was_meant() {
        for (amount, meant) in
            [("512mi", "512Mi"), ("512MB", "512M"), ("512 Mi", "512Mi"), ("1,5Gi", "1.5Gi"), ("much", "512Mi, for")]
        {
            one(&json!({"limits": {"memory": amount}}), &["limits.memory", "no quantity", &format!("write {meant}")]);
        }
        one(&json!({"limits": {"cpu": "half"}}), &["limits.cpu", "write 500m"]);
        one(&json!({"limits": {"memory": ""}}), &["no quantity"]);
    }

    #[test]
    fn bytes_are_whole_and_not_a_few() {
        for amount in ["512m", "512", "0", "0.5", "1n"] {
            one(&json!({"limits": {"memory": amount}}), &["limits.memory", "Mi, if that is meant"]);
        }
        let wrong = wrong_with_spec(&json!({"krab": {"storage": {"size": "10m"}}}));
        assert!(wrong[0].contains("spec.krab.storage.size is 10m"), "{wrong:?}");
    }

    #[test]
    fn nothing_is_below_zero() {
        one(&json!({"requests": {"cpu": "-100m"}}), &["below zero"]);
        one(&json!({"limits": {"memory": "-1Gi"}}), &["below zero"]);
        assert!(wrong_with_spec(&json!({"storage": {"size": "-1Gi"}}))[0].contains("below zero"));
    }

    #[test]
    fn a_request_is_within_its_limit() {
        for (name, request, limit) in [("memory", "256Mi", "128Mi"), ("cpu", "1", "500m")] {
            let parts = [format!("requests.{name} is {request}"), format!("limits.{name}, which is {limit}")];
            one(
                &json!({"requests": {name: request}, "limits": {name: limit}}),
                &[&parts[0], &parts[1], "lower the request"],
            );
        }
        one(&json!({"requests": {"nvidia.com/gpu": 1}}), &["limits.nvidia.com/gpu is absent"]);
        one(&json!({"requests": {"a.b/c": 1}, "limits": {"a.b/c": 2}}), &["set both to the same"]);
    }

    #[test]
    fn names_that_pods_do_not_take_are_named() {
        for name in ["cpus", "Memory", "kubernetes.io/x", "a/b/c", "storage"] {
            one(&json!({"limits": {name: "1Gi"}}), &[name, "no resource of a container"]);
        }
        one(&json!({"limits": {"a.b/c": "500m"}}), &["no whole number"]);
    }

    #[test]
    fn an_image_has_no_space() {
        for image in ["", " a", "a b", "a\n"] {
            let wrong = wrong_with_spec(&json!({"provider": {"kubo": {"clusterImage": image}}, "image": "good:1"}));
            assert_eq!(wrong.len(), 1, "{wrong:?}");
            assert!(wrong[0].contains("spec.provider.kubo.clusterImage"), "{wrong:?}");
        }
    }

    #[test]
    fn what_users_name_themselves_is_not_looked_at() {
        let annotations = json!({"image": "a picture of it", "storage": {"size": "none"}});
        assert_eq!(wrong_with_spec(&json!({"gateway": {"annotations": annotations}})), Vec::<String>::new());
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let worker = json!({"resources": {"limits": {"memory": "1mi", "cpu": "-1"}}});
        assert_eq!(wrong_with_spec(&json!({"workers": {"pin": worker, "cluster": worker}})).len(), 4);
    }
}
