//! A policy of the cluster that refuses pods, and the settings of pods that comply with it.

use anyhow::{Result, ensure};
use e2e::{Space, Subject, turns, until};
use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    core::v1::Pod,
};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

use crate::{causes::until_told, step::complete, with_controller};

e2e::for_each_kind!(policy_that_refuses_pods_is_quoted);

/// What the policy says.
const TOLD: &str = "pods need the label team";

/// Forbids pods without the label `team` in the namespace, and waits until that is in force. The policy goes with the namespace.
async fn forbid(space: &Space) -> Result<()> {
    let owner = json!({"apiVersion": "v1", "kind": "Namespace", "name": space.name, "uid": space.uid});
    let metadata = json!({"name": space.name, "ownerReferences": [owner]});
    let created = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]});
    let has_team = "has(object.metadata.labels) && 'team' in object.metadata.labels";
    let policy = json!({"metadata": metadata, "spec": {
        "matchConstraints": {"resourceRules": [created]},
        "validations": [{"expression": has_team, "message": TOLD}],
    }});
    let policies = Api::<ValidatingAdmissionPolicy>::all(space.client.clone());
    policies.create(&PostParams::default(), &serde_json::from_value(policy)?).await?;
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": space.name}});
    let binding = json!({"metadata": metadata, "spec": {
        "policyName": space.name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": here},
    }});
    let bindings = Api::<ValidatingAdmissionPolicyBinding>::all(space.client.clone());
    bindings.create(&PostParams::default(), &serde_json::from_value(binding)?).await?;

    let containers = json!([{"name": "a", "image": "registry.invalid/a:1"}]);
    let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": {"containers": containers}}))?;
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    turns("the policy is in force", async || {
        let refused = space.api::<Pod>().create(&dry_run, &pod).await;
        Ok(refused.is_err_and(|error| error.to_string().contains(TOLD)))
    })
    .await
}

/// What a pod of the object has to have, by the fields of its spec.
fn settings() -> Value {
    json!({
        "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "data", "effect": "NoSchedule"}],
        "nodeSelector": {"disk": "ssd"},
        "imagePullSecrets": [{"name": "registry"}],
        "priorityClassName": "system-cluster-critical",
    })
}

/// The settings that the pod does not have.
fn missing(pod: &Pod) -> Result<Vec<String>> {
    let pod = serde_json::to_value(pod)?;
    let mut missing = Vec::new();
    for (field, wanted) in settings().as_object().into_iter().flatten() {
        let there = &pod["spec"][field];
        // The API server adds tolerations of its own.
        let has = match (there, wanted) {
            (Value::Array(there), Value::Array(wanted)) => wanted.iter().all(|one| there.contains(one)),
            _ => there == wanted,
        };
        if !has {
            missing.push(format!("{field}: {there}"));
        }
    }
    if pod["metadata"]["labels"]["team"] != "storage" {
        missing.push(format!("labels: {}", pod["metadata"]["labels"]));
    }
    Ok(missing)
}

async fn policy_that_refuses_pods_is_quoted<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        forbid(space).await?;
        space.create(&K::embedded()).await?;
        let told = ["ValidatingAdmissionPolicy", TOLD, "0 of 1 pods ready", "comply with that policy"];
        until_told(space, &told).await?;

        let mut pods = settings();
        pods["labels"] = json!({"team": "storage"});
        space.patch(&json!({"spec": {"pods": pods}})).await?;
        let pod = until(&space.api::<Pod>(), &K::pod(0), "been made under the policy", |_| true).await?;
        let missing = missing(&pod)?;
        ensure!(missing.is_empty(), "the pod has other settings: {missing:?}");
        complete(space, controller).await.map(drop)
    })
    .await;
}
