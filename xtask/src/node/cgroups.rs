//! The control groups that the pods run in: below a directory of our own, in every hierarchy.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::process::Process;

const MOUNT: &str = "/sys/fs/cgroup";
/// As `cgroupRoot` in `deploy/node/kubelet.yaml`.
const NAME: &str = "temporal-stack";

/// Creates the directories, which the kubelet requires.
pub fn make() -> Result<()> {
    let unified = Path::new(MOUNT).join("cgroup.controllers");
    if let Ok(controllers) = fs::read_to_string(unified) {
        for controller in controllers.split_whitespace() {
            // Not every kernel can delegate every controller; the kubelet reports missing ones.
            fs::write(Path::new(MOUNT).join("cgroup.subtree_control"), format!("+{controller}")).ok();
        }
    }
    for root in roots() {
        match fs::create_dir(&root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("cannot create {}", root.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The processes of the pods.
pub fn processes() -> Vec<Process> {
    let mut processes: Vec<Process> = present()
        .iter()
        .filter_map(|dir| fs::read_to_string(dir.join("cgroup.procs")).ok())
        .flat_map(|ids| ids.lines().filter_map(|id| Process::find(id.parse().ok()?)).collect::<Vec<_>>())
        .collect();
    processes.sort_unstable_by_key(|process| process.pid);
    processes.dedup();
    processes
}

/// Removes them, which works once their processes have ended.
pub fn remove() {
    for dir in present() {
        // A directory that cannot be removed is reported as a leftover.
        fs::remove_dir(dir).ok();
    }
}

/// The existing ones, the innermost first.
pub fn present() -> Vec<PathBuf> {
    let mut found = Vec::new();
    roots().into_iter().filter(|root| root.is_dir()).for_each(|root| collect(root, &mut found));
    found
}

fn collect(dir: PathBuf, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(entry.path(), found);
        }
    }
    found.push(dir);
}

/// Ours in the one hierarchy of version 2, or in each one of version 1.
fn roots() -> Vec<PathBuf> {
    let mount = Path::new(MOUNT);
    if mount.join("cgroup.controllers").exists() {
        return vec![mount.join(NAME)];
    }
    let hierarchies = fs::read_dir(mount).into_iter().flatten().flatten().map(|entry| entry.path());
    // A link is a second name of a hierarchy; a directory without this file is not a hierarchy.
    let hierarchies = hierarchies.filter(|dir| !dir.is_symlink() && dir.join("cgroup.procs").exists());
    hierarchies.map(|dir| dir.join(NAME)).collect()
}
