//! `cargo xtask up`, `down` and `status`: the whole stack.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::controllers::{self, NAMESPACE};
use crate::deploy::{self, How, Where};
use crate::kubectl::Kubectl;
use crate::step::{Step, Steps};
use crate::{images, machine, node, place};

/// How long the stack may take to be Ready.
const READY_WITHIN: &str = "300s";
/// What selects volumes, Secrets and ConfigMaps that outlive their custom resources.
const DATA: &str = "--selector=app.kubernetes.io/managed-by=temporal-stack,temporal-stack.dev/data=true";
/// What all custom resources of the stack are a category of.
const CATEGORY: &str = "temporal-stack";

/// The arguments of `cargo xtask up`.
#[derive(Debug, clap::Args)]
pub struct Up {
    #[command(flatten)]
    cluster: Where,
    /// The namespace of the stack. Two of the seed's objects name `default`; with another one here they go there, too.
    #[arg(long, default_value = "default")]
    namespace: String,
    /// Where a cluster with `--context` pulls the controllers' images from, for instance `registry.example.com/team`.
    #[arg(long, requires = "context")]
    registry: Option<String>,
    /// Do not ask before installing packages or changing the network.
    #[arg(long, short)]
    yes: bool,
}

/// The arguments of `cargo xtask down`.
#[derive(Debug, clap::Args)]
pub struct Down {
    #[command(flatten)]
    cluster: Where,
    /// Remove the data, too: on the local node everything in it, on another cluster the volumes and Secrets that the
    /// stack retains.
    #[arg(long)]
    delete_data: bool,
    /// The namespace of the stack on a cluster with `--context`; nothing in others is touched.
    #[arg(long, default_value = "default")]
    namespace: String,
    /// Do not ask before deleting.
    #[arg(long, short)]
    yes: bool,
}

/// Brings up the stack: the node where it is ours, the controllers, the seed's configuration, the custom resources; ends
/// when all are Ready.
pub fn up(arguments: &Up) -> Result<()> {
    let local = arguments.cluster.context.is_none();
    if local {
        images::agree(arguments.yes)?;
        node::up(arguments.yes)?;
    }
    let kubectl = Kubectl::of(arguments.cluster.context.as_deref())?;
    let mut steps = Steps::new("up")?;
    let all: Vec<_> = controllers::ALL.iter().collect();
    let how = How { registry: arguments.registry.as_deref(), ..How::default() };
    deploy::deploy(&mut steps, &kubectl, local, &all, &how)?;
    let namespace = arguments.namespace.as_str();
    steps.run("configuration", |step| configuration(step, &kubectl, namespace))?;
    steps.run("custom resources", |step| {
        let kept = custom_resources()?;
        let mut changed = false;
        for file in kept {
            // What is there may have been edited, and its owner knows best.
            changed |= create(step, &kubectl, namespace, &read(&file, namespace)?)?;
        }
        if !changed {
            step.nothing_to_do();
        }
        Ok(())
    })?;
    steps.run("everything Ready", |step| {
        let wait = ["wait", "--for=condition=Ready", "--timeout", READY_WITHIN, "--all", "--namespace", namespace];
        let done = kubectl.command(step).args(wait).arg(kinds().join(",")).run();
        let table = kubectl.command(step).args(["get", CATEGORY, "--namespace", namespace]).read()?;
        step.log(&table);
        done.with_context(|| format!("not everything is Ready:\n{table}"))
    })?;
    steps.finish();
    show(&kubectl, arguments.cluster.context.as_deref())
}

/// Takes the stack down; its data stay unless told otherwise.
pub fn down(arguments: &Down) -> Result<()> {
    if arguments.cluster.context.is_none() {
        return node::down(arguments.delete_data);
    }
    let kubectl = Kubectl::of(arguments.cluster.context.as_deref())?;
    let in_namespace = ["--namespace", arguments.namespace.as_str()];
    let data = ["persistentvolumeclaims,secrets,configmaps", DATA];
    let mut goes = Steps::quiet("down", |step| {
        kubectl.command(step).args(["get", "--output=name"]).arg(kinds().join(",")).args(in_namespace).read()
    })?;
    if arguments.delete_data {
        goes += &Steps::quiet("down", |step| {
            kubectl.command(step).args(["get", "--output=name"]).args(data).args(in_namespace).read()
        })?;
    }
    let deleted = |name: &str| format!("delete {name} in the namespace {}", arguments.namespace);
    machine::agree(&goes.lines().map(deleted).collect::<Vec<_>>(), arguments.yes)?;
    let mut steps = Steps::new("down")?;
    steps.run("delete custom resources", |step| {
        let all = ["delete", "--all", "--ignore-not-found", "--wait"];
        kubectl.command(step).args(all).arg(kinds().join(",")).args(in_namespace).run()
    })?;
    if arguments.delete_data {
        steps.run("delete data", |step| {
            kubectl.command(step).args(["delete", "--ignore-not-found"]).args(data).args(in_namespace).run()
        })?;
    }
    steps.run("delete controllers", |step| {
        let elsewhere = ["get", "--all-namespaces", "--ignore-not-found", "--output=name"];
        if !kubectl.command(step).args(elsewhere).arg(kinds().join(",")).read()?.trim().is_empty() {
            // They serve others.
            step.nothing_to_do();
            return Ok(());
        }
        let all = controllers::ALL.iter().map(|controller| format!("deployment/{}", controller.program));
        let delete = kubectl.command(step).args(["delete", "--ignore-not-found", "--namespace", NAMESPACE]);
        delete.args(all).run()
    })?;
    steps.finish();
    println!("The CustomResourceDefinitions, the permissions and the namespace {NAMESPACE} are still there.");
    Ok(())
}

/// Says what there is of the stack.
pub fn status(arguments: &Where) -> Result<()> {
    if arguments.context.is_none() {
        node::status::status()?;
    }
    show(&Kubectl::of(arguments.context.as_deref())?, arguments.context.as_deref())
}

fn show(kubectl: &Kubectl, context: Option<&str>) -> Result<()> {
    let text = Steps::quiet("status", |step| {
        let controllers = kubectl.command(step).args(["get", "deployments", "--namespace", NAMESPACE]).read()?;
        let stack = kubectl.command(step).args(["get", CATEGORY, "--all-namespaces"]).read()?;
        Ok(format!("{controllers}\n{stack}"))
    })?;
    println!("{text}");
    if context.is_none() {
        println!("export KUBECONFIG={}", crate::cluster::Cluster::node()?.kubeconfig().display());
    }
    Ok(())
}

/// The seed's objects: made where they are absent, never overwritten, because from then on they are the user's.
fn configuration(step: &mut Step, kubectl: &Kubectl, namespace: &str) -> Result<()> {
    if namespace != "default" {
        step.note(format!("the seed's objects go to the namespace {namespace}"));
    }
    let mut changed = false;
    for file in files("deploy/stack/seed")? {
        changed |= create(step, kubectl, namespace, &read(&file, namespace)?)?;
    }
    if !changed {
        step.nothing_to_do();
    }
    Ok(())
}

/// Creates the object of a file if it is not there; says whether it was made.
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
fn read(file: &PathBuf, namespace: &str) -> Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    if namespace == "default" {
        return Ok(text);
    }
    let mut object: Value = serde_saphyr::from_str(&text).with_context(|| format!("{} is no YAML", file.display()))?;
    object["metadata"]["namespace"] = Value::from(namespace);
    Ok(object.to_string())
}

fn custom_resources() -> Result<Vec<PathBuf>> {
    files("deploy/stack")
}

fn files(folder: &str) -> Result<Vec<PathBuf>> {
    let folder = place::workspace().join(folder);
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    Ok(files)
}

/// The plural names of all kinds, with their group.
fn kinds() -> Vec<String> {
    controllers::ALL
        .iter()
        .map(|controller| {
            let crd = (controller.crd)();
            format!("{}.{}", crd.spec.names.plural, crd.spec.group)
        })
        .collect()
}
