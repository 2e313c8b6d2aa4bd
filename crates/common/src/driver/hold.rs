//! Deferred pod templates. Kubernetes would roll the pods of a Deployment at once, and start the pods of a set from the newest
//! template whenever one is evicted or its node drained; a newer controller is no reason for either. So until the user permits a
//! rollout, the live template stays the one that was applied last.
//!
//! It is kept as text in an annotation of the workload, written in the same request: the live template would serve as well until
//! it is edited, and then the edit would become the intent.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use kube::api::ApiResource;
use serde_json::{Value, json};

use crate::{
    api::{Rollout, annotation},
    cache::Children,
    manifest::{Manifest, Mode, difference, disowned},
    shared,
};

/// The kinds that start pods for as long as they exist.
const WORKLOADS: [&str; 2] = ["StatefulSet", "Deployment"];

/// Deferred templates, by `Kind/name` of their workload: the driver remembers them, because the annotation is lost when an object
/// is recreated.
pub(super) type Templates = HashMap<String, Value>;

/// A workload that keeps its template.
#[derive(Debug)]
pub(super) struct HeldBack {
    /// `Kind/name`.
    reference: String,
    /// How the controller's template differs.
    change: String,
}

impl fmt::Display for HeldBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keeps an earlier pod template ({})", self.reference, self.change)
    }
}

/// The deferred changes.
#[derive(Debug, Default)]
pub(super) struct Holding {
    /// The workloads that keep their template.
    pub(super) workloads: Vec<HeldBack>,
    /// All names in these templates.
    names: BTreeSet<String>,
}

impl Holding {
    /// Whether pods that start now may need the object, although no manifest includes it any more.
    pub(super) fn reads(&self, resource: &ApiResource, name: &str) -> bool {
        matches!(resource.kind.as_str(), "Secret" | "ConfigMap" | "ServiceAccount") && self.names.contains(name)
    }
}

/// Replaces each template that differs without a change by the user with the one that was applied last, and keeps the data of
/// the objects that its pods read when they start. Without a `rollout` each template is kept. `component` is the field manager.
pub(super) fn hold(
    manifests: &mut [Manifest],
    children: &Children,
    rollout: Option<Rollout>,
    component: &str,
    templates: &mut Templates,
) -> Holding {
    let mut holding = Holding::default();
    for manifest in manifests.iter_mut().filter(|manifest| is_applied(manifest, &WORKLOADS)) {
        let reference = manifest.reference();
        let live = children.get(&manifest.resource.kind, manifest.name()).map(|live| live.value());
        let before = match &live {
            Some(live) => Some(applied_last(live, &manifest.resource.api_version, component)),
            None => templates.get(&reference).cloned(),
        };
        let wanted = &manifest.object["spec"]["template"];
        let waits = |before: &Value| {
            let change = change(before, wanted)?;
            let is_kept = match rollout {
                Some(Rollout::Automatic) => false,
                Some(Rollout::WhenAsked) => !is_asked_for(before, wanted),
                None => true,
            };
            let is_held = is_kept && fits(before, manifest);
            is_held.then(|| HeldBack { reference: reference.clone(), change })
        };
        match before.as_ref().and_then(|before| Some((before, waits(before)?))) {
            Some((before, held)) => {
                names(before, &mut holding.names);
                templates.insert(reference, before.clone());
                holding.workloads.push(held);
                manifest.object["spec"]["template"] = before.clone();
            }
            None => {
                templates.remove(&reference);
            }
        }
        note(manifest);
    }
    let is_held = |reader: &String| holding.workloads.iter().any(|held| held.reference == *reader);
    for manifest in manifests.iter_mut().filter(|manifest| is_applied(manifest, &["ConfigMap", "Secret"])) {
        if !manifest.read_by.is_empty() && manifest.read_by.iter().all(is_held) {
            keep_data(manifest, children, component);
        }
    }
    holding
}

fn is_applied(manifest: &Manifest, kinds: &[&str]) -> bool {
    kinds.contains(&manifest.resource.kind.as_str()) && matches!(manifest.mode, Mode::Applied)
}

/// The template that was applied last. The annotation counts while we own it; a workload of an earlier version has none.
fn applied_last(live: &Value, api_version: &str, component: &str) -> Value {
    let note = live["metadata"]["annotations"][annotation::APPLIED].as_str();
    let is_ours = |note: &&str| {
        let noted = json!({"apiVersion": api_version, "metadata": {"annotations": {(annotation::APPLIED): note}}});
        disowned(&noted, component, live).is_none()
    };
    let noted = note.filter(is_ours).and_then(|note| serde_json::from_str(note).ok());
    noted.unwrap_or_else(|| {
        let mut template = live["spec"]["template"].clone();
        // The server writes a null creation timestamp into templates; in an intent it would be a value to apply.
        prune_nulls(&mut template);
        template
    })
}

fn prune_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(prune_nulls);
        }
        Value::Array(elements) => elements.iter_mut().for_each(prune_nulls),
        _ => {}
    }
}

/// The difference between two templates, if any: the images, or else the first field that differs.
fn change(before: &Value, wanted: &Value) -> Option<String> {
    let place = difference(wanted, before).or_else(|| difference(before, wanted).filter(|_| !is_completed(before)))?;
    let image = image_change(before, wanted);
    Some(image.unwrap_or_else(|| format!("{} differs", place.pointer.trim_start_matches('/').replace('/', "."))))
}

/// Whether the API server has added its defaults, so that additional fields mean nothing.
fn is_completed(template: &Value) -> bool {
    !template["spec"]["dnsPolicy"].is_null() && !template["spec"]["schedulerName"].is_null()
}

fn image_change(before: &Value, wanted: &Value) -> Option<String> {
    ["initContainers", "containers"].into_iter().find_map(|list| {
        let containers = |template: &Value| template["spec"][list].as_array().cloned().unwrap_or_default();
        let old = containers(before);
        containers(wanted).into_iter().find_map(|container| {
            let old = old.iter().find(|old| old["name"] == container["name"])?;
            let (name, old, new) = (container["name"].as_str()?, old["image"].as_str()?, container["image"].as_str()?);
            (old != new).then(|| format!("image of container {name}: {old}, now {new}"))
        })
    })
}

/// Whether the user asked for the difference: by a setting, a restart, or another shared secret, for which all pods stop.
pub(super) fn is_asked_for(before: &Value, wanted: &Value) -> bool {
    let notes = |template: &Value| template["metadata"]["annotations"].clone();
    let (before, wanted) = (notes(before), notes(wanted));
    [annotation::ROLL, annotation::RESTART, shared::NUMBER].iter().any(|note| before[note] != wanted[note])
        || differs_in_part(&before, &wanted)
}

/// Whether a setting with its own annotation differs. Earlier versions may not have written the annotation, which is no change.
pub(super) fn differs_in_part(before: &Value, wanted: &Value) -> bool {
    let mut parts = wanted.as_object().into_iter().flatten().filter(|(key, _)| key.starts_with(annotation::ROLL_PART));
    parts.any(|(key, wanted)| before.get(key).is_some_and(|before| before != wanted))
}

/// Whether the API server accepts the workload with this template: its selector must match the pods.
fn fits(template: &Value, manifest: &Manifest) -> bool {
    let wanted = manifest.object["spec"]["selector"]["matchLabels"].as_object();
    wanted.into_iter().flatten().all(|(key, value)| template["metadata"]["labels"][key] == *value)
}

fn note(manifest: &mut Manifest) {
    let template = manifest.object["spec"]["template"].to_string();
    manifest.object["metadata"]["annotations"][annotation::APPLIED] = json!(template);
}

/// Keeps the live data of an object, as far as no one else has written to them: those were applied last.
fn keep_data(manifest: &mut Manifest, children: &Children, component: &str) {
    let Some(live) = children.get(&manifest.resource.kind, manifest.name()) else { return };
    let live = live.value();
    let api_version = &manifest.resource.api_version;
    let is_ours = |key: &String, value: &Value| {
        disowned(&json!({"apiVersion": api_version, "data": {key: value}}), component, &live).is_none()
    };
    let (ours, theirs): (Vec<_>, Vec<_>) =
        live["data"].as_object().into_iter().flatten().partition(|(key, value)| is_ours(key, value));
    if !ours.is_empty() && theirs.iter().all(|(key, _)| manifest.object["data"][key].is_null()) {
        let data = ours.into_iter().map(|(key, value)| (key.clone(), value.clone()));
        manifest.object["data"] = Value::Object(data.collect());
    }
}

/// All strings under keys that name objects.
fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str() {
                    Some(name) if ["name", "secretName", "serviceAccountName"].contains(&key.as_str()) => {
                        found.insert(name.to_owned());
                    }
                    _ => names(value, found),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| names(element, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(annotations: &Value, image: &str) -> Value {
        json!({"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "c", "image": image}]}})
    }

    #[test]
    fn changed_image_is_named() {
        let (before, wanted) = (template(&json!({}), "a:1"), template(&json!({}), "a:2"));
        assert_eq!(change(&before, &wanted).as_deref(), Some("image of container c: a:1, now a:2"));
        assert_eq!(change(&before, &before), None);
    }

    #[test]
    fn account_of_a_deferred_template_is_kept() {
        let mut holding = Holding::default();
        names(&json!({"spec": {"serviceAccountName": "lamp", "containers": [{"name": "c"}]}}), &mut holding.names);
        let account = ApiResource::erase::<k8s_openapi::api::core::v1::ServiceAccount>(&());
        assert!(holding.reads(&account, "lamp") && !holding.reads(&account, "other"));
    }

    #[test]
    fn removed_field_is_a_change() {
        let mut before = template(&json!({}), "a:1");
        before["spec"]["hostNetwork"] = json!(true);
        assert!(change(&before, &template(&json!({}), "a:1")).is_some());
        // What the API server has added to a template of which only the live one is known is none.
        before["spec"]["dnsPolicy"] = json!("ClusterFirst");
        before["spec"]["schedulerName"] = json!("default-scheduler");
        assert_eq!(change(&before, &template(&json!({}), "a:1")), None);
    }

    #[test]
    fn only_user_changes_count_as_asked_for() {
        let part = format!("{}storage", annotation::ROLL_PART);
        let before = template(&json!({annotation::ROLL: "1", (&*part): "10Gi"}), "a");
        let asks = |annotations: Value| is_asked_for(&before, &template(&annotations, "a"));
        assert!(!asks(json!({annotation::ROLL: "1", (&*part): "10Gi", annotation::CONFIG: "other"})));
        assert!(asks(json!({annotation::ROLL: "2", (&*part): "10Gi"})));
        assert!(asks(json!({annotation::ROLL: "1", (&*part): "20Gi"})));
        assert!(asks(json!({annotation::ROLL: "1", (&*part): "10Gi", shared::NUMBER: "2"})));
        let unknown = format!("{}unknown", annotation::ROLL_PART);
        assert!(!asks(json!({annotation::ROLL: "1", (&*part): "10Gi", (&*unknown): "x"})));
    }
}
