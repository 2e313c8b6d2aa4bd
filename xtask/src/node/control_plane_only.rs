//! `cargo xtask node up --control-plane` and its `down`: etcd, the API server and its controllers, without a node; for
//! measurements without the controllers, too.

use std::path::PathBuf;

use anyhow::Result;

use crate::cluster::Cluster;
use crate::control_plane::CONTROLLER_MANAGER;
use crate::kubectl::Kubectl;
use crate::node::mounts;
use crate::step::Steps;
use crate::{control_plane, go_module, machine};

/// Whether Kubernetes' own controllers run: they create pods, claims and service accounts, and use a part of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controllers {
    /// They run.
    Running,
    /// They do not run: the API server has only the objects of its clients.
    Absent,
}

/// Starts etcd and the API server, with or without its controllers, without a node; returns the administrator's kubeconfig.
pub fn up(yes: bool, controllers: Controllers) -> Result<PathBuf> {
    let cluster = Cluster::control_plane()?;
    let mut steps = Steps::new("control-plane-up")?;
    let packages = machine::missing(go_module::NEEDED);
    machine::agree(
        "this machine",
        &packages.iter().map(|package| format!("install {package}")).collect::<Vec<_>>(),
        yes,
    )?;
    if !packages.is_empty() {
        steps.run("install packages", |step| machine::install(step, &packages))?;
    }
    let programs = control_plane::build(&mut steps)?;
    go_module::forget_build_cache()?;
    let _lock = cluster.lock()?;
    steps.run("start the control plane", |step| {
        cluster.claim()?;
        let mut daemons = control_plane::daemons(&cluster, &programs)?;
        if controllers == Controllers::Absent {
            control_plane::stop(step, &cluster, &[CONTROLLER_MANAGER])?;
            daemons.retain(|daemon| daemon.name != CONTROLLER_MANAGER);
        }
        if !control_plane::start(step, &cluster, &daemons, &Kubectl::new(&cluster, &programs))? {
            step.nothing_to_do();
        }
        Ok(())
    })?;
    steps.finish();
    Ok(cluster.kubeconfig())
}

/// Stops the control plane without a node and removes all its state.
pub fn down() -> Result<()> {
    let cluster = Cluster::control_plane()?;
    let mut steps = Steps::new("control-plane-down")?;
    let _lock = cluster.lock()?;
    steps.run("stop the control plane", |step| {
        let ran = control_plane::stop(step, &cluster, &[CONTROLLER_MANAGER, "kube-apiserver", "etcd"])?;
        if !ran && !cluster.state.exists() {
            step.nothing_to_do();
        }
        [&cluster.state, &cluster.run].into_iter().try_for_each(|dir| mounts::remove_dir(dir))
    })?;
    steps.finish();
    Ok(())
}
