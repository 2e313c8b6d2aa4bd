//! `cargo xtask node down`.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::cluster::Cluster;
use crate::node::{cgroups, containerd, leftovers, mounts, settings};
use crate::process;
use crate::step::Steps;
use crate::{control_plane, machine};

/// How long the pods' processes may take to end.
const PODS_END_WITHIN: Duration = Duration::from_secs(10);

/// Stops the node and leaves only its data, or nothing, after asking.
pub fn down(delete_data: bool, yes: bool) -> Result<()> {
    machine::supports_a_node()?;
    let cluster = Cluster::node()?;
    if delete_data && cluster.state.exists() {
        machine::agree("the local node", &["delete all its objects and volumes".to_owned()], yes)?;
    }
    let mut steps = Steps::new("node-down")?;
    let _lock = cluster.lock()?;
    steps.run("stop the pods", |step| {
        leftovers::claim(step, &cluster)?;
        // The kubelet first: it would restart the containers.
        let ran = control_plane::stop(step, &cluster, &["kubelet", "kube-proxy", "kube-scheduler"])?;
        step.note("ending the pods");
        let pods = cgroups::processes();
        process::end(&pods, PODS_END_WITHIN)?;
        containerd::forget_containers(step, &cluster)?;
        if !ran && pods.is_empty() {
            step.nothing_to_do();
        }
        Ok(())
    })?;
    steps.run("stop the control plane", |step| {
        let daemons = ["kube-controller-manager", "kube-apiserver", "etcd", "containerd"];
        if !control_plane::stop(step, &cluster, &daemons)? {
            step.nothing_to_do();
        }
        Ok(())
    })?;
    steps.run("remove leftovers", |step| {
        leftovers::sweep(step, &cluster)?;
        let remaining = leftovers::find(step, &cluster)?;
        if !remaining.is_empty() {
            bail!("leftovers not removed: {}; remove them by hand, or run the command again", remaining.join(", "));
        }
        Ok(())
    })?;
    if delete_data {
        steps.run("delete the data", |_| {
            let kept = [cluster.state.join("etcd"), cluster.state.join("kubelet"), cluster.state.join("pod-logs")];
            kept.iter().chain([&settings::volumes(&cluster)]).try_for_each(|dir| mounts::remove_dir(dir))
        })?;
    }
    steps.finish();
    Ok(())
}
