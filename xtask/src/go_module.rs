//! Programs built from the Go module proxy: a folder with `go.mod` and `go.sum` defines the versions, its `tool` lines the
//! programs.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::key::Key;
use crate::machine::{self, Needed};
use crate::place;
use crate::step::{Step, Steps};

/// The packages that building Go programs needs.
pub const NEEDED: &[Needed] = &[Needed { program: "go", package: "golang-go" }];

/// The linker's flags for every program: no symbol table, no debug information.
const STRIPPED: &str = "-s -w";

/// A Go module of ours that requires the programs it builds.
#[derive(Debug, Clone)]
pub struct GoModule {
    /// Its name in steps and in the cache.
    pub name: &'static str,
    /// The folder with `go.mod` and `go.sum`.
    pub folder: PathBuf,
    /// The names of the programs that its `tool` lines build. A single one may have another name than its package.
    pub programs: &'static [&'static str],
    /// Values set at link time, as `package.variable=value`.
    pub set: Vec<String>,
}

impl GoModule {
    /// A module of that folder, with nothing set at link time.
    pub fn new(name: &'static str, folder: PathBuf, programs: &'static [&'static str]) -> Self {
        Self { name, folder, programs, set: Vec::new() }
    }

    /// The version of `module` that `go.mod` requires, with its `v`.
    pub fn version_of(&self, module: &str) -> Result<String> {
        let file = self.folder.join("go.mod");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut lines = text.lines().map(|line| line.trim().trim_start_matches("require "));
        let version = lines.find_map(|line| line.strip_prefix(module)?.strip_prefix(' ')?.split(' ').next());
        version
            .map(str::to_owned)
            .with_context(|| format!("{} incomplete: it does not require {module}; add it", file.display()))
    }

    /// Builds the programs, unless they are in the cache, and returns the directory that has them.
    pub fn build(&self, steps: &mut Steps) -> Result<PathBuf> {
        steps.run(&format!("build {}", self.name), |step| self.build_in(step))
    }

    fn build_in(&self, step: &mut Step) -> Result<PathBuf> {
        let cache = place::cache()?;
        let built = cache.join("programs").join(format!("{}-{}", self.name, self.key(step)?));
        if self.programs.iter().all(|program| built.join(program).is_file()) {
            step.cached();
        } else {
            self.go_build(step, &cache, &built)?;
        }
        for program in self.programs {
            link(&built.join(program), &cache.join("bin").join(program))?;
        }
        Ok(built)
    }

    fn go_build(&self, step: &Step, cache: &Path, built: &Path) -> Result<()> {
        step.note("waiting for other builds");
        let _lock = lock_builds()?;
        step.note("go build");
        // Built beside its place and moved there, so that entries of the cache are complete.
        let unfinished = built.with_extension("building");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        fs::create_dir_all(&unfinished)?;
        let output = match self.programs {
            [only] => unfinished.join(only),
            _ => unfinished.join(""),
        };
        go(step)?
            .current_dir(&self.folder)
            .env("GOCACHE", cache.join("go-build"))
            .args(["build", "-buildvcs=false", "-mod=readonly", "-trimpath", "-ldflags", &self.linker_flags(), "-o"])
            .arg(output)
            .arg("tool")
            .run()?;
        for program in self.programs {
            if !unfinished.join(program).is_file() {
                bail!("{program} not built: no `tool` line of {}/go.mod names it; add one", self.folder.display());
            }
        }
        if built.exists() {
            fs::remove_dir_all(built)?;
        }
        fs::rename(&unfinished, built).with_context(|| format!("cannot move the programs to {}", built.display()))
    }

    fn linker_flags(&self) -> String {
        let set = self.set.iter().map(|value| format!(" -X {value}"));
        std::iter::once(STRIPPED.to_owned()).chain(set).collect()
    }

    /// A key that changes with every input of the programs.
    fn key(&self, step: &Step) -> Result<String> {
        let version = go(step)?.current_dir(&self.folder).args(["env", "GOVERSION", "GOARCH"]).read();
        let version =
            version.context("cannot run Go: 1.21 or newer is needed to fetch the version in go.mod; install it")?;
        let mut key = Key::default().with(version).with(self.linker_flags());
        for file in ["go.mod", "go.sum"] {
            let path = self.folder.join(file);
            key = key.with(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
        Ok(key.finish())
    }
}

/// Waits for other builds into the cache, and blocks later ones until it is dropped.
pub fn lock_builds() -> Result<File> {
    let lock = build_lock(&place::cache()?)?;
    lock.lock()?;
    Ok(lock)
}

fn build_lock(cache: &Path) -> Result<File> {
    fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    File::create(cache.join("build.lock")).context("cannot create the build lock")
}

/// Removes Go's build cache of ours: some 10 GB that only the next version's build would use.
pub fn forget_build_cache() -> Result<()> {
    let cache = place::cache()?;
    let dir = cache.join("go-build");
    // A concurrent build removes it when done.
    if dir.exists() && build_lock(&cache)?.try_lock().is_ok() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}

fn go(step: &Step) -> Result<crate::step::LoggedCommand> {
    Ok(step.command(machine::path_of("go")?).env("CGO_ENABLED", "0").env("GOWORK", "off").env("GOFLAGS", ""))
}

fn link(target: &Path, link: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|old| old == target) {
        return Ok(());
    }
    if let Some(dir) = link.parent() {
        fs::create_dir_all(dir)?;
    }
    let new = link.with_extension(format!("new-{}", std::process::id()));
    symlink(target, &new)?;
    fs::rename(&new, link).with_context(|| format!("cannot link {}", link.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &'static str) -> GoModule {
        GoModule::new(name, place::workspace().join("deploy/node").join(name), &[])
    }

    #[test]
    fn several_requirements_have_a_version_each() {
        let version = node("kubernetes").version_of("k8s.io/kubernetes").unwrap();
        assert!(version.starts_with("v1."), "{version}");
    }

    #[test]
    fn module_that_is_not_required_has_no_version() {
        assert!(node("etcd").version_of("k8s.io/kubernetes").is_err());
    }
}
