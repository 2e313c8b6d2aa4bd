//! `cargo xtask node status`.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Result;

use crate::cluster::Cluster;
use crate::node::leftovers;
use crate::place;
use crate::process::Process;
use crate::step::{Step, Steps};

/// Prints what runs, where its kubeconfig is, and how much memory it takes.
pub fn status() -> Result<()> {
    // The reader may close the pipe early.
    std::io::stdout().write_all(text()?.as_bytes()).ok();
    Ok(())
}

fn text() -> Result<String> {
    let kubectl = place::cache()?.join("bin/kubectl");
    let mut text = String::new();
    writeln!(text, "kubectl       {}", kubectl.display())?;
    for mut cluster in [Cluster::node()?, Cluster::control_plane()?] {
        cluster.state = cluster.state_in_use().unwrap_or(cluster.state);
        let daemons = daemons(&cluster);
        if daemons.is_empty() {
            writeln!(text, "{:<13} not running", cluster.name)?;
            continue;
        }
        writeln!(text, "{:<13} {}", cluster.name, cluster.server())?;
        writeln!(text, "  kubeconfig  {}", cluster.kubeconfig().display())?;
        writeln!(text, "  logs        {}", cluster.state.join("logs").display())?;
        let mut total = 0;
        for (name, process) in &daemons {
            total += process.resident();
            writeln!(text, "  {name:<26} {:>7} {:>6} MiB", process.pid, mebibytes(process.resident()))?;
        }
        let shims = leftovers::shims(&cluster);
        if !shims.is_empty() {
            let resident = shims.iter().map(Process::resident).sum();
            total += resident;
            writeln!(text, "  {:<26} {:>7} {:>6} MiB", "shims", shims.len(), mebibytes(resident))?;
        }
        writeln!(text, "  {:<26} {:>7} {:>6} MiB, without the pods", "total", "", mebibytes(total))?;
        if cluster.name == "node" {
            text += &Steps::quiet("node-status", |step| summary(step, &kubectl, &cluster))?;
        }
    }
    Ok(text)
}

fn summary(step: &Step, kubectl: &Path, cluster: &Cluster) -> Result<String> {
    let mut text = String::new();
    for what in [&["nodes"][..], &["pods", "--all-namespaces"]] {
        let get = step.command(kubectl).arg("--kubeconfig").arg(cluster.kubeconfig());
        writeln!(text, "{}", get.args(["get", "--request-timeout=5s"]).args(what).read()?.trim_end())?;
    }
    Ok(text)
}

/// The daemons that run, told by their pid files.
fn daemons(cluster: &Cluster) -> Vec<(String, Process)> {
    let files = fs::read_dir(&cluster.run).into_iter().flatten().flatten();
    let names = files.filter_map(|file| file.file_name().to_str()?.strip_suffix(".pid").map(str::to_owned));
    let mut daemons: Vec<_> =
        names.filter_map(|name| Some((name.clone(), Process::in_pid_file(&cluster.run, &name)?))).collect();
    daemons.sort_by(|one, other| one.0.cmp(&other.0));
    daemons
}

fn mebibytes(bytes: u64) -> u64 {
    bytes >> 20
}
