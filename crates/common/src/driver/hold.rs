//! Deployments that keep their template: Kubernetes would roll their pods at once, and a newer controller is no reason to.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

use crate::{
    api::{Rollout, annotation},
    cache::Children,
    manifest::{Making, Manifest, hash},
};

/// Annotation of Deployments: hash of the template that was applied last.
const TEMPLATE: &str = "temporal-stack.dev/template";

/// Gives each Deployment whose template differs only because the controller is newer the one that it has, unless the user said
/// otherwise. Returns the names of those that keep theirs.
pub(super) fn hold(manifests: &mut [Manifest], children: &Children, rollout: Rollout) -> Vec<String> {
    let is_applied =
        |manifest: &&mut Manifest| manifest.resource.kind == "Deployment" && matches!(manifest.making, Making::Applied);
    let mut held = Vec::new();
    for manifest in manifests.iter_mut().filter(is_applied) {
        let template = hash(&manifest.object["spec"]["template"]);
        let live = children.find::<Deployment>(manifest.name()).and_then(|live| serde_json::to_value(live).ok());
        let before = live.as_ref().and_then(|live| live["metadata"]["annotations"][TEMPLATE].as_str());
        match (&live, before) {
            (Some(live), Some(before))
                if before != template
                    && rollout == Rollout::WhenAsked
                    && asks_for(live) == asks_for(&manifest.object) =>
            {
                held.push(manifest.name().to_owned());
                let before = before.to_owned();
                manifest.object["spec"]["template"] = live["spec"]["template"].clone();
                note(manifest, &before);
            }
            _ => note(manifest, &template),
        }
    }
    held
}

/// What a change of restarts pods.
fn asks_for(deployment: &Value) -> [&Value; 2] {
    let annotations = &deployment["spec"]["template"]["metadata"]["annotations"];
    [&annotations[annotation::ROLL], &annotations[annotation::RESTART]]
}

fn note(manifest: &mut Manifest, template: &str) {
    let metadata = &mut manifest.object["metadata"];
    if metadata["annotations"].is_null() {
        metadata["annotations"] = json!({});
    }
    metadata["annotations"][TEMPLATE] = json!(template);
}
