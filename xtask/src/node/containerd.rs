//! The node's own containerd, beside the one that Debian's package may have started, and its images.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::cluster::Cluster;
use crate::node::settings;
use crate::process::Daemon;
use crate::step::{LoggedCommand, Step};
use crate::{machine, wait};

const READY_WITHIN: Duration = Duration::from_secs(60);

/// The daemon; its settings are written.
pub fn daemon(cluster: &Cluster) -> Result<Daemon> {
    let config = settings::write(cluster, "containerd.toml")?;
    let args = vec![format!("--config={}", config.display())];
    Ok(cluster.daemon("containerd", machine::path_of("containerd")?, args))
}

/// Waits until it answers.
pub fn wait_until_ready(step: &Step, cluster: &Cluster, daemon: &Daemon) -> Result<()> {
    wait::until(step, "containerd answers", std::slice::from_ref(daemon), READY_WITHIN, || {
        Ok(socket(cluster).exists() && ctr(step, cluster).arg("version").succeeds()?)
    })
}

/// Imports an `oci-archive` into the node's images, unless exactly that image exists under its name already; returns whether it
/// was imported.
pub fn import(step: &Step, archive: &Path) -> Result<bool> {
    let cluster = Cluster::node()?;
    let (name, digest) = name_and_digest(step, archive)?;
    let present = ctr(step, &cluster).args(["images", "list", &format!("name=={name}")]).read()?;
    if present.contains(&digest) {
        return Ok(false);
    }
    step.note(format!("importing {name}"));
    ctr(step, &cluster).args(["images", "import"]).arg(archive).run()?;
    let present = ctr(step, &cluster).args(["images", "list", &format!("name=={name}")]).read()?;
    if !present.contains(&digest) {
        bail!(
            "image {name} missing: {} was imported, but containerd does not list {digest}; import it again",
            archive.display()
        );
    }
    Ok(true)
}

/// Removes containerd's records of containers whose processes have ended.
pub fn forget_containers(step: &Step, cluster: &Cluster) -> Result<()> {
    if !socket(cluster).exists() || !ctr(step, cluster).arg("version").succeeds()? {
        return Ok(());
    }
    let containers = ctr(step, cluster).args(["containers", "list", "--quiet"]).read()?;
    let containers: Vec<&str> = containers.split_whitespace().collect();
    if !containers.is_empty() {
        // The kubelet removes the rest at the next start.
        ctr(step, cluster).args(["containers", "delete"]).args(containers).succeeds()?;
    }
    Ok(())
}

fn ctr(step: &Step, cluster: &Cluster) -> LoggedCommand {
    step.command("ctr").arg("--address").arg(socket(cluster)).args(["--namespace", "k8s.io", "--timeout", "120s"])
}

fn socket(cluster: &Cluster) -> std::path::PathBuf {
    cluster.run.join("containerd.sock")
}

fn name_and_digest(step: &Step, archive: &Path) -> Result<(String, String)> {
    if !fs::exists(archive)? {
        bail!("image archive {} missing; build it with `cargo xtask images`", archive.display());
    }
    let index = step.command("tar").arg("--extract").arg("--to-stdout").arg("--file").arg(archive);
    let index: serde_json::Value = serde_json::from_str(&index.arg("index.json").read()?)?;
    let manifest = &index["manifests"][0];
    let name = &manifest["annotations"]["org.opencontainers.image.ref.name"];
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    text(name)
        .zip(text(&manifest["digest"]))
        .with_context(|| format!("image archive {} invalid: its index has no name or no digest", archive.display()))
}
