//! Objects that are created if absent and never overwritten, because they belong to the user from then on: the
//! configuration, the custom resources, and the first account.

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
/// The file with the Mesh, in comments.
const MESH: &str = "mesh.yaml";
/// How many letters and digits its password has: 190 bits.
const PASSWORD_LENGTH: usize = 32;

/// Creates the user's ConfigMaps and Secret.
pub fn configuration(step: &mut Step, kubectl: &Kubectl, namespace: &str) -> Result<()> {
    if namespace != "default" {
        step.note(format!("apply your configuration to namespace {namespace}"));
    }
    create_all(step, kubectl, namespace, "deploy/stack/configuration", Ok)
}

/// Creates the custom resources, with this provider of the database instead of that in the file.
pub fn custom_resources(step: &mut Step, kubectl: &Kubectl, namespace: &str, database: Option<&Value>) -> Result<()> {
    let changed = |text: String| match database {
        Some(provider) => with_database(&text, provider),
        None => Ok(text),
    };
    create_all(step, kubectl, namespace, "deploy/stack", changed)
}

/// An object with this provider, if it is the database.
fn with_database(text: &str, provider: &Value) -> Result<String> {
    let mut object: Value = serde_saphyr::from_str(text).context("a manifest is not YAML")?;
    if object["kind"] == "PostgresDatabase" {
        object["spec"]["provider"] = provider.clone();
    }
    Ok(object.to_string())
}

/// The custom resources that [`custom_resources`] creates.
pub fn custom_resource_ids(namespace: &str) -> Result<Vec<Id>> {
    let id = |object| Id { namespace: namespace.to_owned(), ..Component::parse(object).id };
    Ok(stack()?.iter().map(id).collect())
}

/// The manifests of the custom resources that [`custom_resources`] creates.
pub fn stack() -> Result<Vec<Value>> {
    let object = |file: &PathBuf| {
        serde_saphyr::from_str(&read(file, "default")?).with_context(|| format!("{} is not YAML", file.display()))
    };
    files("deploy/stack")?.iter().map(object).collect()
}

/// Creates the Mesh, which is a comment in the stack.
pub fn mesh(step: &mut Step, kubectl: &Kubectl, namespace: &str) -> Result<()> {
    let mut mesh = commented(MESH)?;
    mesh["metadata"]["namespace"] = Value::from(namespace);
    if !create(step, kubectl, namespace, &mesh.to_string())? {
        step.nothing_to_do();
    }
    Ok(())
}

/// The Mesh that [`mesh`] creates.
pub fn mesh_id(namespace: &str) -> Result<Id> {
    Ok(Id { namespace: namespace.to_owned(), ..Component::parse(&commented(MESH)?).id })
}

/// The object of a file whose lines are comments.
fn commented(file: &str) -> Result<Value> {
    let path = place::workspace().join("deploy/stack").join(file);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().skip_while(|line| !line.starts_with("#apiVersion"));
    let lines: Vec<&str> = lines.map(|line| line.strip_prefix('#').unwrap_or(line)).collect();
    serde_saphyr::from_str(&lines.join("\n")).with_context(|| format!("{} is not YAML in comments", path.display()))
}

/// Creates the Secret of the first account, with a generated password that is never printed.
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

/// Creates the objects of a folder, with a change of their text.
fn create_all(
    step: &mut Step,
    kubectl: &Kubectl,
    namespace: &str,
    folder: &str,
    change: impl Fn(String) -> Result<String>,
) -> Result<()> {
    let mut changed = false;
    for file in files(folder)? {
        changed |= create(step, kubectl, namespace, &change(read(&file, namespace)?)?)?;
    }
    if !changed {
        step.nothing_to_do();
    }
    Ok(())
}

/// Creates an object if it does not exist; returns whether it was created.
fn create(step: &Step, kubectl: &Kubectl, namespace: &str, text: &str) -> Result<bool> {
    let in_namespace = ["--namespace", namespace];
    let existing = kubectl.command(step).args(["get", "--ignore-not-found", "--output=name", "--filename=-"]);
    if !existing.args(in_namespace).input(text).read()?.trim().is_empty() {
        return Ok(false);
    }
    kubectl.command(step).args(["create", "--filename=-"]).args(in_namespace).input(text).run()?;
    Ok(true)
}

/// A file's text, unchanged for `default`, else with its namespace replaced.
fn read(file: &Path, namespace: &str) -> Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    if namespace == "default" {
        return Ok(text);
    }
    let mut object: Value = serde_saphyr::from_str(&text).with_context(|| format!("{} is not YAML", file.display()))?;
    object["metadata"]["namespace"] = Value::from(namespace);
    Ok(object.to_string())
}

/// The files with an object; where all lines are comments, the user has not asked for it.
fn files(folder: &str) -> Result<Vec<PathBuf>> {
    let folder = place::workspace().join(folder);
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.retain(|path| std::fs::read_to_string(path).is_ok_and(|text| has_object(&text)));
    files.sort();
    Ok(files)
}

fn has_object(text: &str) -> bool {
    text.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::api::{Mesh, ObjectStorage, Temporal};

    use super::*;

    #[test]
    fn references_of_temporal_are_in_the_stack() {
        let files = files("deploy/stack").unwrap();
        let object = |file: &PathBuf| serde_saphyr::from_str::<Value>(&read(file, "default").unwrap()).unwrap();
        let objects: Vec<Value> = files.iter().map(object).collect();
        let temporal = objects.iter().find(|object| object["kind"] == "Temporal").unwrap();
        assert_eq!(temporal["spec"]["admins"][0]["secretName"], ADMIN);
        for id in Component::parse(temporal).refers_to {
            let is_named = |object: &Value| object["kind"] == *id.kind && object["metadata"]["name"] == *id.name;
            assert!(objects.iter().any(is_named), "{id}");
        }
    }

    #[test]
    fn only_the_database_gets_another_provider() {
        let provider = json!({"cloudNativePg": {"instances": 3}});
        let changed = |file: &str| {
            let text = read(&place::workspace().join("deploy/stack").join(file), "default").unwrap();
            serde_json::from_str::<Value>(&with_database(&text, &provider).unwrap()).unwrap()
        };
        assert_eq!(changed("database.yaml")["spec"]["provider"], provider);
        assert_ne!(changed("queue.yaml")["spec"]["provider"], provider);
    }

    #[test]
    fn file_of_comments_has_no_object() {
        assert!(!has_object("# kind: PostgresDatabase\n\n#spec: {}\n"));
        assert!(has_object("# The database.\nkind: PostgresDatabase\n"));
        assert!(stack().unwrap().iter().all(|object| object["kind"] != "ObjectStorage"));
    }

    #[test]
    fn mesh_in_comments_has_fields_of_its_type_only() {
        let manifest = commented(MESH).unwrap();
        let mesh: Mesh = serde_json::from_value(manifest.clone()).unwrap();
        let typed = serde_json::to_value(mesh).unwrap();
        for (field, value) in manifest["spec"].as_object().unwrap() {
            assert_eq!(&typed["spec"][field], value, "{field}");
        }
        assert_eq!(mesh_id("shop").unwrap().kind, "Mesh");
    }

    #[test]
    fn object_storage_in_comments_has_fields_of_its_type_only() {
        let manifest = commented("objectstorage.yaml").unwrap();
        let storage: ObjectStorage = serde_json::from_value(manifest.clone()).unwrap();
        let typed = serde_json::to_value(storage).unwrap();
        assert_eq!(typed["metadata"]["name"], manifest["metadata"]["name"]);
        for (field, value) in manifest["spec"]["provider"]["minio"].as_object().unwrap() {
            assert_eq!(&typed["spec"]["provider"]["minio"][field], value, "{field}");
        }
        assert_eq!(typed["spec"]["buckets"][0]["name"], manifest["spec"]["buckets"][0]["name"]);
    }

    #[test]
    fn manifest_of_temporal_has_fields_of_its_type_only() {
        let file = place::workspace().join("deploy/stack/temporal.yaml");
        let manifest: Value = serde_saphyr::from_str(&read(&file, "default").unwrap()).unwrap();
        let temporal: Temporal = serde_json::from_value(manifest.clone()).unwrap();
        let typed = serde_json::to_value(temporal).unwrap();
        for (field, value) in manifest["spec"].as_object().unwrap() {
            assert_eq!(&typed["spec"][field], value, "{field}");
        }
    }

    #[test]
    fn other_namespace_is_set_in_every_object() {
        for file in files("deploy/stack/configuration").unwrap() {
            let object: Value = serde_json::from_str(&read(&file, "other").unwrap()).unwrap();
            assert_eq!(object["metadata"]["namespace"], "other");
        }
    }
}
