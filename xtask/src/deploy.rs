//! `cargo xtask deploy`: the controllers into a cluster.
//!
//! On the local node the images are built here and imported; on another cluster the manifests are applied as they are, or
//! with the registry that `--registry` names.

mod manifests;
mod replacement;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::controllers::{self, Controller, NAMESPACE};
use crate::images::{self, Image};
use crate::kubectl::Kubectl;
use crate::node;
use crate::step::{Step, Steps};
pub use replacement::Replacement;

/// How long a new leader may take: an old Lease expires after 15 s.
const LEADS_WITHIN: Duration = Duration::from_secs(60);

/// What is in the name of an image that stands in for a product that no registry of packages has.
pub const STAND_IN: &str = "-stand-in:";

/// Which cluster a command is about.
#[derive(Debug, Clone, clap::Args)]
pub struct Where {
    /// A context of your kubeconfig; the local node, when absent.
    #[arg(long)]
    pub context: Option<String>,
}

/// The arguments of `cargo xtask deploy`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Which controllers; all, when none is named.
    controllers: Vec<String>,
    #[command(flatten)]
    cluster: Where,
    /// Where a cluster with `--context` pulls the stack's own images from, for instance `registry.example.com/team`.
    #[arg(long, requires = "context")]
    registry: Option<String>,
    /// The tag of the controllers' images, instead of the workspace's version; on the local node they are built with it.
    #[arg(long)]
    tag: Option<String>,
    /// Another image for a product, for instance `temporal=rtradetech/temporal:v2.8.0`; may be given more than once.
    #[arg(long = "image", value_name = "NAME=REF")]
    images: Vec<Replacement>,
    /// Do not ask before changing the machine.
    #[arg(long, short)]
    yes: bool,
}

/// Runs `cargo xtask deploy`.
pub fn run(arguments: &Arguments) -> Result<()> {
    let chosen = controllers::named(&arguments.controllers)?;
    if arguments.cluster.context.is_none() {
        images::agree(arguments.yes)?;
    }
    let kubectl = Kubectl::of(arguments.cluster.context.as_deref())?;
    let mut steps = Steps::new("deploy")?;
    let how = How { registry: arguments.registry.as_deref(), tag: arguments.tag.as_deref(), images: &arguments.images };
    deploy(&mut steps, &kubectl, arguments.cluster.context.is_none(), &chosen, &how)?;
    steps.finish();
    Ok(())
}

/// What differs from the manifests.
#[derive(Debug, Default, Clone, Copy)]
pub struct How<'a> {
    /// Where the stack's own images are pulled from.
    pub registry: Option<&'a str>,
    /// Their tag.
    pub tag: Option<&'a str>,
    /// Images of products that are neither built here nor those of the manifests.
    pub images: &'a [Replacement],
}

/// Brings controllers into a cluster and waits until they are available.
pub fn deploy(steps: &mut Steps, kubectl: &Kubectl, local: bool, chosen: &[&Controller], how: &How<'_>) -> Result<()> {
    let mut built = Vec::new();
    if local {
        let is_ours = |(name, _): &&(&str, &str)| replacement::find(how.images, name).is_none();
        let products = chosen.iter().flat_map(|controller| controller.images.iter().filter(is_ours));
        let mut names: Vec<&str> = products.map(|(_, image)| *image).collect();
        match how.tag {
            // All programs in one build, which keeps every processor busy.
            None => names.extend(chosen.iter().map(|controller| controller.program)),
            Some(tag) => {
                for controller in chosen {
                    built.push(images::controller(steps, controller.program, tag)?);
                }
            }
        }
        built.extend(images::build(steps, &names)?);
        steps.run("import images", |step| {
            step.nothing_to_do();
            for image in &built {
                if node::import(step, &image.archive)? {
                    step.changed();
                }
            }
            Ok(())
        })?;
    }
    for controller in chosen {
        steps.run(&format!("deploy {}", controller.program), |step| {
            if let Some(image) = stand_in(controller, &built) {
                step.say(format!("{} only stands in for the product; --image names another", image.reference));
            }
            let manifests = manifests::of(step, kubectl, controller, how, &built)?;
            let said = kubectl.apply(step, manifests)?;
            step.log(said);
            let rollout = ["rollout", "status", "--timeout=180s", "--namespace", NAMESPACE, "deployment"];
            kubectl.command(step).args(rollout).arg(controller.program).run()?;
            until_it_leads(step, kubectl, controller)
        })?;
    }
    Ok(())
}

/// The image among those of a controller that is not what it is named after.
fn stand_in<'a>(controller: &Controller, built: &'a [Image]) -> Option<&'a Image> {
    let given =
        |image: &&Image| controller.images.iter().any(|(_, name)| image.reference.contains(&format!("/{name}:")));
    built.iter().filter(given).find(|image| image.reference.contains(STAND_IN))
}

/// Waits until the Lease is held by a pod that there is: after a crash it is still in the name of one that has gone, and
/// until it expires nobody keeps what the conditions say true.
fn until_it_leads(step: &Step, kubectl: &Kubectl, controller: &Controller) -> Result<()> {
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
        "no pod of {} holds its Lease; see kubectl logs --namespace {NAMESPACE} deployment/{}",
        controller.program,
        controller.program
    )
}
