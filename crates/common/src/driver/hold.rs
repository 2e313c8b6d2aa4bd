//! Pod templates that wait. Kubernetes would roll the pods of a Deployment at once, and start the pods of a set from the newest
//! template whenever one is evicted or its node drained; a newer controller is no reason for either. So while nobody has permitted
//! a rollout, the live template stays the one that was applied last.
//!
//! That one is kept as text on the workload itself, written with it in one go: the live template would do as well until
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
    manifest::{Making, Manifest, difference, disowned},
    shared,
};

/// Annotation of workloads: the pod template that was applied last, as JSON.
const APPLIED: &str = "temporal-stack.dev/applied-template";
/// The kinds that start pods for as long as they exist.
const WORKLOADS: [&str; 2] = ["StatefulSet", "Deployment"];

/// Templates that wait, by `Kind/name` of their workload: what the driver remembers of them, because the annotation goes with an
/// object that is made again.
pub(super) type Templates = HashMap<String, Value>;

/// A workload that keeps its template.
#[derive(Debug)]
pub(super) struct Held {
    /// `Kind/name`.
    reference: String,
    /// In what the controller's template differs.
    change: String,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keeps an earlier pod template ({})", self.reference, self.change)
    }
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Holding {
    /// The workloads that keep their template.
    pub(super) workloads: Vec<Held>,
    /// All names in these templates.
    names: BTreeSet<String>,
}

impl Holding {
    /// Whether pods that start now may read the object, although no manifest wants it any more.
    pub(super) fn reads(&self, resource: &ApiResource, name: &str) -> bool {
        matches!(resource.kind.as_str(), "Secret" | "ConfigMap") && self.names.contains(name)
    }
}

/// Gives each workload whose template differs, although the user asked for nothing new, the one that was applied last, and what
/// its pods read at their start the data that it has. `component` is the field manager.
pub(super) fn hold(
    manifests: &mut [Manifest],
    children: &Children,
    rollout: Rollout,
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
            let is_held = rollout == Rollout::WhenAsked && !is_asked_for(before, wanted) && fits(before, manifest);
            is_held.then(|| Held { reference: reference.clone(), change })
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
    kinds.contains(&manifest.resource.kind.as_str()) && matches!(manifest.making, Making::Applied)
}

/// The template that was applied last. The note counts while it is ours; a workload of an earlier version has none.
fn applied_last(live: &Value, api_version: &str, component: &str) -> Value {
    let note = live["metadata"]["annotations"][APPLIED].as_str();
    let is_ours = |note: &&str| {
        let noted = json!({"apiVersion": api_version, "metadata": {"annotations": {APPLIED: note}}});
        disowned(&noted, component, live).is_none()
    };
    let noted = note.filter(is_ours).and_then(|note| serde_json::from_str(note).ok());
    noted.unwrap_or_else(|| {
        let mut template = live["spec"]["template"].clone();
        // The server writes a null for the time at which a template was made; as an intent it would be a wish.
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

/// What differs between two templates, if anything does: the images, or else the first field that does.
fn change(before: &Value, wanted: &Value) -> Option<String> {
    let place = difference(wanted, before).or_else(|| difference(before, wanted).filter(|_| !is_completed(before)))?;
    let image = image_change(before, wanted);
    Some(image.unwrap_or_else(|| format!("{} differs", place.pointer.trim_start_matches('/').replace('/', "."))))
}

/// Whether the API server has added its defaults, so that what is in it beyond a template says nothing.
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

/// Whether the user asked for what differs: something else, a restart, or another shared secret, for which all pods stop.
pub(super) fn is_asked_for(before: &Value, wanted: &Value) -> bool {
    let notes = |template: &Value| template["metadata"]["annotations"].clone();
    let (before, wanted) = (notes(before), notes(wanted));
    [annotation::ROLL, annotation::RESTART, shared::NUMBER].iter().any(|note| before[note] != wanted[note])
        || differs_in_part(&before, &wanted)
}

/// Whether a wish differs that has an annotation of its own. Earlier versions may not have written it down, which is no change.
pub(super) fn differs_in_part(before: &Value, wanted: &Value) -> bool {
    let mut parts = wanted.as_object().into_iter().flatten().filter(|(key, _)| key.starts_with(annotation::ROLL_PART));
    parts.any(|(key, wanted)| before.get(key).is_some_and(|before| before != wanted))
}

/// Whether the API server takes the workload with this template: its selector must find the pods.
fn fits(template: &Value, manifest: &Manifest) -> bool {
    let wanted = manifest.object["spec"]["selector"]["matchLabels"].as_object();
    wanted.into_iter().flatten().all(|(key, value)| template["metadata"]["labels"][key] == *value)
}

fn note(manifest: &mut Manifest) {
    let template = manifest.object["spec"]["template"].to_string();
    let metadata = &mut manifest.object["metadata"];
    if metadata["annotations"].is_null() {
        metadata["annotations"] = json!({});
    }
    metadata["annotations"][APPLIED] = json!(template);
}

/// Gives an object the data that it has, as far as nobody else has written to them: those were applied last.
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
                    Some(name) if key == "name" || key == "secretName" => drop(found.insert(name.to_owned())),
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
    fn an_image_that_differs_is_named() {
        let (before, wanted) = (template(&json!({}), "a:1"), template(&json!({}), "a:2"));
        assert_eq!(change(&before, &wanted).as_deref(), Some("image of container c: a:1, now a:2"));
        assert_eq!(change(&before, &before), None);
    }

    #[test]
    fn a_field_that_the_controller_no_longer_wants_is_a_change() {
        let mut before = template(&json!({}), "a:1");
        before["spec"]["hostNetwork"] = json!(true);
        assert!(change(&before, &template(&json!({}), "a:1")).is_some());
        // What the API server has added to a template of which only the live one is known is none.
        before["spec"]["dnsPolicy"] = json!("ClusterFirst");
        before["spec"]["schedulerName"] = json!("default-scheduler");
        assert_eq!(change(&before, &template(&json!({}), "a:1")), None);
    }

    #[test]
    fn only_the_users_wishes_are_asked_for() {
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
