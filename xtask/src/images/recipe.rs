//! The recipe of an image, in one line; its folder below `deploy/images` has the rest.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::go_module::GoModule;
use crate::place;

/// An image that can be built.
#[derive(Debug)]
pub struct Recipe {
    /// Its name, below `localhost/temporal-stack/`.
    pub name: &'static str,
    pub(super) folder: &'static str,
    pub(super) from: Option<&'static str>,
    pub(super) contents: Contents,
}

/// The contents of an image besides its folder's files and its base image.
#[derive(Debug)]
pub(super) enum Contents {
    /// A complete Debian of the suite in the tag.
    Debian,
    /// Debian packages, which its Containerfile installs.
    Packages,
    /// A program of this workspace; a controller or not.
    Cargo { package: &'static str, program: &'static str, controller: bool },
    /// Programs of a Go module: those that the `tool` lines of its folder's `go.mod` name.
    Go { module: &'static str, programs: &'static [&'static str] },
}

impl Recipe {
    pub(super) const fn debian(name: &'static str) -> Self {
        Self { name, folder: name, from: None, contents: Contents::Debian }
    }

    pub(super) const fn packages(name: &'static str) -> Self {
        Self { name, folder: name, from: Some("base"), contents: Contents::Packages }
    }

    pub(super) const fn controller(name: &'static str, package: &'static str) -> Self {
        Self::cargo(name, package, true)
    }

    /// A program that is no controller; its image is built in the same way.
    pub(super) const fn program(name: &'static str, package: &'static str) -> Self {
        Self::cargo(name, package, false)
    }

    const fn cargo(name: &'static str, package: &'static str, controller: bool) -> Self {
        let contents = Contents::Cargo { package, program: name, controller };
        Self { name, folder: "controller", from: Some("runtime"), contents }
    }

    /// A program that stands in for another one: it has the same name, and its image has a separate folder.
    pub(super) const fn stand_in(name: &'static str, package: &'static str, program: &'static str) -> Self {
        let contents = Contents::Cargo { package, program, controller: false };
        Self { name, folder: name, from: Some("runtime"), contents }
    }

    pub(super) const fn go(name: &'static str, module: &'static str, programs: &'static [&'static str]) -> Self {
        Self { name, folder: name, from: Some("base"), contents: Contents::Go { module, programs } }
    }

    /// The default tag: the workspace's version for our own programs, the module's version for Go programs.
    pub fn tag(&self) -> Result<String> {
        match self.contents {
            Contents::Debian | Contents::Packages => self.tag_in_folder(),
            Contents::Cargo { .. } => Ok(env!("CARGO_PKG_VERSION").to_owned()),
            Contents::Go { module, programs } => self.go_module(programs).version_of(module),
        }
    }

    fn tag_in_folder(&self) -> Result<String> {
        let file = self.path().join("version");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(text.trim().to_owned())
    }

    pub(super) fn is_controller(&self) -> bool {
        matches!(self.contents, Contents::Cargo { controller: true, .. })
    }

    /// The name of a program of this workspace in the Containerfile: all controllers share one.
    pub(super) fn called(&self, program: &'static str) -> &'static str {
        if self.folder == self.name { program } else { self.folder }
    }

    pub(super) fn go_module(&self, programs: &'static [&'static str]) -> GoModule {
        GoModule::new(self.name, self.path(), programs)
    }

    pub(super) fn path(&self) -> PathBuf {
        place::workspace().join("deploy/images").join(self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ALL;
    use super::*;

    #[test]
    fn go_image_has_the_tag_of_the_official_one() {
        for (name, starts) in [("kubo", "v0."), ("ipfs-cluster", "v1.")] {
            let recipe = ALL.iter().find(|recipe| recipe.name == name).unwrap();
            let tag = recipe.tag().unwrap();
            assert!(tag.starts_with(starts), "{name}:{tag}");
        }
    }

    #[test]
    fn bridge_is_a_program_of_ours_and_no_controller() {
        let bridge = ALL.iter().find(|recipe| recipe.name == "bridge").unwrap();
        assert!(!bridge.is_controller());
        assert_eq!(bridge.tag().unwrap(), env!("CARGO_PKG_VERSION"));
        let controllers = ALL.iter().filter(|recipe| recipe.is_controller());
        assert!(controllers.clone().count() > 0);
        assert!(controllers.clone().all(|recipe| recipe.name.ends_with("-controller")));
    }

    #[test]
    fn containerfile_copies_the_program_by_its_name() {
        for recipe in ALL {
            let Contents::Cargo { program, .. } = recipe.contents else { continue };
            let containerfile = fs::read_to_string(recipe.path().join("Containerfile")).unwrap();
            let copied = format!("COPY --chmod=0755 {} ", recipe.called(program));
            assert!(containerfile.contains(&copied), "{}: {copied}", recipe.name);
        }
    }

    #[test]
    fn go_image_copies_only_tools_of_its_module() {
        for recipe in ALL {
            let Contents::Go { programs, .. } = recipe.contents else { continue };
            let go_mod = fs::read_to_string(recipe.path().join("go.mod")).unwrap();
            let containerfile = fs::read_to_string(recipe.path().join("Containerfile")).unwrap();
            for program in programs {
                assert!(go_mod.contains(&format!("/{program}\n")), "{program}");
                assert!(containerfile.contains(&format!("COPY --chmod=0755 {program} ")), "{program}");
            }
        }
    }
}
