//! The children of an object in a form that can be compared between runs: without what differs by chance.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{ConfigMap, Secret, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams},
};
use serde_json::{Value, json};
use temporal_stack_common::api::{annotation, label};

use crate::Space;

/// Annotation of workloads: the pod template that was applied last, as JSON.
const APPLIED_TEMPLATE: &str = "temporal-stack.dev/applied-template";

/// `Kind/name` → the object.
pub type Children = BTreeMap<String, Value>;

/// The kinds of children that controllers make: those that their rules permit them to create.
pub fn kinds() -> Vec<ApiResource> {
    vec![
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<Ingress>(&()),
        ApiResource::erase::<Job>(&()),
        ApiResource::erase::<NetworkPolicy>(&()),
        ApiResource::erase::<PodDisruptionBudget>(&()),
        ApiResource::erase::<Secret>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<ServiceAccount>(&()),
        ApiResource::erase::<StatefulSet>(&()),
    ]
}

/// The children that controllers make, as they are.
pub async fn children(space: &Space) -> Result<Children> {
    let ours = ListParams::default().labels(&format!("{}={}", label::MANAGED_BY, label::STACK));
    let mut children = Children::new();
    for kind in kinds() {
        let api = Api::<DynamicObject>::namespaced_with(space.client.clone(), &space.name, &kind);
        for object in api.list(&ours).await? {
            let reference = format!("{}/{}", kind.kind, object.name_any());
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use temporal_stack_common::api::{IpfsCluster, MessageQueue, ObjectStorage, PostgresDatabase, Temporal};

    use super::*;
    use crate::rbac::{Permission, permissions};

    #[test]
    fn kinds_are_those_that_controllers_may_create() {
        let granted = [
            permissions::<PostgresDatabase>(),
            permissions::<MessageQueue>(),
            permissions::<IpfsCluster>(),
            permissions::<ObjectStorage>(),
            permissions::<Temporal>(),
        ];
        // Claims of Rook and clusters of CloudNativePG exist only where their kinds are installed.
        let others = ["events", "leases", "objectbucketclaims", "clusters"];
        let of_others = |permission: &Permission| others.contains(&permission.resource.as_str());
        let created: BTreeSet<(String, String)> = granted
            .into_iter()
            .flatten()
            .filter(|permission| permission.verb == "create" && !of_others(permission))
            .map(|permission| (permission.group, permission.resource))
            .collect();
        let compared = kinds().into_iter().map(|kind| (kind.group, kind.plural)).collect();
        assert_eq!(created, compared);
    }
}
