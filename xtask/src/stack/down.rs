//! `cargo xtask down`.
//!
//! Exactly what was listed and confirmed is deleted, by name: an object that is created meanwhile stays, and so do the controllers
//! that it needs.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{DATA, data_kinds, kinds};
use crate::controllers::{self, NAMESPACE};
use crate::deploy::Where;
use crate::kubectl::Kubectl;
use crate::step::{Step, Steps};
use crate::{machine, node};

/// How long objects may take to go. Their pods end within two minutes, but a finalizer may hold an object for ever.
const GONE_WITHIN: Duration = Duration::from_secs(300);
/// How many names one command has.
const AT_ONCE: usize = 200;
/// For each object of a list, its namespace.
const NAMESPACES: &str = "--output=jsonpath={range .items[*]}{.metadata.namespace}{\"\\n\"}{end}";

/// The arguments of `cargo xtask down`.
#[derive(Debug, clap::Args)]
pub struct Down {
    #[command(flatten)]
    cluster: Where,
    /// Also delete the data: on the local node everything in it, on another cluster the volumes, Secrets and ConfigMaps that
    /// the stack retains.
    #[arg(long)]
    delete_data: bool,
    /// The namespace of the stack on a cluster with `--context`; others stay as they are.
    #[arg(long, default_value = "default")]
    namespace: String,
    /// Do not ask before deleting.
    #[arg(long, short)]
    yes: bool,
}

/// The objects to delete, by kind and name.
#[derive(Debug)]
struct Doomed {
    custom_resources: Vec<String>,
    data: Vec<String>,
    /// The Deployments of the controllers. Empty if other namespaces need them.
    controllers: Vec<String>,
}

/// Stops the stack; its data stay unless `--delete-data` is given.
pub fn down(arguments: &Down) -> Result<()> {
    let Some(context) = arguments.cluster.context.as_deref() else {
        return node::down(arguments.delete_data, arguments.yes);
    };
    let kubectl = Kubectl::for_context(Some(context))?;
    let namespace = arguments.namespace.as_str();
    let doomed = Steps::quiet("down", |step| Doomed::list(step, &kubectl, namespace, arguments.delete_data))?;
    machine::agree(&format!("the cluster of context {context}"), &doomed.changes(namespace), arguments.yes)?;
    let mut steps = Steps::new("down")?;
    steps.run("delete custom resources", |step| delete(step, &kubectl, namespace, &doomed.custom_resources))?;
    if arguments.delete_data {
        steps.run("delete data", |step| delete(step, &kubectl, namespace, &doomed.data))?;
    }
    steps.run("delete controllers", |step| {
        if doomed.controllers.is_empty() || !namespaces(step, &kubectl)?.is_empty() {
            step.nothing_to_do();
            return Ok(());
        }
        delete(step, &kubectl, NAMESPACE, &doomed.controllers)
    })?;
    steps.finish();
    println!("Kept: the CustomResourceDefinitions, the permissions and the namespace {NAMESPACE}.");
    Ok(())
}

impl Doomed {
    fn list(step: &Step, kubectl: &Kubectl, namespace: &str, with_data: bool) -> Result<Self> {
        let names = |namespace: &str, objects: &[String]| -> Result<Vec<String>> {
            let get = ["get", "--output=name", "--ignore-not-found", "--namespace", namespace];
            Ok(kubectl.command(step).args(get).args(objects).read()?.lines().map(str::to_owned).collect())
        };
        let data = [data_kinds(step, kubectl)?, DATA.to_owned()];
        let deployments: Vec<String> =
            controllers::ALL.iter().map(|controller| format!("deployment/{}", controller.program)).collect();
        let is_needed = namespaces(step, kubectl)?.iter().any(|other| other != namespace);
        Ok(Self {
            custom_resources: names(namespace, &[kinds().join(",")])?,
            data: if with_data { names(namespace, &data)? } else { Vec::new() },
            controllers: if is_needed { Vec::new() } else { names(NAMESPACE, &deployments)? },
        })
    }

    /// The changes to confirm.
    fn changes(&self, namespace: &str) -> Vec<String> {
        let here = self.custom_resources.iter().chain(&self.data).map(|name| (name, namespace));
        let all = here.chain(self.controllers.iter().map(|name| (name, NAMESPACE)));
        all.map(|(name, namespace)| format!("delete {name} in namespace {namespace}")).collect()
    }
}

/// The namespaces with custom resources, once for each of these.
fn namespaces(step: &Step, kubectl: &Kubectl) -> Result<Vec<String>> {
    let get = ["get", "--all-namespaces", "--ignore-not-found", NAMESPACES];
    Ok(kubectl.command(step).args(get).arg(kinds().join(",")).read()?.lines().map(str::to_owned).collect())
}

/// Deletes these, and waits until they are gone.
fn delete(step: &mut Step, kubectl: &Kubectl, namespace: &str, names: &[String]) -> Result<()> {
    if names.is_empty() {
        step.nothing_to_do();
    }
    for names in names.chunks(AT_ONCE) {
        let delete = kubectl.waiting(step, &["delete", "--ignore-not-found", "--wait"], GONE_WITHIN);
        let deleted = delete.args(["--namespace", namespace]).args(names).run();
        let Err(error) = deleted else { continue };
        let left = remaining(step, kubectl, namespace, names).unwrap_or_default();
        if left.is_empty() {
            return Err(error);
        }
        return Err(error).context(format!(
            "objects not deleted: {}; remove what holds them, then run the command again",
            left.join(", ")
        ));
    }
    Ok(())
}

/// Those of these objects that still exist, each with its finalizers.
fn remaining(step: &Step, kubectl: &Kubectl, namespace: &str, names: &[String]) -> Result<Vec<String>> {
    let get = ["get", "--output=json", "--ignore-not-found", "--namespace", namespace];
    let text = kubectl.command(step).args(get).args(names).read()?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let found: Value = serde_json::from_str(&text).context("kubectl output is not JSON")?;
    // A single object is not in a list.
    let objects = found["items"].as_array().cloned().unwrap_or_else(|| vec![found.clone()]);
    Ok(objects.iter().map(describe).collect())
}

fn describe(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let finalizers = object["metadata"]["finalizers"].as_array().into_iter().flatten();
    let finalizers: Vec<String> = finalizers.map(text).collect();
    let held = if finalizers.is_empty() { String::new() } else { format!(" ({})", finalizers.join(", ")) };
    format!("{}/{}{held}", text(&object["kind"]), text(&object["metadata"]["name"]))
}
