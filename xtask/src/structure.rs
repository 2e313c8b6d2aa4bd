//! The shape of the sources: which files a controller's crate has, that no two files of a crate import each other, and how long a
//! file and a function may be. Part of `cargo xtask codegen --check`.

mod files;
mod imports;
mod known;
mod lengths;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::place;
use crate::source::{self, Files};

/// The folders with sources.
const FOLDERS: &[&str] = &["crates", "tests", "xtask"];

/// A violation of a rule, with its place and remedy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    /// Its key in the list of exceptions: the file or the crate, and the rule.
    key: String,
    /// The numbers, and the remedy.
    message: String,
}

impl Violation {
    fn new(place: &Path, rule: impl fmt::Display, message: impl Into<String>) -> Self {
        Self { key: format!("{}: {rule}", place.display()), message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.key, self.message)
    }
}

/// Fails with every violation that is not a known exception, and with every exception that is no longer needed.
pub(crate) fn check() -> Result<()> {
    let files = source::read(place::workspace(), FOLDERS, &["rs", "md"])?;
    let problems = problems(&violations(&files)?, known::EXCEPTIONS);
    if !problems.is_empty() {
        bail!("the sources break {} rules of their structure:\n{}", problems.len(), problems.join("\n"));
    }
    Ok(())
}

/// The problems to report, given the exceptions.
fn problems(violations: &[Violation], exceptions: &[&str]) -> Vec<String> {
    let broken: BTreeSet<&str> = violations.iter().map(|violation| violation.key.as_str()).collect();
    let new = violations.iter().filter(|violation| !exceptions.contains(&violation.key.as_str()));
    let old = exceptions.iter().filter(|key| !broken.contains(**key));
    let old =
        old.map(|key| format!("  {key}; this exception is not needed: remove it from xtask/src/structure/known.rs"));
    new.map(|violation| format!("  {violation}")).chain(old).collect()
}

/// All violations.
fn violations(files: &Files) -> Result<Vec<Violation>> {
    let mut all = lengths::long_files(files);
    for package in packages(files) {
        let modules = source::modules(files, &package)?;
        all.extend(files::missing(files, &package, &modules));
        all.extend(imports::cycles(&package, &modules));
    }
    all.extend(lengths::long_functions(files)?);
    all.sort();
    all.dedup();
    Ok(all)
}

/// The folders of the packages in `crates/`.
fn packages(files: &Files) -> BTreeSet<PathBuf> {
    let package = |file: &PathBuf| {
        let mut parts = file.iter();
        (parts.next()? == "crates").then_some(())?;
        Some(Path::new("crates").join(parts.next()?))
    };
    files.keys().filter_map(package).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::files;

    #[test]
    fn exception_that_is_not_needed_is_a_problem() {
        let found = [Violation::new(Path::new("crates/a"), "missing src/act.rs", "add it")];
        assert!(problems(&found, &["crates/a: missing src/act.rs"]).is_empty());
        let told = problems(&found, &["crates/b: import cycle"]);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("crates/a: missing src/act.rs; add it"), "{told:?}");
        assert!(told[1].contains("crates/b: import cycle; this exception is not needed"), "{told:?}");
    }

    #[test]
    fn every_crate_is_in_a_folder_that_is_read() {
        let manifest = std::fs::read_to_string(place::workspace().join("Cargo.toml")).unwrap();
        let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
        let members: Vec<String> = serde_json::from_str(members).unwrap();
        let is_read = |member: &String| FOLDERS.iter().any(|folder| Path::new(member).starts_with(folder));
        assert!(!members.is_empty() && members.iter().all(is_read), "{members:?}");
    }

    #[test]
    fn packages_are_the_folders_in_crates() {
        let files = files(&[("crates/a/src/lib.rs", ""), ("crates/b/README.md", ""), ("tests/src/lib.rs", "")]);
        let packages: Vec<PathBuf> = packages(&files).into_iter().collect();
        assert_eq!(packages, [Path::new("crates/a"), Path::new("crates/b")]);
    }
}
