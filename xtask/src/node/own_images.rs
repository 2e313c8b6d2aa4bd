//! The images that the node itself needs: each consists of one program, so they need no Debian base.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::go_module::{self, GoModule};
use crate::key::Key;
use crate::machine;
use crate::place;
use crate::step::{Step, Steps};

/// The commands that the volumes' helper pods and the pause container use.
const APPLETS: &[&str] = &["sh", "cat", "chmod", "chown", "ls", "mkdir", "rm", "sleep", "true"];

/// An image: a folder of `deploy/node` with a Containerfile, and the program that it copies.
#[derive(Debug)]
struct OwnImage {
    folder: &'static str,
    name: String,
    program: PathBuf,
}

/// Builds the node's own images, unless they are in the cache, and returns their archives.
pub fn build(steps: &mut Steps) -> Result<Vec<PathBuf>> {
    let folder = place::workspace().join("deploy/node");
    let coredns = GoModule::new("coredns", folder.join("coredns"), &["coredns"]);
    let provisioner = "local-path-provisioner";
    let provisioner = GoModule::new(provisioner, folder.join(provisioner), &["local-path-provisioner"]);
    let images = [
        OwnImage { folder: "busybox", name: name("busybox", "1"), program: machine::path_of("busybox")? },
        OwnImage {
            folder: coredns.name,
            name: name(coredns.name, &coredns.version_of("github.com/coredns/coredns")?),
            program: coredns.build(steps)?.join("coredns"),
        },
        OwnImage {
            folder: provisioner.name,
            name: name(provisioner.name, &provisioner.version_of("github.com/rancher/local-path-provisioner")?),
            program: provisioner.build(steps)?.join("local-path-provisioner"),
        },
    ];
    steps.run("build the node's images", |step| {
        step.cached();
        images.iter().map(|image| image.build(step, &folder)).collect()
    })
}

fn name(program: &str, version: &str) -> String {
    format!("localhost/temporal-stack-node/{program}:{version}")
}

impl OwnImage {
    fn build(&self, step: &mut Step, folder: &Path) -> Result<PathBuf> {
        let containerfile = folder.join(self.folder).join("Containerfile");
        let images = place::cache()?.join("images").join("node");
        let archive = images.join(format!("{}-{}.tar", self.folder, self.key(&containerfile)?));
        if archive.exists() {
            return Ok(archive);
        }
        step.changed();
        step.note(format!("buildah: {}", self.name));
        let _lock = go_module::lock_builds()?;
        let work = images.join("building");
        if work.exists() {
            fs::remove_dir_all(&work)?;
        }
        let context = work.join("context");
        fs::create_dir_all(&context).with_context(|| format!("cannot create {}", context.display()))?;
        self.fill(&context)?;
        let unfinished = work.join("image.tar");
        let buildah = || {
            // Storage of its own, in plain directories: nothing is mounted, and nothing stays.
            let storage = step.command("buildah").arg("--storage-driver=vfs");
            storage.arg("--root").arg(work.join("storage")).arg("--runroot").arg(work.join("run"))
        };
        buildah()
            .args(["build", "--isolation=chroot", "--layers=false", "--timestamp=0", "--tag", &self.name, "--file"])
            .args([&containerfile, &context])
            .run()?;
        buildah().args(["push", "--quiet", &self.name]).arg(reference(&unfinished, &self.name)).run()?;
        remove_older(&images, self.folder)?;
        fs::rename(&unfinished, &archive)?;
        fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
        Ok(archive)
    }

    fn fill(&self, context: &Path) -> Result<()> {
        if self.folder != "busybox" {
            fs::copy(&self.program, context.join(self.folder))?;
            return Ok(());
        }
        let bin = context.join("bin");
        fs::create_dir(&bin)?;
        fs::copy(&self.program, bin.join("busybox"))?;
        for applet in APPLETS {
            symlink("busybox", bin.join(applet))?;
        }
        Ok(())
    }

    /// A key that changes with every input of the image.
    fn key(&self, containerfile: &Path) -> Result<String> {
        let text = fs::read(containerfile);
        let text = text.with_context(|| format!("cannot read {}", containerfile.display()))?;
        // Not the program's content: a built one has a key in its path, and Debian's is as old as its package.
        let program = fs::metadata(&self.program)?;
        let program = format!("{} {} {}", self.program.display(), program.len(), program.mtime());
        Ok(Key::default().with(text).with(program).with(APPLETS.join(" ")).with(&self.name).finish())
    }
}

/// Fails if a manifest names another version of an image than the one that is built.
pub fn check_names(manifests: &str) -> Result<()> {
    let folder = place::workspace().join("deploy/node");
    for (program, module) in [
        ("coredns", "github.com/coredns/coredns"),
        ("local-path-provisioner", "github.com/rancher/local-path-provisioner"),
    ] {
        let name = name(program, &GoModule::new(program, folder.join(program), &[]).version_of(module)?);
        if !manifests.contains(&name) {
            bail!("deploy/node/{program}.yaml outdated: deploy/node/{program}/go.mod builds {name}; use that image");
        }
    }
    Ok(())
}

fn remove_older(images: &Path, folder: &str) -> Result<()> {
    for entry in fs::read_dir(images)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_file() && name.rsplit_once('-').is_some_and(|(of, _)| of == folder) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn reference(archive: &Path, name: &str) -> String {
    format!("oci-archive:{}:{name}", archive.display())
}
