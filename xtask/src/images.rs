//! Container images: `cargo xtask images [NAME...]`.
//!
//! ```text
//! deploy/images/<folder>/ + programs + the image it is from ──key──▶ <cache>/images/<name>/<tag>-<key>.tar
//! ```
//!
//! An image is rebuilt only if one of its inputs differs. `--fresh` includes newer Debian packages. A build leaves only its
//! archive, of which the last few of each name are kept.

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
use crate::node;
use crate::place;
use crate::step::{LoggedCommand, Step, Steps};
use builder::Builder;
pub use programs::PROFILE;
use programs::Program;
pub use recipe::Recipe;

/// All images, each after its base image.
pub const ALL: &[Recipe] = &[
    Recipe::debian("base"),
    Recipe::packages("runtime"),
    Recipe::packages("postgres"),
    Recipe::packages("rabbitmq"),
    Recipe::go("kubo", "github.com/ipfs/kubo", &["ipfs"]),
    Recipe::go("ipfs-cluster", "github.com/ipfs-cluster/ipfs-cluster", &["ipfs-cluster-ctl", "ipfs-cluster-service"]),
    Recipe::go("minio", "github.com/minio/minio", &["minio"]),
    Recipe::go("versity", "github.com/versity/versitygw", &["versitygw"]),
    Recipe::go("cloud-native-pg", "github.com/cloudnative-pg/cloudnative-pg", &["manager"]),
    Recipe::controller("database-controller", "temporal-stack-database"),
    Recipe::controller("queue-controller", "temporal-stack-queue"),
    Recipe::controller("ipfs-controller", "temporal-stack-ipfs"),
    Recipe::controller("storage-controller", "temporal-stack-storage"),
    Recipe::controller("mesh-controller", "temporal-stack-mesh"),
    Recipe::program("bridge", "temporal-stack-bridge"),
    Recipe::controller("temporal-controller", "temporal-stack-temporal"),
    Recipe::stand_in("temporal-stand-in", "temporal-stand-in", "temporal"),
    Recipe::stand_in("linkerd-stand-in", "linkerd-stand-in", "linkerd"),
];

/// The packages that building images needs, besides those for Go programs.
pub const NEEDED: &[Needed] = &[
    Needed { program: "apt-get", package: "apt" },
    Needed { program: "buildah", package: "buildah" },
    Needed { program: "mmdebstrap", package: "mmdebstrap" },
    Needed { program: "setpriv", package: "util-linux" },
    Needed { program: "unshare", package: "util-linux" },
    Needed { program: "/usr/share/keyrings/debian-archive-keyring.gpg", package: "debian-archive-keyring" },
];

/// A built image.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its name in pods: `localhost/temporal-stack/<name>:<tag>`.
    pub reference: String,
    /// The file, an `oci-archive` that holds it under its reference.
    pub archive: PathBuf,
    /// A key that changes with every input, even if the reference stays the same.
    pub key: String,
}

/// The arguments of `cargo xtask images`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Images to build; all if none is named.
    names: Vec<String>,
    /// Build everything again, with the packages that Debian has today.
    #[arg(long)]
    fresh: bool,
    /// The tag, if exactly one controller is named (default: the workspace's version).
    #[arg(long, requires = "names")]
    tag: Option<String>,
    /// Also import the images into the local node, which runs.
    #[arg(long)]
    import: bool,
    /// Do not ask before changing this machine.
    #[arg(long, short)]
    yes: bool,
}

/// Runs `cargo xtask images`: builds and prints each image's reference and archive.
pub fn run(arguments: &Arguments) -> Result<()> {
    agree(arguments.yes)?;
    let mut steps = Steps::new("images")?;
    if arguments.fresh {
        steps.run("discard built images", |_| store::forget())?;
    }
    let images = match (arguments.names.as_slice(), arguments.tag.as_deref()) {
        ([name], Some(tag)) => vec![controller(&mut steps, name, tag)?],
        (_, Some(_)) => bail!("--tag not applicable: it is for one controller; name exactly one"),
        ([], None) => build(&mut steps, &ALL.iter().map(|recipe| recipe.name).collect::<Vec<_>>())?,
        (names, None) => build(&mut steps, names)?,
    };
    if arguments.import {
        import(&mut steps, &images)?;
    }
    steps.finish();
    for image in images {
        println!("{} {}", image.reference, image.archive.display());
    }
    Ok(())
}

/// Imports images into the local node, unless they are there.
pub fn import(steps: &mut Steps, images: &[Image]) -> Result<()> {
    steps.run("import images", |step| {
        step.nothing_to_do();
        for image in images {
            if node::import(step, &image.archive)? {
                step.changed();
            }
        }
        Ok(())
    })
}

/// Installs the packages that building images needs, after asking.
pub fn agree(yes: bool) -> Result<()> {
    let needed: Vec<Needed> = NEEDED.iter().chain(go_module::NEEDED).copied().collect();
    let packages = machine::missing(&needed);
    if packages.is_empty() {
        return Ok(());
    }
    machine::agree("this machine", &[format!("install Debian packages: {}", packages.join(" "))], yes)?;
    let mut steps = Steps::new("image-tools")?;
    steps.run("install packages for images", |step| machine::install(step, &packages))?;
    steps.finish();
    Ok(())
}

/// Builds the images of these names and their base images, unless they are in the cache.
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
    Ok(program.with_context(|| format!("{name} not built: it is not a program of this workspace"))?.file)
}

/// Builds the programs of Kubo and IPFS Cluster, which tests run without a container, and returns their folder.
pub fn peers(steps: &mut Steps) -> Result<PathBuf> {
    programs::build(steps, &[find("kubo")?, find("ipfs-cluster")?])?;
    Ok(place::cache()?.join("bin"))
}

/// Builds the programs of the object stores, which tests run without a container, and returns their folder.
pub fn object_stores(steps: &mut Steps) -> Result<PathBuf> {
    programs::build(steps, &[find("minio")?, find("versity")?])?;
    Ok(place::cache()?.join("bin"))
}

/// The reference of an image, built or not.
pub fn reference(name: &str) -> Result<String> {
    Ok(store::reference(name, &find(name)?.tag()?))
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
        bail!("image {name} not applicable: it is not a controller's; name a controller's image");
    }
    Ok(recipe)
}

fn find(name: &str) -> Result<&'static Recipe> {
    ALL.iter().find(|recipe| recipe.name == name).with_context(|| {
        let known: Vec<_> = ALL.iter().map(|recipe| recipe.name).collect();
        format!("unknown image {name}; use one of: {}", known.join(", "))
    })
}

/// A program of an image's build. Its mounts and processes are isolated and end with it, and it ends with this program.
fn contained(step: &Step, work: &Path, program: &str) -> LoggedCommand {
    step.command("setpriv")
        .args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--mount-proc", "--kill-child", "--", program])
        .env("TMPDIR", work)
        .env("SOURCE_DATE_EPOCH", "0")
}
