//! The programs that images contain: of this workspace, and of Go modules.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::recipe::{Contents, Recipe};
use crate::go_module;
use crate::place;
use crate::step::{Step, Steps};

/// A program in an image.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// What the image's Containerfile calls it.
    pub(super) name: &'static str,
    /// Where it was built.
    pub(super) file: PathBuf,
}

impl Program {
    /// A program of this workspace: the folder of its image is that of all controllers.
    pub(super) fn controller(file: PathBuf) -> Self {
        Self { name: "controller", file }
    }
}

/// Builds the programs of these images, unless they are in the cache, and says of each image which they are.
pub(super) fn build(steps: &mut Steps, recipes: &[&Recipe]) -> Result<BTreeMap<&'static str, Vec<Program>>> {
    let mut built = BTreeMap::new();
    let wanted: Vec<_> = recipes.iter().filter_map(|recipe| Some((recipe.name, package(recipe)?))).collect();
    if !wanted.is_empty() {
        let controllers = steps.run("build the controllers", |step| cargo_build(step, &wanted))?;
        built.extend(controllers.into_iter().map(|(name, file)| (name, vec![Program::controller(file)])));
    }
    for recipe in recipes {
        if let Contents::Go { programs, .. } = recipe.contents {
            let dir = recipe.go_module(programs).build(steps)?;
            let program = |name: &&'static str| Program { name, file: dir.join(name) };
            built.insert(recipe.name, programs.iter().map(program).collect());
        }
    }
    go_module::forget_build_cache()?;
    Ok(built)
}

fn package(recipe: &Recipe) -> Option<&'static str> {
    match recipe.contents {
        Contents::Cargo { package, .. } => Some(package),
        Contents::Debian | Contents::Packages | Contents::Go { .. } => None,
    }
}

fn cargo_build(step: &Step, wanted: &[(&'static str, &'static str)]) -> Result<BTreeMap<&'static str, PathBuf>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // All packages are selected, whatever is wanted of them: the features of what they share are those of all, so nothing is
    // built once for each.
    let packages = super::ALL.iter().filter_map(package).flat_map(|package| ["--package", package]);
    let programs = wanted.iter().flat_map(|(program, _)| ["--bin", program]);
    let messages = step
        .command(cargo)
        .outside_of_packages()
        .current_dir(place::workspace())
        .args(["build", "--release", "--message-format", "json-render-diagnostics"])
        .args(packages.chain(programs))
        .read()?;
    let built = executables(&messages);
    let find = |(program, _): &(&'static str, _)| {
        let path = built.get(*program).with_context(|| format!("cargo built no program {program}"))?;
        Ok((*program, path.clone()))
    };
    wanted.iter().map(find).collect()
}

/// Each program that cargo's messages speak of, and its file.
fn executables(messages: &str) -> BTreeMap<String, PathBuf> {
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let path = message.get("executable")?.as_str()?;
        Some((message.pointer("/target/name")?.as_str()?.to_owned(), PathBuf::from(path)))
    };
    messages.lines().filter_map(executable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_with_an_executable_name_a_program() {
        let messages = "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"lib\"},\"executable\":null}\n\
            {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"queue-controller\"},\"executable\":\"/t/q\"}\n\
            {\"reason\":\"build-finished\",\"success\":true}\n";
        let expected = BTreeMap::from([("queue-controller".to_owned(), PathBuf::from("/t/q"))]);
        assert_eq!(executables(messages), expected);
    }
}
