//! Container images: `cargo xtask images [NAME...]`.
//!
//! ```text
//! deploy/images/<folder>/ + programs + the image it is from ──key──▶ <cache>/images/<name>/<tag>-<key>.tar
//! ```
//!
//! An image is rebuilt when something that it is made of differs, and only then. What Debian published since is asked
//! for with `--fresh`. Nothing is left behind by a build but its archive, and of those the last few of each name.

mod builder;
mod context;
mod debian;
mod programs;
mod recipe;
mod store;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::go_module;
use crate::machine::{self, Needed};
use crate::place;
use crate::step::{LoggedCommand, Step, Steps};
use builder::Builder;
use programs::Program;
pub use recipe::Recipe;

/// All images, each after the one that it is from.
pub const ALL: &[Recipe] = &[
    Recipe::debian("base"),
    Recipe::packages("runtime"),
    Recipe::packages("postgres"),
    Recipe::packages("rabbitmq"),
    Recipe::go("kubo", "github.com/ipfs/kubo", &["ipfs"]),
    Recipe::go("ipfs-cluster", "github.com/ipfs-cluster/ipfs-cluster", &["ipfs-cluster-ctl", "ipfs-cluster-service"]),
    Recipe::controller("database-controller", "temporal-stack-database"),
    Recipe::controller("queue-controller", "temporal-stack-queue"),
    Recipe::controller("ipfs-controller", "temporal-stack-ipfs"),
    Recipe::program("bridge", "temporal-stack-bridge"),
    Recipe::controller("temporal-controller", "temporal-stack-temporal"),
    Recipe::stand_in("temporal-stand-in", "temporal-stand-in", "temporal"),
];

/// What building images needs of the machine, beside what Go programs do.
pub const NEEDED: &[Needed] = &[
    Needed { program: "apt-get", package: "apt" },
    Needed { program: "buildah", package: "buildah" },
    Needed { program: "mmdebstrap", package: "mmdebstrap" },
    Needed { program: "setpriv", package: "util-linux" },
    Needed { program: "unshare", package: "util-linux" },
    Needed { program: "/usr/share/keyrings/debian-archive-keyring.gpg", package: "debian-archive-keyring" },
];

/// An image that was built and where it is.
#[derive(Debug, Clone)]
pub struct Image {
    /// What a pod calls it: `localhost/temporal-stack/<name>:<tag>`.
    pub reference: String,
    /// The file, an `oci-archive` that holds it under its reference.
    pub archive: PathBuf,
    /// Changes with anything that it is made of, also where the reference stays.
    pub key: String,
}

/// The arguments of `cargo xtask images`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Which images; all, when none is named.
    names: Vec<String>,
    /// Build everything anew, with the packages that Debian has today.
    #[arg(long)]
    fresh: bool,
    /// The tag of the one controller that is named, instead of the workspace's version.
    #[arg(long, requires = "names")]
    tag: Option<String>,
    /// Do not ask before changing the machine.
    #[arg(long, short)]
    yes: bool,
}

/// Runs `cargo xtask images`: builds and prints each image's reference and archive.
pub fn run(arguments: &Arguments) -> Result<()> {
    agree(arguments.yes)?;
    let mut steps = Steps::new("images")?;
    if arguments.fresh {
        steps.run("forget the built images", |_| store::forget())?;
    }
    let images = match (arguments.names.as_slice(), arguments.tag.as_deref()) {
        ([name], Some(tag)) => vec![controller(&mut steps, name, tag)?],
        (_, Some(_)) => bail!("--tag is for one controller: name it alone"),
        ([], None) => build(&mut steps, &ALL.iter().map(|recipe| recipe.name).collect::<Vec<_>>())?,
        (names, None) => build(&mut steps, names)?,
    };
    steps.finish();
    for image in images {
        println!("{} {}", image.reference, image.archive.display());
    }
    Ok(())
}

/// Installs what building images needs, after asking.
pub fn agree(yes: bool) -> Result<()> {
    let needed: Vec<Needed> = NEEDED.iter().chain(go_module::NEEDED).copied().collect();
    let packages = machine::missing(&needed);
    if packages.is_empty() {
        return Ok(());
    }
    machine::agree(&[format!("install Debian packages: {}", packages.join(" "))], yes)?;
    let mut steps = Steps::new("image-tools")?;
    steps.run("install packages for images", |step| machine::install(step, &packages))?;
    steps.finish();
    Ok(())
}

/// Builds the images of these names, and what they are from, unless they are in the cache.
pub fn build<N: AsRef<str>>(steps: &mut Steps, names: &[N]) -> Result<Vec<Image>> {
    let recipes = names.iter().map(|name| find(name.as_ref())).collect::<Result<Vec<_>>>()?;
    let programs = programs::build(steps, &recipes)?;
    let mut builder = Builder::new()?;
    let image = |recipe: &&'static Recipe| {
        let programs = programs.get(recipe.name).map(Vec::as_slice).unwrap_or_default();
        builder.image(steps, recipe, &recipe.tag()?, programs)
    };
    recipes.iter().map(image).collect()
}

/// Builds the program of one controller, as it is in its image.
pub fn program(steps: &mut Steps, name: &str) -> Result<PathBuf> {
    let built = programs::build(steps, &[find_controller(name)?])?.remove(name);
    let program = built.and_then(|programs| programs.into_iter().next());
    Ok(program.with_context(|| format!("{name} is no program of this workspace"))?.file)
}

/// Builds the programs of Kubo and IPFS Cluster, which tests run without a container, and says which folder has them.
pub fn peers(steps: &mut Steps) -> Result<PathBuf> {
    programs::build(steps, &[find("kubo")?, find("ipfs-cluster")?])?;
    Ok(place::cache()?.join("bin"))
}

/// Builds one controller's image, with another tag than the workspace's version.
pub fn controller(steps: &mut Steps, name: &str, tag: &str) -> Result<Image> {
    let recipe = find_controller(name)?;
    let program = self::program(steps, name)?;
    Builder::new()?.image(steps, recipe, tag, &[Program::controller(program)])
}

fn find_controller(name: &str) -> Result<&'static Recipe> {
    let recipe = find(name)?;
    if !recipe.is_controller() {
        bail!("{name} is not a controller: it has one tag and one program");
    }
    Ok(recipe)
}

fn find(name: &str) -> Result<&'static Recipe> {
    ALL.iter().find(|recipe| recipe.name == name).with_context(|| {
        let known: Vec<_> = ALL.iter().map(|recipe| recipe.name).collect();
        format!("there is no image {name:?}; there are {}", known.join(", "))
    })
}

/// A program of an image's build. Its mounts and processes are its own and end with it, and it with this program.
fn contained(step: &Step, work: &Path, program: &str) -> LoggedCommand {
    step.command("setpriv")
        .args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--mount-proc", "--kill-child", "--", program])
        .env("TMPDIR", work)
        .env("SOURCE_DATE_EPOCH", "0")
}
