//! The programs of this workspace that images contain.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::recipe::{Contents, Recipe};
use crate::place;
use crate::step::{Step, Steps};

/// Builds the programs of these images in one go and says where each is.
pub(super) fn build(steps: &mut Steps, recipes: &[&Recipe]) -> Result<BTreeMap<&'static str, PathBuf>> {
    let wanted: Vec<_> = recipes.iter().filter_map(|recipe| Some((recipe.name, package(recipe)?))).collect();
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    steps.run("build the controllers", |step| cargo_build(step, &wanted))
}

fn package(recipe: &Recipe) -> Option<&'static str> {
    match recipe.contents {
        Contents::Cargo { package } => Some(package),
        Contents::Debian | Contents::Packages => None,
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
