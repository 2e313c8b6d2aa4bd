//! The settings of the node's programs: the files of `deploy/node`, with the node's directories put in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::cluster::Cluster;
use crate::key::Key;
use crate::{machine, place};

/// A file of `deploy/node` with this node's directories put in.
pub fn read(cluster: &Cluster, name: &str) -> Result<String> {
    let file = place::workspace().join("deploy/node").join(name);
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let plugins = machine::cni_plugins().map(|dir| dir.display().to_string()).unwrap_or_default();
    Ok(text
        .replace("STATE_DIRECTORY", &cluster.state.display().to_string())
        .replace("RUN_DIRECTORY", &cluster.run.display().to_string())
        .replace("VOLUMES_DIRECTORY", &volumes(cluster).display().to_string())
        .replace("CNI_PLUGINS", &plugins))
}

/// Writes such a file for a daemon. Its name has a hash of its content: a daemon with changed settings has other arguments, and
/// is restarted.
pub fn write(cluster: &Cluster, name: &str) -> Result<PathBuf> {
    let text = read(cluster, name)?;
    write_to(&cluster.state.join("settings"), &format!("{}-{name}", key(&text)), &text)
}

/// A key that changes with the text.
pub fn key(text: &str) -> String {
    Key::default().with(text).finish()
}

/// Writes the network's settings where containerd looks for them.
pub fn write_network(cluster: &Cluster) -> Result<()> {
    let text = read(cluster, "cni.conflist")?;
    write_to(&cluster.state.join("cni"), "temporal-stack.conflist", &text).map(drop)
}

/// The directory of the volumes.
pub fn volumes(cluster: &Cluster) -> PathBuf {
    cluster.state.join("volumes")
}

fn write_to(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let file = dir.join(name);
    if !fs::read_to_string(&file).is_ok_and(|old| old == text) {
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(file)
}
