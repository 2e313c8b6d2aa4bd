//! `cargo xtask node up --control-plane` and its `down`: etcd, the API server and its controllers, without a node.

use std::path::PathBuf;

use anyhow::Result;

use crate::cluster::Cluster;
use crate::kubectl::Kubectl;
use crate::node::mounts;
use crate::step::Steps;
use crate::{control_plane, go_module, machine};

/// Starts etcd, the API server and its controllers, without a node; returns the administrator's kubeconfig.
pub fn up(yes: bool) -> Result<PathBuf> {
    let cluster = Cluster::control_plane()?;
    let mut steps = Steps::new("control-plane-up")?;
    let packages = machine::missing(go_module::NEEDED);
    machine::agree(&packages.iter().map(|package| format!("install {package}")).collect::<Vec<_>>(), yes)?;
    if !packages.is_empty() {
        steps.run("install packages", |step| machine::install(step, &packages))?;
    }
    let programs = control_plane::build(&mut steps)?;
    go_module::forget_build_cache()?;
    let _lock = cluster.lock()?;
    steps.run("control plane", |step| {
        cluster.claim()?;
        let daemons = control_plane::daemons(&cluster, &programs)?;
        if !control_plane::start(step, &cluster, &daemons, &Kubectl::new(&cluster, &programs))? {
            step.nothing_to_do();
        }
        Ok(())
    })?;
    steps.finish();
    Ok(cluster.kubeconfig())
}

/// Stops the control plane without a node and removes all that it kept.
pub fn down() -> Result<()> {
    let cluster = Cluster::control_plane()?;
    let mut steps = Steps::new("control-plane-down")?;
    let _lock = cluster.lock()?;
    steps.run("stop the control plane", |step| {
        let ran = control_plane::stop(step, &cluster, &["kube-controller-manager", "kube-apiserver", "etcd"])?;
        if !ran && !cluster.state.exists() {
            step.nothing_to_do();
        }
        [&cluster.state, &cluster.run].into_iter().try_for_each(|dir| mounts::remove_dir(dir))
    })?;
    steps.finish();
    Ok(())
}
