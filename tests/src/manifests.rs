//! Manifests of the deployment, as kubectl builds them, and what two sets of objects have in common.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::program::run;

/// Names the program of kubectl.
pub const KUBECTL: &str = "TEMPORAL_STACK_KUBECTL";

/// The objects of a folder of `deploy`, as `kubectl kustomize` builds them.
pub async fn kustomized(folder: &str) -> Result<Vec<Value>> {
    let program =
        std::env::var_os(KUBECTL).with_context(|| format!("{KUBECTL} is not set: `cargo xtask test` sets it"))?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(folder);
    let text = run(program.into(), &["kustomize", path.to_str().context("the path is not text")?], &[]).await?;
    serde_saphyr::from_multiple(&text).context("kubectl's output is not YAML")
}

/// Objects by kind, namespace and name; two of the same are an error.
pub fn by_name(objects: Vec<Value>) -> Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    for object in objects {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let meta = &object["metadata"];
        let key = format!("{} {}/{}", text(&object["kind"]), text(&meta["namespace"]), text(&meta["name"]));
        if all.insert(key.clone(), object).is_some() {
            bail!("{key} is there twice");
        }
    }
    Ok(all)
}

/// The objects of a kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// Fails if an object has a field that its type in Kubernetes has not. Kinds of other projects are not known here.
pub fn check_type(object: &Value) -> Result<()> {
    match object["kind"].as_str().unwrap_or_default() {
        "ClusterRole" => check::<ClusterRole>(object),
        "ClusterRoleBinding" => check::<ClusterRoleBinding>(object),
        "ConfigMap" => check::<ConfigMap>(object),
        "CustomResourceDefinition" => check::<CustomResourceDefinition>(object),
        "Deployment" => check::<Deployment>(object),
        "NetworkPolicy" => check::<NetworkPolicy>(object),
        "PodDisruptionBudget" => check::<PodDisruptionBudget>(object),
        "Role" => check::<Role>(object),
        "RoleBinding" => check::<RoleBinding>(object),
        "Service" => check::<Service>(object),
        "ServiceAccount" => check::<ServiceAccount>(object),
        "PodMonitor" | "PrometheusRule" | "ServiceMonitor" => Ok(()),
        other => bail!("{other} is not expected"),
    }
}

fn check<K: DeserializeOwned + Serialize>(object: &Value) -> Result<()> {
    let typed: K = serde_json::from_value(object.clone()).with_context(|| format!("{object}"))?;
    let again = serde_json::to_value(&typed)?;
    if let Some(path) = lost("", object, &again) {
        bail!("{} {} has an unknown or misplaced field: {path}", object["kind"], object["metadata"]["name"]);
    }
    Ok(())
}

/// The first field in which two objects differ. A number is the same with and without a fraction of zero.
pub fn difference(one: &Value, other: &Value) -> Option<String> {
    lost("", one, other).or_else(|| lost("", other, one))
}

/// The first field of `one` that `other` lacks.
fn lost(path: &str, one: &Value, other: &Value) -> Option<String> {
    match (one, other) {
        (Value::Object(one), other) => one.iter().find_map(|(key, value)| {
            let path = format!("{path}.{key}");
            match other.get(key) {
                Some(other) => lost(&path, value, other),
                None => (!is_empty(value)).then_some(path),
            }
        }),
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => one
            .iter()
            .zip(other)
            .enumerate()
            .find_map(|(index, (one, other))| lost(&format!("{path}[{index}]"), one, other)),
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => None,
        (one, other) => (one != other).then(|| path.to_owned()),
    }
}

/// Whether a type may leave it out.
fn is_empty(value: &Value) -> bool {
    value.is_null()
        || value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(serde_json::Map::is_empty)
}
