//! `cargo xtask up`.

use std::time::Duration;

use anyhow::Result;

use super::access::Access;
use super::facts::Facts;
use super::{demo, objects, ready, rollout};
use crate::controllers;
use crate::deploy::{self, How, Replacement, Where};
use crate::kubectl::Kubectl;
use crate::step::Steps;
use crate::{images, node};

/// The arguments of `cargo xtask up`.
#[derive(Debug, clap::Args)]
pub struct Up {
    #[command(flatten)]
    cluster: Where,
    /// The namespace of the stack. Two of the seed's objects name `default`; with another one here they go there, too.
    #[arg(long, default_value = "default")]
    namespace: String,
    /// Where a cluster with `--context` pulls the stack's own images from, for instance `registry.example.com/team`.
    #[arg(long, requires = "context")]
    registry: Option<String>,
    /// Another image for a product, for instance `temporal=rtradetech/temporal:v2.8.0`; may be given more than once. It is set in the
    /// custom resource, so that pods that run another one are replaced.
    #[arg(long = "image", value_name = "NAME=REF")]
    images: Vec<Replacement>,
    /// At the end, upload a file through the API, wait until it is pinned on every peer, and read it back.
    #[arg(long)]
    demo: bool,
    /// Do not ask before installing packages or changing the network.
    #[arg(long, short)]
    yes: bool,
}

/// Brings up the stack: the node where it is ours, the controllers, the seed's configuration, the custom resources; ends
/// when all are Ready, and says what to do next.
pub fn up(arguments: &Up) -> Result<()> {
    let context = arguments.cluster.context.as_deref();
    let local = context.is_none();
    if local {
        images::agree(arguments.yes)?;
        node::up(arguments.yes)?;
    }
    let kubectl = Kubectl::of(context)?;
    let namespace = arguments.namespace.as_str();
    let mut steps = Steps::new("up")?;
    let all: Vec<_> = controllers::ALL.iter().collect();
    let how = How { registry: arguments.registry.as_deref(), images: &arguments.images, ..How::default() };
    deploy::deploy(&mut steps, &kubectl, local, &all, &how)?;
    steps.run("configuration", |step| objects::configuration(step, &kubectl, namespace))?;
    steps.run("the first account", |step| objects::first_account(step, &kubectl, namespace))?;
    steps.run("custom resources", |step| objects::custom_resources(step, &kubectl, namespace))?;
    if !arguments.images.is_empty() {
        steps.run("set images", |step| rollout::set(step, &kubectl, namespace, &arguments.images))?;
    }
    let ids = objects::custom_resource_ids(namespace)?;
    steps.run("everything Ready", |step| ready::wait(step, &kubectl, namespace, &ids))?;
    if !arguments.images.is_empty() {
        steps.run("check images", |step| rollout::check(step, &kubectl, namespace, &arguments.images))?;
    }
    let access = Access { kubectl: &kubectl, local, namespace };
    let facts = steps.run("addresses", |step| Facts::gather(step, &access, context))?;
    let shown = if arguments.demo { Some(show(&mut steps, &access, &facts)?) } else { None };
    steps.finish();
    println!("\n{}", facts.text().trim_end());
    if let Some(shown) = shown {
        println!("\n{shown}");
    }
    Ok(())
}

/// Runs the demo, and says what it did in how much time.
fn show(steps: &mut Steps, access: &Access<'_>, facts: &Facts) -> Result<String> {
    let cid = demo::run(steps, access, facts.api.url.as_str())?;
    let time = |(name, took): &(String, Duration)| {
        name.strip_prefix("demo: ").map(|name| format!("    {name:<32} {:>6.2} s", took.as_secs_f64()))
    };
    let times: Vec<String> = steps.times().iter().filter_map(time).collect();
    Ok(format!("A file was uploaded, pinned on every peer and read back: {cid}\n{}", times.join("\n")))
}
