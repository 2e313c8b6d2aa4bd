//! `cargo xtask codegen [--check]`: files that are generated from the types, so that they cannot differ.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use crate::controllers;
use crate::place;
use crate::source;
use crate::structure;

mod chart;
mod fields;
mod messages;
mod reasons;
mod roles;

const HEADER: &str = "# Written by `cargo xtask codegen`; edit the types instead.\n";

/// The arguments of `cargo xtask codegen`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Change nothing; fail if a file differs from what would be written, or the sources break a rule of their structure.
    #[arg(long)]
    check: bool,
}

/// Fails if a generated file differs from what would be written, or the sources break a rule of their structure.
pub fn check() -> Result<()> {
    run(&Arguments { check: true })
}

/// Writes or checks the generated files.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut outdated = Vec::new();
    for (path, wanted) in files()? {
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        if there == wanted {
            continue;
        }
        if arguments.check {
            outdated.push(path.display().to_string());
            continue;
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, wanted).with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    if !outdated.is_empty() {
        bail!("these files are not what the types say; run `cargo xtask codegen`: {}", outdated.join(", "));
    }
    if arguments.check { structure::check() } else { Ok(()) }
}

/// All generated files and their content.
fn files() -> Result<BTreeMap<PathBuf, String>> {
    let root = place::workspace();
    let sources = source::read(root, &["crates", "xtask"], &["rs"])?;
    let crates = reasons::Crates::parse(&sources)?;
    let mut files = BTreeMap::new();
    files.insert(root.join("docs/messages.md"), messages::page(&sources, &crates)?);
    for controller in controllers::ALL {
        let crd = (controller.crd)();
        let crd_file = format!("{}.yaml", crd.spec.names.plural);
        let crds = root.join("deploy/crds").join(controller.name);
        files.insert(crds.join("kustomization.yaml"), kustomization(&[&crd_file]));
        files.insert(crds.join(&crd_file), documents(&[yaml(&crd)?]));
        let rbac = root.join("deploy/rbac").join(controller.name);
        files.insert(rbac.join("kustomization.yaml"), kustomization(&["rbac.yaml", "users.yaml"]));
        files.insert(rbac.join("rbac.yaml"), documents(&roles::of_controller(controller)?));
        files.insert(rbac.join("users.yaml"), documents(&roles::documents_of_users(controller)?));
        let page = root.join(format!("docs/kinds/{}.md", crd.spec.names.singular.clone().unwrap_or_default()));
        if let Ok(text) = std::fs::read_to_string(&page) {
            let text = fields::put(&text, &crd).and_then(|text| reasons::put(&text, controller.name, &crates));
            files.insert(page.clone(), text.with_context(|| page.display().to_string())?);
        }
    }
    let overlay = roles::in_one_namespace()?;
    files.insert(root.join("deploy/overlays/namespaced/roles.yaml"), documents(&overlay));
    files.extend(chart::files(root)?);
    Ok(files)
}

fn kustomization(files: &[&str]) -> String {
    let files: Vec<String> = files.iter().map(|file| format!("  - {file}\n")).collect();
    format!("{HEADER}resources:\n{}", files.concat())
}

fn documents(all: &[String]) -> String {
    format!("{HEADER}{}", all.join("---\n"))
}

fn yaml(object: &impl Serialize) -> Result<String> {
    // Through JSON, so that all maps have the same order as everywhere else.
    let value = serde_json::to_value(object)?;
    Ok(serde_saphyr::to_string(&value)?)
}
