//! The programs in images: of this workspace, and of Go modules.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::recipe::{Contents, Recipe};
use crate::go_module;
use crate::place;
use crate::step::{Step, Steps};

/// The variable with the cargo profile of programs in images, instead of `release`.
pub const PROFILE: &str = "TEMPORAL_STACK_PROFILE";

/// A program in an image.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// Its name in the image's Containerfile.
    pub(super) name: &'static str,
    /// Its file.
    pub(super) file: PathBuf,
}

impl Program {
    /// A program of this workspace: all controllers share the folder of their images.
    pub(super) fn controller(file: PathBuf) -> Self {
        Self { name: "controller", file }
    }
}

/// Builds the programs of these images, unless they are in the cache, and returns them by image.
pub(super) fn build(steps: &mut Steps, recipes: &[&Recipe]) -> Result<BTreeMap<&'static str, Vec<Program>>> {
    let mut built = BTreeMap::new();
    let wanted: Vec<_> = recipes.iter().filter_map(|recipe| Some((*recipe, of_workspace(recipe)?.1))).collect();
    if !wanted.is_empty() {
        let files = steps.run("build the controllers", |step| cargo_build(step, &wanted))?;
        for ((recipe, program), file) in wanted.into_iter().zip(files) {
            built.insert(recipe.name, vec![Program { name: recipe.called(program), file }]);
        }
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

/// The package and the program of this workspace in a recipe.
fn of_workspace(recipe: &Recipe) -> Option<(&'static str, &'static str)> {
    match recipe.contents {
        Contents::Cargo { package, program, .. } => Some((package, program)),
        Contents::Debian | Contents::Packages | Contents::Go { .. } => None,
    }
}

/// Builds the programs of these recipes; their files are in the same order.
fn cargo_build(step: &Step, wanted: &[(&Recipe, &'static str)]) -> Result<Vec<PathBuf>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let profile = env::var(PROFILE).unwrap_or_else(|_| "release".to_owned());
    // All packages are always selected, so that shared dependencies have the same features and are built only once. With `dev`,
    // the programs are those that were built with the tests.
    let packages = super::ALL.iter().filter_map(of_workspace).flat_map(|(package, _)| ["--package", package]);
    let selected = if profile == "dev" { vec!["--workspace", "--all-features"] } else { packages.collect() };
    let programs = wanted.iter().flat_map(|(_, program)| ["--bin", program]);
    let messages = step
        .command(cargo)
        .outside_of_packages()
        .current_dir(place::workspace())
        .args(["build", "--profile", &profile, "--message-format", "json-render-diagnostics"])
        .args(selected.into_iter().chain(programs))
        .read()?;
    let built = executables(&messages);
    let find = |program: &str| {
        built
            .get(program)
            .cloned()
            .with_context(|| format!("program {program} not built: cargo reported no executable of that name"))
    };
    wanted.iter().map(|(_, program)| find(program)).collect()
}

/// Each program in cargo's messages, with its file.
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
