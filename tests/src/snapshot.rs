//! The children of an object in a form that can be compared between runs: without what differs by chance.

use std::collections::BTreeMap;

use anyhow::Result;
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{annotation, label},
    component::{Child, Component as _},
};
use temporal_stack_database::Database;
use temporal_stack_ipfs::Ipfs;
use temporal_stack_queue::Queue;
use temporal_stack_temporal::Application;

use crate::Space;

/// Annotation of workloads: the pod template that was applied last, as JSON.
const APPLIED_TEMPLATE: &str = "temporal-stack.dev/applied-template";

/// `Kind/name` → the object.
pub type Children = BTreeMap<String, Value>;

/// The children that controllers make, as they are.
pub async fn children(space: &Space) -> Result<Children> {
    let ours = ListParams::default().labels(&format!("{}={}", label::MANAGED_BY, label::STACK));
    let mut children = Children::new();
    let all = [Database::children(), Queue::children(), Ipfs::children(), Application::children()].concat();
    for child in all.into_iter().filter(Child::is_kept) {
        let api = Api::<DynamicObject>::namespaced_with(space.client.clone(), &space.name, &child.resource);
        for object in api.list(&ours).await? {
            let reference = format!("{}/{}", child.resource.kind, object.name_any());
            children.insert(reference, serde_json::to_value(&object)?);
        }
    }
    Ok(children)
}

/// The same without UIDs, versions, times, addresses, hashes of them, generated values, and the namespace's name.
pub fn normalised(children: &Children, owner: &impl ResourceExt, namespace: &str) -> BTreeMap<String, String> {
    let uid = owner.uid().unwrap_or_default();
    let text = |child: &Value| {
        let own = child["metadata"]["uid"].as_str().unwrap_or("none");
        let mut child = child.clone();
        strip(&mut child);
        format!("{child:#}").replace(&uid, "(owner)").replace(own, "(own)").replace(namespace, "(namespace)")
    };
    children.iter().map(|(reference, child)| (reference.clone(), text(child))).collect()
}

/// Identity and content of each child: whether any was written to.
pub fn versions(children: &Children) -> BTreeMap<String, (Value, Value)> {
    let version = |child: &Value| (child["metadata"]["uid"].clone(), child["metadata"]["generation"].clone());
    children.iter().map(|(reference, child)| (reference.clone(), version(child))).collect()
}

fn strip(child: &mut Value) {
    let is_secret = child.get("data").is_some();
    let Some(object) = child.as_object_mut() else { return };
    object.remove("status");
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
            metadata.remove(field);
        }
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            for hash in [annotation::INTENT, annotation::MADE] {
                annotations.remove(hash);
            }
            if let Some(template) = annotations.get_mut(APPLIED_TEMPLATE) {
                blank_template(template);
            }
        }
    }
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        for field in ["clusterIP", "clusterIPs"] {
            // A headless Service says None, which is no chance.
            if spec.get(field).is_some_and(|value| *value != json!("None") && *value != json!(["None"])) {
                spec.remove(field);
            }
        }
    }
    // What a pod reads is hashed into its template; generated values are in there.
    if let Some(roll) = child.pointer_mut("/spec/template/metadata/annotations") {
        blank(roll);
    }
    if is_secret {
        blank(&mut child["data"]);
    }
}

/// The template that the driver notes on a workload, without the hashes of generated values in its annotations.
fn blank_template(noted: &mut Value) {
    let parsed = noted.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(mut template) = parsed {
        blank(&mut template["metadata"]["annotations"]);
        *noted = json!(template.to_string());
    }
}

/// Keeps the keys and the length of the values.
fn blank(values: &mut Value) {
    for value in values.as_object_mut().into_iter().flat_map(|map| map.values_mut()) {
        *value = json!(value.as_str().map(str::len));
    }
}
