//! What an image is made of, as far as one line can say it; its folder below `deploy/images` says the rest.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

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

/// What is in an image beside its folder's files and the image that it is from.
#[derive(Debug)]
pub(super) enum Contents {
    /// A whole Debian of the suite that the tag names.
    Debian,
    /// Debian packages, which its Containerfile installs.
    Packages,
    /// A program of this workspace, named as the image is.
    Cargo { package: &'static str },
}

impl Recipe {
    pub(super) const fn debian(name: &'static str) -> Self {
        Self { name, folder: name, from: None, contents: Contents::Debian }
    }

    pub(super) const fn packages(name: &'static str) -> Self {
        Self { name, folder: name, from: Some("base"), contents: Contents::Packages }
    }

    pub(super) const fn controller(name: &'static str, package: &'static str) -> Self {
        Self { name, folder: "controller", from: Some("runtime"), contents: Contents::Cargo { package } }
    }

    /// The tag that it has unless a caller wants another: a controller's is the workspace's version.
    pub fn tag(&self) -> Result<String> {
        if self.has_program() {
            return Ok(env!("CARGO_PKG_VERSION").to_owned());
        }
        let file = self.path().join("version");
        let text = fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
        Ok(text.trim().to_owned())
    }

    pub(super) fn has_program(&self) -> bool {
        matches!(self.contents, Contents::Cargo { .. })
    }

    pub(super) fn path(&self) -> PathBuf {
        place::workspace().join("deploy/images").join(self.folder)
    }
}
