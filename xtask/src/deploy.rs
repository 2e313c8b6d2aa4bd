//! `cargo xtask deploy`: deploys controllers to a cluster.
//!
//! On the local node the images are built here and imported; on another cluster the manifests are applied as they are, or
//! with the registry that `--registry` names.

mod demand;
mod manifests;
mod replacement;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::controllers::{self, Controller, NAMESPACE};
use crate::images::{self, Image};
use crate::kubectl::Kubectl;
use crate::step::{Step, Steps};
use manifests::Own;
pub use replacement::Replacement;

/// How long a new pod may take: its image is pulled first.
const AVAILABLE_WITHIN: Duration = Duration::from_secs(180);
/// How long a new leader may take: an old Lease expires after 15 s.
const LEADS_WITHIN: Duration = Duration::from_secs(60);

/// A part of the name of images that stand in for a product that no package registry has.
pub const STAND_IN: &str = "-stand-in:";

/// The cluster of a command.
#[derive(Debug, Clone, clap::Args)]
pub struct Where {
    /// A context of your kubeconfig (default: the local node).
    #[arg(long)]
    pub context: Option<String>,
}

/// The arguments of `cargo xtask deploy`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Controllers to deploy; all if none is named.
    controllers: Vec<String>,
    #[command(flatten)]
    cluster: Where,
    /// The registry from which a cluster with `--context` pulls the stack's own images, for instance `registry.example.com/team`.
    #[arg(long, requires = "context")]
    registry: Option<String>,
    /// The tag of the controllers' images (default: the workspace's version); on the local node they are built with it.
    #[arg(long)]
    tag: Option<String>,
    /// Another image for a product, for instance `temporal=rtradetech/temporal:v2.8.0`; may be repeated.
    #[arg(long = "image", value_name = "NAME=REF")]
    images: Vec<Replacement>,
    /// On the local node, also build images that no object asks for.
    #[arg(long)]
    all_images: bool,
    /// Do not ask before changing this machine.
    #[arg(long, short)]
    yes: bool,
}

/// Runs `cargo xtask deploy`.
pub fn run(arguments: &Arguments) -> Result<()> {
    let chosen = controllers::named(&arguments.controllers)?;
    if arguments.cluster.context.is_none() {
        images::agree(arguments.yes)?;
    }
    let kubectl = Kubectl::for_context(arguments.cluster.context.as_deref())?;
    let mut steps = Steps::new("deploy")?;
    let how = How {
        registry: arguments.registry.as_deref(),
        tag: arguments.tag.as_deref(),
        images: &arguments.images,
        all_images: arguments.all_images,
        next: &[],
    };
    deploy(&mut steps, &kubectl, arguments.cluster.context.is_none(), &chosen, &how)?;
    steps.finish();
    Ok(())
}

/// Changes to the manifests.
#[derive(Debug, Default, Clone, Copy)]
pub struct How<'a> {
    /// The registry of the stack's own images.
    pub registry: Option<&'a str>,
    /// Their tag.
    pub tag: Option<&'a str>,
    /// Images of products that replace those of the manifests or of this build.
    pub images: &'a [Replacement],
    /// Whether images are built that no object asks for.
    pub all_images: bool,
    /// Objects that will be created next; those in the cluster are known.
    pub next: &'a [Value],
}

/// Deploys controllers to a cluster and waits until they are available.
pub fn deploy(steps: &mut Steps, kubectl: &Kubectl, local: bool, chosen: &[&Controller], how: &How<'_>) -> Result<()> {
    let mut built = Vec::new();
    if local {
        let mut names = products(steps, kubectl, chosen, how)?;
        match how.tag {
            // All programs in one build, to use every processor.
            None => names.extend(chosen.iter().map(|controller| controller.program)),
            Some(tag) => {
                for controller in chosen {
                    built.push(images::controller(steps, controller.program, tag)?);
                }
            }
        }
        built.extend(images::build(steps, &names)?);
        images::import(steps, &built)?;
    }
    for controller in chosen {
        // Also of those that are built later, so that the controller need not change then.
        let products = controller.images.iter().filter(|_| local).map(|(_, image)| images::reference(image));
        let own = Own { built: &built, products: products.collect::<Result<_>>()? };
        steps.run(&format!("deploy {}", controller.program), |step| {
            if let Some(image) = stand_in(controller, &built) {
                step.say(format!("{} is a stand-in for tests; use the real image with --image", image.reference));
            }
            let manifests = manifests::render(step, kubectl, controller, how, &own)?;
            let applied = kubectl.apply(step, manifests)?;
            step.log(applied);
            let rollout = kubectl.waiting(step, &["rollout", "status"], AVAILABLE_WITHIN);
            rollout.args(["--namespace", NAMESPACE, "deployment", controller.program]).run()?;
            wait_for_leader(step, kubectl, controller)
        })?;
    }
    Ok(())
}

/// The images of products that are built here.
fn products(steps: &mut Steps, kubectl: &Kubectl, chosen: &[&Controller], how: &How<'_>) -> Result<Vec<&'static str>> {
    let mut names = Vec::new();
    for controller in chosen {
        let mut objects = how.next.to_vec();
        if !how.all_images && !controller.on_demand.is_empty() {
            let found = steps.run("look up objects", |step| demand::objects(step, kubectl, controller))?;
            objects.extend(found);
        }
        let ours = controller.images.iter().filter(|(variable, _)| replacement::find(how.images, variable).is_none());
        let wanted = ours.filter(|(_, image)| how.all_images || demand::is_wanted(controller, image, &objects));
        names.extend(wanted.map(|(_, image)| *image));
    }
    Ok(names)
}

/// The stand-in among the images of a controller.
fn stand_in<'a>(controller: &Controller, built: &'a [Image]) -> Option<&'a Image> {
    let given =
        |image: &&Image| controller.images.iter().any(|(_, name)| image.reference.contains(&format!("/{name}:")));
    built.iter().filter(given).find(|image| image.reference.contains(STAND_IN))
}

/// Waits until a running pod holds the Lease: after a crash a deleted pod still holds it, and nothing is reconciled until it
/// expires.
fn wait_for_leader(step: &Step, kubectl: &Kubectl, controller: &Controller) -> Result<()> {
    let began = Instant::now();
    let in_namespace = ["--namespace", NAMESPACE, "--output"];
    while began.elapsed() < LEADS_WITHIN {
        let holder = ["get", "lease", controller.program, "--ignore-not-found"];
        let holder =
            kubectl.command(step).args(holder).args(in_namespace).arg("jsonpath={.spec.holderIdentity}").read()?;
        let pods = kubectl.command(step).args(["get", "pods"]).args(in_namespace);
        let pods = pods.arg("jsonpath={range .items[?(@.status.phase=='Running')]}{.metadata.name} {end}").read()?;
        if pods.split_whitespace().any(|pod| holder.starts_with(&format!("{pod}_"))) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    bail!(
        "{} not leading: no running pod holds its Lease; see `kubectl logs --namespace {NAMESPACE} deployment/{}`",
        controller.program,
        controller.program
    )
}
