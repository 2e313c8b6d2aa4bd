//! `up --image NAME=REF` on a stack that may run already: the user's intent, so it goes into the custom resource that has the product,
//! and `up` does not end well before pods run it.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use temporal_stack_common::api::annotation::RESTART;

use crate::deploy::Replacement;
use crate::kubectl::Kubectl;
use crate::step::Step;

/// What the custom resources of the stack are called.
const NAME: &str = "temporal";

/// Where an image is named: the kind, and the field of its spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    kind: &'static str,
    path: &'static [&'static str],
}

/// By the variable that names the default.
fn place(variable: &str) -> Option<Place> {
    let (kind, path): (_, &[_]) = match variable {
        "RELATED_IMAGE_POSTGRES" => ("PostgresDatabase", &["provider", "postgres", "image"]),
        "RELATED_IMAGE_RABBITMQ" => ("MessageQueue", &["provider", "rabbitmq", "image"]),
        "RELATED_IMAGE_KUBO" => ("IpfsCluster", &["provider", "kubo", "image"]),
        "RELATED_IMAGE_IPFS_CLUSTER" => ("IpfsCluster", &["provider", "kubo", "clusterImage"]),
        "RELATED_IMAGE_TEMPORAL" => ("Temporal", &["image"]),
        // It has no field: a restart brings the controller's new default.
        "RELATED_IMAGE_BRIDGE" => ("Temporal", &[]),
        _ => return None,
    };
    Some(Place { kind, path })
}

impl Place {
    /// The patch that names an image, or asks for a restart, once for each image.
    fn patch(self, reference: &str) -> Value {
        if self.path.is_empty() {
            return json!({"metadata": {"annotations": {RESTART: reference}}});
        }
        let spec = self.path.iter().rev().fold(json!(reference), |inner, field| json!({ *field: inner }));
        json!({ "spec": spec })
    }

    /// Whether the object has its product elsewhere, where no image of ours runs.
    fn is_elsewhere(self, object: &Value) -> bool {
        self.path.first() == Some(&"provider") && !object["spec"]["provider"]["external"].is_null()
    }
}

/// Sets the images in the custom resources.
pub fn set(step: &mut Step, kubectl: &Kubectl, namespace: &str, images: &[Replacement]) -> Result<()> {
    for Replacement { variable, reference } in images {
        let place = place(variable).with_context(|| format!("no field of a custom resource names {variable}"))?;
        let object = object(step, kubectl, namespace, place)?;
        if place.is_elsewhere(&object) {
            bail!("{}/{NAME} has its product elsewhere: there is no image to replace by {reference}", place.kind);
        }
        let patch = place.patch(reference).to_string();
        let kind = format!("{}.temporal-stack.dev", place.kind.to_lowercase());
        let patch = ["patch", &kind, NAME, "--namespace", namespace, "--type=merge", "--patch", &patch];
        kubectl.command(step).args(patch).run()?;
    }
    Ok(())
}

fn object(step: &Step, kubectl: &Kubectl, namespace: &str, place: Place) -> Result<Value> {
    let kind = format!("{}.temporal-stack.dev", place.kind.to_lowercase());
    let text = kubectl.command(step).args(["get", &kind, NAME, "--namespace", namespace, "--output=json"]).read()?;
    serde_json::from_str(&text).with_context(|| format!("{}/{NAME} is no JSON", place.kind))
}

/// Fails when a pod of the stack runs another image than the one that was named.
pub fn check(step: &Step, kubectl: &Kubectl, namespace: &str, images: &[Replacement]) -> Result<()> {
    let selector = "--selector=app.kubernetes.io/managed-by=temporal-stack";
    let get = ["get", "pods", selector, "--namespace", namespace, "--output=json"];
    let pods: Value = serde_json::from_str(&kubectl.command(step).args(get).read()?)?;
    let running = running(&pods);
    let missing: Vec<&str> =
        images.iter().map(|image| image.reference.as_str()).filter(|image| !running.contains(image)).collect();
    if !missing.is_empty() {
        bail!("no pod runs {}; these run: {}", missing.join(", "), running.join(", "));
    }
    Ok(())
}

/// The images of all containers of pods that have not ended, each once.
fn running(pods: &Value) -> Vec<&str> {
    let pods = pods["items"].as_array().into_iter().flatten();
    let live = pods.filter(|pod| !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")));
    let containers = live.flat_map(|pod| pod["spec"]["containers"].as_array().into_iter().flatten());
    let mut images: Vec<&str> = containers.filter_map(|container| container["image"].as_str()).collect();
    images.sort_unstable();
    images.dedup();
    images
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::api::{IpfsCluster, MessageQueue, PostgresDatabase, Temporal};

    use super::*;
    use crate::controllers;

    #[test]
    fn every_image_has_a_field_of_its_kind_or_restarts() {
        let all = controllers::ALL.iter().flat_map(|controller| controller.images);
        for (variable, _) in all {
            let place = place(variable).unwrap();
            if place.path.is_empty() {
                assert_eq!(place.patch("x:1")["metadata"]["annotations"][RESTART], "x:1");
                continue;
            }
            let object = json!({
                "apiVersion": "temporal-stack.dev/v1alpha1",
                "kind": place.kind,
                "metadata": {"name": NAME},
                "spec": place.patch("registry/x:1")["spec"],
            });
            let typed = match place.kind {
                "PostgresDatabase" => serde_json::from_value::<PostgresDatabase>(object).map(|o| json!(o)),
                "MessageQueue" => serde_json::from_value::<MessageQueue>(object).map(|o| json!(o)),
                "IpfsCluster" => serde_json::from_value::<IpfsCluster>(object).map(|o| json!(o)),
                _ => serde_json::from_value::<Temporal>(object).map(|o| json!(o)),
            };
            let pointer = format!("/spec/{}", place.path.join("/"));
            assert_eq!(typed.unwrap().pointer(&pointer), Some(&json!("registry/x:1")), "{variable}");
        }
    }

    #[test]
    fn a_product_elsewhere_has_no_image() {
        let database = place("RELATED_IMAGE_POSTGRES").unwrap();
        assert!(database.is_elsewhere(&json!({"spec": {"provider": {"external": {"secretName": "s"}}}})));
        assert!(!database.is_elsewhere(&json!({"spec": {}})));
    }

    #[test]
    fn a_job_that_has_ended_runs_nothing() {
        let pod =
            |image: &str, phase: &str| json!({"spec": {"containers": [{"image": image}]}, "status": {"phase": phase}});
        let pods = json!({"items": [pod("new", "Succeeded"), pod("old", "Running"), pod("old", "Running")]});
        assert_eq!(running(&pods), ["old"]);
    }
}
