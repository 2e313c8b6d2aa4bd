//! `cargo xtask down`.

use anyhow::Result;

use super::{DATA, kinds};
use crate::controllers::{self, NAMESPACE};
use crate::deploy::Where;
use crate::kubectl::Kubectl;
use crate::step::Steps;
use crate::{machine, node};

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

/// Takes the stack down; its data stay unless told otherwise.
pub fn down(arguments: &Down) -> Result<()> {
    if arguments.cluster.context.is_none() {
        return node::down(arguments.delete_data, arguments.yes);
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
