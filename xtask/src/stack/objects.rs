//! What is made where it is absent and never overwritten, because from then on it is the user's: the seed's objects, the
//! custom resources, and the first account.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rand::RngExt as _;
use rand::distr::Alphanumeric;
use serde_json::{Value, json};

use super::component::{Component, Id};
use crate::kubectl::Kubectl;
use crate::place;
use crate::step::Step;

/// The Secret with the first account of Temporal: `deploy/stack/temporal.yaml` names it.
pub const ADMIN: &str = "temporal-admin";
/// How many letters and digits its password has: 190 bits.
const PASSWORD_LENGTH: usize = 32;

/// Makes the seed's objects.
pub fn configuration(step: &mut Step, kubectl: &Kubectl, namespace: &str) -> Result<()> {
    if namespace != "default" {
        step.note(format!("the seed's objects go to the namespace {namespace}"));
    }
    create_all(step, kubectl, namespace, "deploy/stack/seed")
}

/// Makes the custom resources.
pub fn custom_resources(step: &mut Step, kubectl: &Kubectl, namespace: &str) -> Result<()> {
    create_all(step, kubectl, namespace, "deploy/stack")
}

/// Which custom resources those are.
pub fn custom_resource_ids(namespace: &str) -> Result<Vec<Id>> {
    let id = |file: &PathBuf| {
        let object: Value = serde_saphyr::from_str(&read(file, "default")?)?;
        Ok(Id { namespace: namespace.to_owned(), ..Component::of(&object).id })
    };
    files("deploy/stack")?.iter().map(id).collect()
}

/// Makes the Secret with the first account, with a password that is drawn and never printed.
pub fn first_account(step: &mut Step, kubectl: &Kubectl, namespace: &str) -> Result<()> {
    let password: String = rand::rng().sample_iter(Alphanumeric).take(PASSWORD_LENGTH).map(char::from).collect();
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": ADMIN, "labels": {"temporal-stack.dev/config": "true"}},
        "stringData": {"username": "admin", "password": password, "email": "admin@example.com"},
    });
    if !create(step, kubectl, namespace, &secret.to_string())? {
        step.nothing_to_do();
    }
    Ok(())
}

fn create_all(step: &mut Step, kubectl: &Kubectl, namespace: &str, folder: &str) -> Result<()> {
    let mut changed = false;
    for file in files(folder)? {
        changed |= create(step, kubectl, namespace, &read(&file, namespace)?)?;
    }
    if !changed {
        step.nothing_to_do();
    }
    Ok(())
}

/// Creates an object if it is not there; says whether it was made.
fn create(step: &Step, kubectl: &Kubectl, namespace: &str, text: &str) -> Result<bool> {
    let in_namespace = ["--namespace", namespace];
    let there = kubectl.command(step).args(["get", "--ignore-not-found", "--output=name", "--filename=-"]);
    if !there.args(in_namespace).input(text).read()?.trim().is_empty() {
        return Ok(false);
    }
    kubectl.command(step).args(["create", "--filename=-"]).args(in_namespace).input(text).run()?;
    Ok(true)
}

/// A file's text, word for word for `default`, else with its namespace rewritten.
fn read(file: &Path, namespace: &str) -> Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    if namespace == "default" {
        return Ok(text);
    }
    let mut object: Value = serde_saphyr::from_str(&text).with_context(|| format!("{} is no YAML", file.display()))?;
    object["metadata"]["namespace"] = Value::from(namespace);
    Ok(object.to_string())
}

fn files(folder: &str) -> Result<Vec<PathBuf>> {
    let folder = place::workspace().join(folder);
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::api::Temporal;

    use super::*;

    #[test]
    fn the_stack_is_what_its_temporal_refers_to() {
        let files = files("deploy/stack").unwrap();
        let object = |file: &PathBuf| serde_saphyr::from_str::<Value>(&read(file, "default").unwrap()).unwrap();
        let objects: Vec<Value> = files.iter().map(object).collect();
        let temporal = objects.iter().find(|object| object["kind"] == "Temporal").unwrap();
        assert_eq!(temporal["spec"]["admins"][0]["secretName"], ADMIN);
        for id in Component::of(temporal).refers_to {
            let there = |object: &Value| object["kind"] == *id.kind && object["metadata"]["name"] == *id.name;
            assert!(objects.iter().any(there), "{id}");
        }
    }

    #[test]
    fn what_is_written_of_temporal_is_what_its_type_has() {
        let file = place::workspace().join("deploy/stack/temporal.yaml");
        let written: Value = serde_saphyr::from_str(&read(&file, "default").unwrap()).unwrap();
        let temporal: Temporal = serde_json::from_value(written.clone()).unwrap();
        let typed = serde_json::to_value(temporal).unwrap();
        for (field, value) in written["spec"].as_object().unwrap() {
            assert_eq!(&typed["spec"][field], value, "{field}");
        }
    }

    #[test]
    fn another_namespace_is_written_into_every_object() {
        for file in files("deploy/stack/seed").unwrap() {
            let object: Value = serde_json::from_str(&read(&file, "other").unwrap()).unwrap();
            assert_eq!(object["metadata"]["namespace"], "other");
        }
    }
}
