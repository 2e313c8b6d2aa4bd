//! `cargo xtask up`.

use std::time::Duration;

use anyhow::Result;

use super::access::Access;
use super::facts::Facts;
use super::{cloud_native_pg, demo, objects, ready, rollout};
use crate::controllers;
use crate::deploy::{self, How, Replacement, Where};
use crate::kubectl::Kubectl;
use crate::step::Steps;
use crate::{images, node};

/// The default provider of the database.
const POSTGRES: &str = "postgres";

/// The arguments of `cargo xtask up`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "these are switches")]
pub struct Up {
    #[command(flatten)]
    cluster: Where,
    /// The namespace of the stack. Your configuration goes there, too, even if its files name `default`.
    #[arg(long, default_value = "default")]
    namespace: String,
    /// The registry from which a cluster with `--context` pulls the stack's own images, for instance `registry.example.com/team`.
    #[arg(long, requires = "context")]
    registry: Option<String>,
    /// Another image for a product, for instance `temporal=rtradetech/temporal:v2.8.0`; may be repeated. It is set in the custom
    /// resource, so pods with another image are replaced.
    #[arg(long = "image", value_name = "NAME=REF")]
    images: Vec<Replacement>,
    /// On the local node, also build images that no object asks for.
    #[arg(long)]
    all_images: bool,
    /// Also create the Mesh of `deploy/stack/mesh.yaml`, before everything else, so that pods have proxies from the start. The
    /// cluster must have Linkerd.
    #[arg(long)]
    mesh: bool,
    /// Who runs the database: `postgres`, a server of the controller, or `cloudNativePg`, three servers of CloudNativePG, which is
    /// installed on the local node. It is part of a new database only.
    #[arg(long, value_name = "PROVIDER", default_value = POSTGRES, value_parser = [POSTGRES, cloud_native_pg::PROVIDER])]
    database: String,
    /// Upload a file through the API at the end, wait until it is pinned on every peer, and read it back.
    #[arg(long)]
    demo: bool,
    /// Do not ask before installing packages or changing the network.
    #[arg(long, short)]
    yes: bool,
}

/// Brings up the stack: the local node unless a context is given, the controllers, the user's configuration, the custom
/// resources. Returns when all are Ready, and prints what to do next.
pub fn up(arguments: &Up) -> Result<()> {
    let context = arguments.cluster.context.as_deref();
    let local = context.is_none();
    if local {
        images::agree(arguments.yes)?;
        node::up(arguments.yes)?;
    }
    let kubectl = Kubectl::for_context(context)?;
    let namespace = arguments.namespace.as_str();
    let mut steps = Steps::new("up")?;
    let all: Vec<_> = controllers::ALL.iter().collect();
    let next = objects::stack()?;
    let in_stack = rollout::of_stack(&arguments.images, &next);
    let how = How {
        registry: arguments.registry.as_deref(),
        images: &arguments.images,
        all_images: arguments.all_images,
        next: &next,
        ..How::default()
    };
    deploy::deploy(&mut steps, &kubectl, local, &all, &how)?;
    steps.run("apply configuration", |step| objects::configuration(step, &kubectl, namespace))?;
    steps.run("create the first account", |step| objects::first_account(step, &kubectl, namespace))?;
    if arguments.mesh {
        steps.run("create the mesh", |step| objects::mesh(step, &kubectl, namespace))?;
    }
    let database = (arguments.database == cloud_native_pg::PROVIDER).then(|| cloud_native_pg::provider(local));
    if local && database.is_some() {
        cloud_native_pg::install(&mut steps, &kubectl)?;
    }
    steps.run("create custom resources", |step| {
        objects::custom_resources(step, &kubectl, namespace, database.as_ref())
    })?;
    if !in_stack.is_empty() {
        steps.run("set images", |step| rollout::set(step, &kubectl, namespace, &in_stack))?;
    }
    let mut ids = objects::custom_resource_ids(namespace)?;
    if arguments.mesh {
        ids.push(objects::mesh_id(namespace)?);
    }
    steps.run("wait for Ready", |step| ready::wait(step, &kubectl, namespace, &ids))?;
    if !in_stack.is_empty() {
        steps.run("check images", |step| rollout::check(step, &kubectl, namespace, &in_stack))?;
    }
    let access = Access { kubectl: &kubectl, local, namespace };
    let facts = steps.run("look up addresses", |step| Facts::gather(step, &access, context))?;
    let shown = if arguments.demo { Some(show(&mut steps, &access, &facts)?) } else { None };
    steps.finish();
    println!("\n{}", facts.text().trim_end());
    if let Some(shown) = shown {
        println!("\n{shown}");
    }
    Ok(())
}

/// Runs the demo; returns what it did, with the time of each step.
fn show(steps: &mut Steps, access: &Access<'_>, facts: &Facts) -> Result<String> {
    let cid = demo::run(steps, access, facts.api.url.as_str())?;
    let time = |(name, took): &(String, Duration)| {
        name.strip_prefix("demo: ").map(|name| format!("    {name:<32} {:>6.2} s", took.as_secs_f64()))
    };
    let times: Vec<String> = steps.times().iter().filter_map(time).collect();
    Ok(format!("Demo: a file was uploaded, pinned on every peer and read back: {cid}\n{}", times.join("\n")))
}
