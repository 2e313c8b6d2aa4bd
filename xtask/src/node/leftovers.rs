//! The leftovers of a killed node, and their removal: the same for `down` and for a start after a crash.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::cluster::Cluster;
use crate::node::{cgroups, mounts, network};
use crate::process::{self, Process};
use crate::step::{Step, Steps};

/// The programs of another Kubernetes.
const OF_ANOTHER: &[&str] = &["kubelet", "kube-proxy", "k3s", "k3s-server", "k0s", "rke2"];
/// Directories of the machine that containerd and CNI use regardless of their settings; our files in them have our name.
const SHIM_SOCKETS: &str = "/run/containerd/s";
const CNI_RESULTS: &str = "/var/lib/cni/results";
/// The kubelet creates this one regardless of its root directory.
const DEVICE_PLUGINS: &str = "/var/lib/kubelet/device-plugins";
const LOG_LINKS: &str = "/var/log/containers";

/// The remains of the node besides its data, in words; empty after a `down`.
pub fn leftovers() -> Result<Vec<String>> {
    let cluster = Cluster::node()?;
    Steps::quiet("node-leftovers", |step| find(step, &cluster))
}

/// The processes, mounts, links, rules, control groups and files of a node, in words.
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

/// Removes all of them. The node's daemons have been stopped in order, or are dead.
pub fn sweep(step: &Step, cluster: &Cluster) -> Result<()> {
    step.note("ending leftover processes");
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
        // Only an empty one is removed.
        fs::remove_dir(dir).ok();
    }
    mounts::remove_dir(&cluster.run)
}

/// Claims the node's addresses for this state directory, and removes the leftovers of a node that was killed with another one.
pub fn claim(step: &Step, cluster: &Cluster) -> Result<()> {
    if let Some(state) = cluster.claim()? {
        step.note(format!("removing leftovers of the killed node in {}", state.display()));
        sweep(step, &Cluster { state, ..cluster.clone() })?;
        cluster.claim()?;
    }
    Ok(())
}

/// Whether containers run that a restarted containerd would find again.
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

/// The shims of the node's containers: one per pod.
pub fn shims(cluster: &Cluster) -> Vec<Process> {
    Process::all().into_iter().filter(|process| is_shim(process, cluster)).collect()
}

/// A process of another Kubernetes in this network namespace.
pub fn another_kubernetes(cluster: &Cluster) -> Option<Process> {
    let here = fs::read_link("/proc/self/ns/net").ok()?;
    Process::all().into_iter().find(|process| {
        let name = fs::read_to_string(format!("/proc/{}/comm", process.pid)).unwrap_or_default();
        OF_ANOTHER.contains(&name.trim())
            && fs::read_link(format!("/proc/{}/ns/net", process.pid)).is_ok_and(|namespace| namespace == here)
            && cluster.daemon_of(process).is_none()
    })
}

/// The node's daemons, shims and containers, identified by their arguments and control groups.
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
    if is_same_link(Path::new("/proc/self/ns/net"), Path::new("/proc/1/ns/net")) {
        files.extend(dead_sockets(Path::new(SHIM_SOCKETS)));
    }
    files
}

/// Whether two links of `/proc` are to the same namespace; not if one of them cannot be read.
fn is_same_link(one: &Path, other: &Path) -> bool {
    fs::read_link(one).is_ok_and(|one| fs::read_link(other).is_ok_and(|other| one == other))
}

/// The name of a shim's socket does not identify its owner; a socket without a listener is useless. The system lists those of this
/// network namespace only: in another one than the machine's, the sockets of its containerd would seem dead.
fn dead_sockets(dir: &Path) -> Vec<PathBuf> {
    let Ok(listening) = fs::read_to_string("/proc/net/unix") else {
        return Vec::new();
    };
    let listening: BTreeSet<&str> = listening.lines().filter_map(|line| line.split(' ').next_back()).collect();
    let mut sockets = entries(dir);
    sockets.retain(|socket| socket.to_str().is_some_and(|socket| !listening.contains(socket)));
    sockets
}

/// The directory with containerd's running containers.
fn bundles(cluster: &Cluster) -> PathBuf {
    cluster.run.join("containerd/io.containerd.runtime.v2.task/k8s.io")
}

/// CNI's records of our network, and of the loopback of the same pods.
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
    fn namespaces_are_compared_by_their_links() {
        let dir = std::env::temp_dir().join(format!("xtask-links-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let link = |name: &str, target: &str| {
            std::os::unix::fs::symlink(target, dir.join(name)).unwrap();
            dir.join(name)
        };
        let (own, first, other) = (link("own", "net:[1]"), link("first", "net:[1]"), link("other", "net:[2]"));
        assert!(is_same_link(&own, &first) && !is_same_link(&own, &other));
        assert!(!is_same_link(&own, &dir.join("absent")) && !is_same_link(&dir.join("absent"), &dir.join("absent")));
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn socket_without_a_listener_is_dead() {
        let dir = std::env::temp_dir().join(format!("xtask-sockets-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let listening = UnixListener::bind(dir.join("listening")).unwrap();
        drop(UnixListener::bind(dir.join("dead")).unwrap());
        assert_eq!(dead_sockets(&dir), [dir.join("dead")]);
        drop(listening);
        fs::remove_dir_all(&dir).unwrap();
    }
}
