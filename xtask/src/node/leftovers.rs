//! What a node leaves behind when it is killed, and its removal: the same for `down` and for a start after a crash.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::cluster::Cluster;
use crate::node::{cgroups, mounts, network};
use crate::process::{self, Process};
use crate::step::{Step, Steps};

/// The programs that tell another Kubernetes.
const OF_ANOTHER: &[&str] = &["kubelet", "kube-proxy", "k3s", "k3s-server", "k0s", "rke2"];
/// Directories of the machine that containerd and CNI use whatever they are told; ours in them is told by its name.
const SHIM_SOCKETS: &str = "/run/containerd/s";
const CNI_RESULTS: &str = "/var/lib/cni/results";
/// The kubelet makes this one whatever its root directory is.
const DEVICE_PLUGINS: &str = "/var/lib/kubelet/device-plugins";
const LOG_LINKS: &str = "/var/log/containers";

/// What there is of the node beyond the data it keeps, in words; nothing after a `down`.
pub fn leftovers() -> Result<Vec<String>> {
    let cluster = Cluster::node()?;
    Steps::quiet("node-leftovers", |step| find(step, &cluster))
}

/// The processes, mounts, links, rules, control groups and files that there are of a node, in words.
pub fn find(step: &Step, cluster: &Cluster) -> Result<Vec<String>> {
    let mut left: Vec<String> = processes(cluster)
        .iter()
        .map(|process| format!("process {} ({})", process.pid, process.args().first().cloned().unwrap_or_default()))
        .collect();
    left.extend(
        mounts::below(&[&cluster.state, &cluster.run])?.iter().map(|mount| format!("mount {}", mount.display())),
    );
    left.extend(network::leftovers(step, another_kubernetes(cluster).is_none())?);
    left.extend(cgroups::present().iter().map(|dir| format!("control group {}", dir.display())));
    left.extend(named_files(cluster).iter().map(|file| format!("file {}", file.display())));
    Ok(left)
}

/// Removes all of it. The node's daemons have been stopped in their order, or are dead anyway.
pub fn sweep(step: &Step, cluster: &Cluster) -> Result<()> {
    step.note("ending what still runs");
    process::end(&processes(cluster), Duration::ZERO)?;
    step.note("removing mounts, links, rules and control groups");
    mounts::remove(&[&cluster.state, &cluster.run])?;
    network::take_down(step, another_kubernetes(cluster).is_none())?;
    cgroups::remove();
    for file in named_files(cluster) {
        fs::remove_file(file)?;
    }
    if another_kubernetes(cluster).is_none() {
        fs::remove_file(Path::new(DEVICE_PLUGINS).join("kubelet.sock")).ok();
    }
    for dir in [
        SHIM_SOCKETS,
        "/run/containerd/fifo",
        "/run/containerd",
        CNI_RESULTS,
        "/var/lib/cni",
        DEVICE_PLUGINS,
        "/var/lib/kubelet",
        LOG_LINKS,
    ] {
        // Only an empty one goes.
        fs::remove_dir(dir).ok();
    }
    mounts::remove_dir(&cluster.run)
}

/// Takes the node's addresses for this state directory, and clears away a node that was killed with another one.
pub fn claim(step: &Step, cluster: &Cluster) -> Result<()> {
    if let Some(state) = cluster.claim()? {
        step.note(format!("clearing away the killed node of {}", state.display()));
        sweep(step, &Cluster { state, ..cluster.clone() })?;
        cluster.claim()?;
    }
    Ok(())
}

/// Whether containers run that a containerd, started anew, would find again.
pub fn can_adopt(cluster: &Cluster) -> bool {
    let bundles = bundles(cluster);
    let is_known = |shim: &Process| {
        let args = shim.args();
        let id = args.iter().skip_while(|arg| *arg != "-id").nth(1);
        id.is_some_and(|id| bundles.join(id).join("address").is_file())
    };
    let shims = shims(cluster);
    !shims.is_empty() && shims.iter().all(is_known)
}

/// The keepers of the node's containers: one for a pod.
pub fn shims(cluster: &Cluster) -> Vec<Process> {
    Process::all().into_iter().filter(|process| is_shim(process, cluster)).collect()
}

/// A process of another Kubernetes in this network namespace.
pub fn another_kubernetes(cluster: &Cluster) -> Option<Process> {
    let here = fs::read_link("/proc/self/ns/net").ok()?;
    Process::all().into_iter().find(|process| {
        let name = fs::read_to_string(format!("/proc/{}/comm", process.pid)).unwrap_or_default();
        OF_ANOTHER.contains(&name.trim())
            && fs::read_link(format!("/proc/{}/ns/net", process.pid)).is_ok_and(|there| there == here)
            && cluster.daemon_of(process).is_none()
    })
}

/// The node's daemons, its containers' keepers and the containers, told by their arguments and control groups.
fn processes(cluster: &Cluster) -> Vec<Process> {
    let mut found = Process::all();
    found.retain(|process| cluster.daemon_of(process).is_some() || is_shim(process, cluster));
    found.extend(cgroups::processes());
    found.sort_unstable_by_key(|process| process.pid);
    found.dedup();
    found
}

/// A shim, which keeps a pod's containers, names the socket of the containerd it belongs to.
fn is_shim(process: &Process, cluster: &Cluster) -> bool {
    let args = process.args();
    let socket = cluster.run.join("containerd.sock");
    args.first().is_some_and(|program| program.contains("containerd-shim"))
        && args.iter().any(|arg| Path::new(arg) == socket)
}

/// Our files in directories that are not ours.
fn named_files(cluster: &Cluster) -> Vec<PathBuf> {
    let mut files = cni_results();
    let mut links = entries(Path::new(LOG_LINKS));
    links.retain(|link| fs::read_link(link).is_ok_and(|target| target.starts_with(&cluster.state)));
    files.extend(links);
    files.extend(dead_sockets(Path::new(SHIM_SOCKETS)));
    files
}

/// A shim's socket has a name that tells nothing; one that nobody listens on any more is of no use to anybody.
fn dead_sockets(dir: &Path) -> Vec<PathBuf> {
    let Ok(listening) = fs::read_to_string("/proc/net/unix") else {
        return Vec::new();
    };
    let listening: BTreeSet<&str> = listening.lines().filter_map(|line| line.split(' ').next_back()).collect();
    let mut sockets = entries(dir);
    sockets.retain(|socket| socket.to_str().is_some_and(|socket| !listening.contains(socket)));
    sockets
}

/// Where containerd notes which containers it runs.
fn bundles(cluster: &Cluster) -> PathBuf {
    cluster.run.join("containerd/io.containerd.runtime.v2.task/k8s.io")
}

/// What CNI remembers of our network, and of the loopback of the same pods.
fn cni_results() -> Vec<PathBuf> {
    let name = |file: &Path| file.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let mut files = entries(Path::new(CNI_RESULTS));
    let ours = |file: &PathBuf| Some(name(file).strip_prefix("temporal-stack-")?.split('-').next()?.to_owned());
    let pods: Vec<String> = files.iter().filter_map(ours).collect();
    files.retain(|file| pods.iter().any(|pod| name(file).contains(pod)));
    files
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_socket_is_dead_once_nobody_listens() {
        let dir = std::env::temp_dir().join(format!("xtask-sockets-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let listening = UnixListener::bind(dir.join("listening")).unwrap();
        drop(UnixListener::bind(dir.join("dead")).unwrap());
        assert_eq!(dead_sockets(&dir), [dir.join("dead")]);
        drop(listening);
        fs::remove_dir_all(&dir).unwrap();
    }
}
