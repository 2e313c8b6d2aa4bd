//! From a recipe to an archive.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::context::Context;
use super::programs::Program;
use super::recipe::{Contents, Recipe};
use super::store::{self, Store};
use super::{Image, contained, debian, find};
use crate::place;
use crate::step::{Step, Steps};

/// Builds images, one at a time on a machine; remembers those that it has built or found.
#[derive(Debug)]
pub(super) struct Builder {
    store: Store,
    bases: BTreeMap<&'static str, Image>,
}

/// One image to build.
struct Order<'a> {
    recipe: &'a Recipe,
    tag: &'a str,
    context: Context,
    base: Option<Image>,
    image: Image,
}

impl Builder {
    /// Waits for other builds.
    pub(super) fn new() -> Result<Self> {
        Ok(Self { store: Store::lock()?, bases: BTreeMap::new() })
    }

    /// The image of a recipe, after its base image.
    pub(super) fn image(
        &mut self,
        steps: &mut Steps,
        recipe: &'static Recipe,
        tag: &str,
        programs: &[Program],
    ) -> Result<Image> {
        if let Some(known) = self.bases.get(recipe.name).filter(|_| programs.is_empty()) {
            return Ok(known.clone());
        }
        let base = match recipe.from {
            Some(name) => {
                let from = find(name)?;
                Some(self.image(steps, from, &from.tag()?, &[])?)
            }
            None => None,
        };
        let image = steps.run(&format!("build image {}", recipe.name), |step| {
            let order = self.order(recipe, tag, programs, base)?;
            if store::touch(&order.image.archive) {
                step.cached();
            } else {
                self.build(step, &order)?;
            }
            Ok(order.image)
        })?;
        if programs.is_empty() {
            self.bases.insert(recipe.name, image.clone());
        }
        Ok(image)
    }

    fn order<'a>(
        &self,
        recipe: &'a Recipe,
        tag: &'a str,
        programs: &[Program],
        base: Option<Image>,
    ) -> Result<Order<'a>> {
        let mut context = Context::read(&recipe.path())?;
        for program in programs {
            context.add(program.name, &program.file)?;
        }
        let reference = store::reference(recipe.name, tag);
        let generation = store::generation()?;
        let mut parts = vec![reference.as_str(), ARCH, &generation];
        parts.extend(base.iter().map(|base| base.key.as_str()));
        if matches!(recipe.contents, Contents::Debian) {
            parts.extend(debian::OPTIONS);
        }
        let key = context.key(&parts);
        let archive = self.store.archive(recipe.name, tag, &key);
        Ok(Order { recipe, tag, context, base, image: Image { reference, archive, key } })
    }

    fn build(&self, step: &Step, order: &Order<'_>) -> Result<()> {
        if !place::is_root() {
            bail!("cannot build images: mounts need root; run the command as root");
        }
        let work = self.store.work()?;
        let built = buildah(step, order, &work).and_then(|built| self.store.keep(&built, &order.image.archive));
        self.store.clean()?;
        built
    }
}

/// Builds in a directory with everything: context, layers, apt's lists and packages, and the archive that it returns.
fn buildah(step: &Step, order: &Order<'_>, work: &Path) -> Result<PathBuf> {
    let context = directory(work, "context")?;
    order.context.write(&context)?;
    let mut arguments = vec![format!("--build-arg=VERSION={}", order.tag)];
    if let Some(base) = &order.base {
        arguments.push(format!("--build-arg=BASE=oci-archive:{}", base.archive.display()));
    }
    match order.recipe.contents {
        Contents::Debian => debian::root(step, work, &context, order.tag)?,
        Contents::Packages => arguments.extend(apt(step, work)?),
        Contents::Cargo { .. } | Contents::Go { .. } => {}
    }
    let archive = work.join("image.tar");
    step.note("buildah");
    contained(step, work, "buildah")
        .arg("--root")
        .arg(work.join("layers"))
        .arg("--runroot")
        .arg(work.join("run"))
        // One layer on top of the base, with constant times: equal contents give equal digests.
        .args(["bud", "--isolation=chroot", "--layers=false", "--timestamp=0"])
        .args(arguments)
        .arg(format!("--tag=oci-archive:{}:{}", archive.display(), order.image.reference))
        .arg(context)
        .run()?;
    Ok(archive)
}

/// Mounts apt's files into a build, so that neither a mirror's name nor a package list ends up in the image.
fn apt(step: &Step, work: &Path) -> Result<[String; 3]> {
    let list = work.join("sources.list");
    let sources = debian::sources(step, &find("base")?.tag()?)?;
    fs::write(&list, sources).with_context(|| format!("cannot write {}", list.display()))?;
    Ok([
        format!("--volume={}:/etc/apt/sources.list:ro", list.display()),
        format!("--volume={}:/var/cache/apt", directory(work, "apt-cache")?.display()),
        format!("--volume={}:/var/lib/apt/lists", directory(work, "apt-lists")?.display()),
    ])
}

fn directory(work: &Path, name: &str) -> Result<PathBuf> {
    let dir = work.join(name);
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}
