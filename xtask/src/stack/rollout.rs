//! `up --image NAME=REF` on a stack that may already run: the image is set in the custom resource of the product, and `up` fails
//! unless pods run it.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use temporal_stack_common::api::annotation::RESTART;

use super::cloud_native_pg::PROVIDER;
use crate::deploy::Replacement;
use crate::kubectl::Kubectl;
use crate::step::Step;

/// The name of the stack's custom resources.
const NAME: &str = "temporal";
/// The variable with the default image of database servers.
const POSTGRES: &str = "RELATED_IMAGE_POSTGRES";

/// The place of an image: the kind, and the field of its spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ImageField {
    kind: &'static str,
    path: &'static [&'static str],
}

/// The place, by the variable with the default image.
fn field_of(variable: &str) -> Option<ImageField> {
    let (kind, path): (_, &[_]) = match variable {
        POSTGRES => ("PostgresDatabase", &["provider", "postgres", "image"]),
        "RELATED_IMAGE_RABBITMQ" => ("MessageQueue", &["provider", "rabbitmq", "image"]),
        "RELATED_IMAGE_KUBO" => ("IpfsCluster", &["provider", "kubo", "image"]),
        "RELATED_IMAGE_IPFS_CLUSTER" => ("IpfsCluster", &["provider", "kubo", "clusterImage"]),
        "RELATED_IMAGE_MINIO" => ("ObjectStorage", &["provider", "minio", "image"]),
        "RELATED_IMAGE_VERSITY" => ("ObjectStorage", &["provider", "versity", "image"]),
        "RELATED_IMAGE_TEMPORAL" => ("Temporal", &["image"]),
        // It has no field: a restart applies the controller's new default.
        "RELATED_IMAGE_BRIDGE" => ("Temporal", &[]),
        _ => return None,
    };
    Some(ImageField { kind, path })
}

impl ImageField {
    /// The field of the provider that the object has.
    fn within(self, object: &Value) -> Self {
        let of_cluster = object["kind"] == "PostgresDatabase" && !object["spec"]["provider"][PROVIDER].is_null();
        if of_cluster { Self { path: &["provider", PROVIDER, "image"], ..self } } else { self }
    }

    /// The patch that sets an image, or requests a restart, once for each image.
    fn patch(self, reference: &str) -> Value {
        if self.path.is_empty() {
            return json!({"metadata": {"annotations": {RESTART: reference}}});
        }
        let spec = self.path.iter().rev().fold(json!(reference), |inner, field| json!({ *field: inner }));
        json!({ "spec": spec })
    }

    /// Whether the product is external, so that no image of the stack runs.
    fn is_external(self, object: &Value) -> bool {
        self.path.first() == Some(&"provider") && !object["spec"]["provider"]["external"].is_null()
    }
}

/// The images of kinds that the stack has; those of others are defaults of their controllers only.
pub fn of_stack(images: &[Replacement], objects: &[Value]) -> Vec<Replacement> {
    let is_absent = |kind: &str| objects.iter().all(|object| object["kind"] != kind);
    let mut images = images.to_vec();
    images.retain(|image| !field_of(image.variable).is_some_and(|field| is_absent(field.kind)));
    images
}

/// Sets the images in the custom resources.
pub fn set(step: &mut Step, kubectl: &Kubectl, namespace: &str, images: &[Replacement]) -> Result<()> {
    for Replacement { variable, reference } in images {
        let field = field_of(variable)
            .with_context(|| format!("image {variable} unknown: no field of a custom resource sets it"))?;
        let object = object(step, kubectl, namespace, field)?;
        if field.is_external(&object) {
            bail!("{}/{NAME} external: it runs no image that {reference} could replace; omit that --image", field.kind);
        }
        let patch = field.within(&object).patch(reference).to_string();
        let kind = format!("{}.temporal-stack.dev", field.kind.to_lowercase());
        let patch = ["patch", &kind, NAME, "--namespace", namespace, "--type=merge", "--patch", &patch];
        kubectl.command(step).args(patch).run()?;
    }
    Ok(())
}

fn object(step: &Step, kubectl: &Kubectl, namespace: &str, field: ImageField) -> Result<Value> {
    let kind = format!("{}.temporal-stack.dev", field.kind.to_lowercase());
    let text = kubectl.command(step).args(["get", &kind, NAME, "--namespace", namespace, "--output=json"]).read()?;
    serde_json::from_str(&text).with_context(|| format!("{}/{NAME} is not JSON", field.kind))
}

/// Fails unless pods of the stack run the given images.
pub fn check(step: &Step, kubectl: &Kubectl, namespace: &str, images: &[Replacement]) -> Result<()> {
    let selector = "--selector=app.kubernetes.io/managed-by in (temporal-stack, cloudnative-pg)";
    let get = ["get", "pods", selector, "--namespace", namespace, "--output=json"];
    let pods: Value = serde_json::from_str(&kubectl.command(step).args(get).read()?)?;
    judge(&pods, images)
}

fn judge(pods: &Value, images: &[Replacement]) -> Result<()> {
    let running = running(pods);
    let missing: Vec<&str> =
        images.iter().map(|image| image.reference.as_str()).filter(|image| !running.contains(image)).collect();
    if !missing.is_empty() {
        bail!("image not running: no ready pod has {}; pods have: {}", missing.join(", "), running.join(", "));
    }
    Ok(())
}

/// The images of all containers of ready pods of workloads, each once. The bridge is an init container, which never ends.
fn running(pods: &Value) -> Vec<&str> {
    let pods = items(&pods["items"]).filter(|pod| is_ready(pod) && is_of_a_workload(pod));
    let containers =
        pods.flat_map(|pod| items(&pod["spec"]["containers"]).chain(items(&pod["spec"]["initContainers"])));
    let mut images: Vec<&str> = containers.filter_map(|container| container["image"].as_str()).collect();
    images.sort_unstable();
    images.dedup();
    images
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// Whether a pod works: it may be pending, have ended, or be about to go.
fn is_ready(pod: &Value) -> bool {
    let says_so = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    pod["status"]["phase"] == "Running"
        && pod["metadata"]["deletionTimestamp"].is_null()
        && items(&pod["status"]["conditions"]).any(says_so)
}

/// Whether a pod belongs to a workload: anyone may create one with the labels, and that of a Job ends.
fn is_of_a_workload(pod: &Value) -> bool {
    let is_workload = |owner: &Value| {
        let kind = owner["kind"].as_str().unwrap_or_default();
        let group = owner["apiVersion"].as_str().unwrap_or_default().split('/').next().unwrap_or_default();
        let workloads = [("apps", "ReplicaSet"), ("apps", "StatefulSet"), ("postgresql.cnpg.io", "Cluster")];
        owner["controller"] == true && workloads.contains(&(group, kind))
    };
    items(&pod["metadata"]["ownerReferences"]).any(is_workload)
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::api::{IpfsCluster, MessageQueue, ObjectStorage, PostgresDatabase, Temporal};

    use super::*;
    use crate::controllers;

    #[test]
    fn image_has_a_field_of_its_kind_or_restarts() {
        let all = controllers::ALL.iter().flat_map(|controller| controller.images);
        for (variable, _) in all {
            let field = field_of(variable).unwrap();
            if field.path.is_empty() {
                assert_eq!(field.patch("x:1")["metadata"]["annotations"][RESTART], "x:1");
                continue;
            }
            let object = json!({
                "apiVersion": "temporal-stack.dev/v1alpha1",
                "kind": field.kind,
                "metadata": {"name": NAME},
                "spec": field.patch("registry/x:1")["spec"],
            });
            let typed = match field.kind {
                "PostgresDatabase" => serde_json::from_value::<PostgresDatabase>(object).map(|o| json!(o)),
                "MessageQueue" => serde_json::from_value::<MessageQueue>(object).map(|o| json!(o)),
                "IpfsCluster" => serde_json::from_value::<IpfsCluster>(object).map(|o| json!(o)),
                "ObjectStorage" => serde_json::from_value::<ObjectStorage>(object).map(|o| json!(o)),
                _ => serde_json::from_value::<Temporal>(object).map(|o| json!(o)),
            };
            let pointer = format!("/spec/{}", field.path.join("/"));
            assert_eq!(typed.unwrap().pointer(&pointer), Some(&json!("registry/x:1")), "{variable}");
        }
    }

    #[test]
    fn image_of_a_kind_outside_the_stack_is_left_out() {
        let images = ["minio=team/minio:1", "kubo=team/kubo:1"].map(|image| image.parse::<Replacement>().unwrap());
        let stack = [json!({"kind": "IpfsCluster"}), json!({"kind": "Temporal"})];
        assert_eq!(of_stack(&images, &stack), images[1..]);
    }

    #[test]
    fn external_product_has_no_image() {
        let database = field_of("RELATED_IMAGE_POSTGRES").unwrap();
        assert!(database.is_external(&json!({"spec": {"provider": {"external": {"secretName": "s"}}}})));
        assert!(!database.is_external(&json!({"spec": {}})));
    }

    #[test]
    fn image_of_a_cluster_is_set_in_its_provider() {
        let cluster = json!({"kind": "PostgresDatabase", "spec": {"provider": {"cloudNativePg": {}}}});
        let field = field_of(POSTGRES).unwrap();
        assert_eq!(field.within(&cluster).path, ["provider", "cloudNativePg", "image"]);
        let server = json!({"kind": "PostgresDatabase", "spec": {"provider": {"postgres": {}}}});
        assert_eq!(field.within(&server), field);
    }

    /// A ready pod of a set, with these images in its containers and in its init containers.
    fn pod(containers: &[&str], init: &[&str]) -> Value {
        let list = |images: &[&str]| images.iter().map(|image| json!({ "image": image })).collect::<Value>();
        json!({
            "metadata": {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "controller": true}]},
            "spec": {"containers": list(containers), "initContainers": list(init)},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        })
    }

    fn judged(pods: &[Value], image: &str) -> Result<()> {
        judge(&json!({ "items": pods }), &[format!("temporal={image}").parse().unwrap()])
    }

    #[test]
    fn image_of_a_container_or_an_init_container_runs() {
        let pods = [pod(&["old"], &[]), pod(&["new"], &["wait", "bridge"])];
        for image in ["old", "new", "bridge"] {
            judged(&pods, image).unwrap();
        }
        let error = judged(&pods, "other").unwrap_err().to_string();
        assert_eq!(error, "image not running: no ready pod has other; pods have: bridge, new, old, wait");
    }

    #[test]
    fn server_of_cloud_native_pg_works() {
        let mut server = pod(&["new"], &[]);
        server["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "controller": true}]);
        judged(&[server], "new").unwrap();
    }

    #[test]
    fn pod_that_does_not_work_runs_nothing() {
        let with = |pointer: &str, value: Value| {
            let mut pod = pod(&["new"], &[]);
            *pod.pointer_mut(pointer).unwrap() = value;
            pod
        };
        let ended = with("/status/phase", json!("Succeeded"));
        let pending = with("/status/phase", json!("Pending"));
        let unready = with("/status/conditions/0/status", json!("False"));
        let mut going = pod(&["new"], &[]);
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let stray = with("/metadata/ownerReferences", Value::Null);
        let of_a_job = with("/metadata/ownerReferences/0/kind", json!("Job"));
        for pod in [ended, pending, unready, going, stray, of_a_job] {
            assert!(judged(std::slice::from_ref(&pod), "new").is_err(), "{pod}");
        }
        judged(&[pod(&["new"], &[])], "new").unwrap();
    }
}
