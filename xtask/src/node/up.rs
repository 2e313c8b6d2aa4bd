//! `cargo xtask node up`.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::cluster::Cluster;
use crate::control_plane::{self, Programs};
use crate::kubectl::Kubectl;
use crate::machine::{self, Needed};
use crate::node::{cgroups, containerd, daemons, leftovers, network, own_images, settings};
use crate::process::Daemon;
use crate::step::{Step, Steps};
use crate::{go_module, wait};

/// The packages that a node needs, besides those for building it.
const NEEDED: &[Needed] = &[
    Needed { program: "containerd", package: "containerd" },
    Needed { program: "ctr", package: "containerd" },
    Needed { program: "runc", package: "runc" },
    Needed { program: "iptables", package: "iptables" },
    Needed { program: "ip", package: "iproute2" },
    Needed { program: "mount", package: "mount" },
    Needed { program: "buildah", package: "buildah" },
    // By its list of files: the other package's program has the same name, and is not static.
    Needed { program: "/var/lib/dpkg/info/busybox-static.list", package: "busybox-static" },
];
const READY_WITHIN: Duration = Duration::from_secs(180);
const MANIFESTS: &[&str] = &["coredns.yaml", "local-path-provisioner.yaml"];
const DEPLOYMENTS: &[(&str, &str)] = &[("kube-system", "coredns"), ("local-path-storage", "local-path-provisioner")];
/// The ConfigMap with a key of the manifests that were applied last.
const APPLIED: &str = "temporal-stack-node";
/// As in `deploy/node/coredns.yaml`.
const DNS: ([u8; 4], u16) = ([10, 96, 0, 10], 53);

/// Starts the node, or repairs it, and returns the administrator's kubeconfig.
pub fn up(yes: bool) -> Result<PathBuf> {
    machine::supports_a_node()?;
    let cluster = Cluster::node()?;
    let mut steps = Steps::new("node-up")?;
    let packages = missing_packages();
    let mut changes: Vec<String> = packages.iter().map(|package| format!("install {package}")).collect();
    changes.extend(network::changes());
    machine::agree("this machine", &changes, yes)?;
    if !packages.is_empty() {
        steps.run("install packages", |step| machine::install(step, &packages))?;
    }
    let programs = control_plane::build(&mut steps)?;
    let images = own_images::build(&mut steps)?;
    go_module::forget_build_cache()?;
    let _lock = cluster.lock()?;
    start(&mut steps, &cluster, &programs, &images)?;
    steps.finish();
    Ok(cluster.kubeconfig())
}

fn start(steps: &mut Steps, cluster: &Cluster, programs: &Programs, images: &[PathBuf]) -> Result<()> {
    let kubectl = Kubectl::new(cluster, programs);
    let control_plane = steps.run("remove leftovers", |step| {
        clear(step, cluster)?;
        control_plane::daemons(cluster, programs)
    })?;
    let containerd = steps.run("start containerd", |step| {
        let daemon = containerd::daemon(cluster)?;
        if !control_plane::start_daemons(step, cluster, std::slice::from_ref(&daemon))? {
            step.nothing_to_do();
        }
        containerd::wait_until_ready(step, cluster, &daemon)?;
        for image in images {
            if containerd::import(step, image)? {
                step.changed();
            }
        }
        Ok(daemon)
    })?;
    steps.run("start the control plane", |step| {
        if !control_plane::start(step, cluster, &control_plane, &kubectl)? {
            step.nothing_to_do();
        }
        Ok(())
    })?;
    let mut daemons = daemons::daemons(cluster, programs)?;
    steps.run("start the kubelet", |step| {
        let before = heartbeat(step, &kubectl)?;
        let started = control_plane::start_daemons(step, cluster, &daemons)?;
        if !started {
            step.nothing_to_do();
        }
        daemons.push(containerd);
        daemons.extend(control_plane);
        wait::until(step, "the node is ready", &daemons, READY_WITHIN, || {
            // The state in the API may be older than the start, until the kubelet reports again.
            let now = heartbeat(step, &kubectl)?;
            Ok(now.ends_with(" True") && (!started || now != before))
        })
    })?;
    steps.run("start DNS and volumes", |step| addons(step, cluster, &kubectl, &daemons))
}

fn missing_packages() -> Vec<&'static str> {
    let needed: Vec<Needed> = NEEDED.iter().chain(go_module::NEEDED).copied().collect();
    let mut packages = machine::missing(&needed);
    if machine::cni_plugins().is_none() {
        packages.push("containernetworking-plugins");
    }
    if network::lacks_module() && machine::find("modprobe").is_none() {
        packages.push("kmod");
    }
    packages
}

/// Removes the leftovers of a killed node, and creates the network and the control groups.
fn clear(step: &mut Step, cluster: &Cluster) -> Result<()> {
    leftovers::claim(step, cluster)?;
    if let Some(other) = leftovers::another_kubernetes(cluster) {
        bail!(
            "another Kubernetes running on this machine: process {}, {}; stop it, or use it: --context NAME",
            other.pid,
            other.args().first().cloned().unwrap_or_default()
        );
    }
    if containerd::daemon(cluster)?.process().is_none() && !leftovers::can_adopt(cluster) {
        let found = leftovers::find(step, cluster)?;
        for leftover in &found {
            step.log(leftover);
        }
        if found.is_empty() && network::changes().is_empty() {
            step.nothing_to_do();
        }
        leftovers::sweep(step, cluster)?;
    } else {
        step.nothing_to_do();
    }
    cluster.claim()?;
    network::set_up(step)?;
    cgroups::make()?;
    settings::write_network(cluster)?;
    let volumes = settings::volumes(cluster);
    fs::create_dir_all(&volumes).with_context(|| format!("cannot create {}", volumes.display()))
}

/// When the kubelet last reported, and whether the node is ready: empty before its first report.
fn heartbeat(step: &Step, kubectl: &Kubectl) -> Result<String> {
    let condition = "{range .status.conditions[?(@.type=='Ready')]}{.lastHeartbeatTime} {.status}{end}";
    let node = kubectl.command(step).args(["get", "node", daemons::NODE_NAME, "--ignore-not-found", "-o"]);
    node.arg(format!("jsonpath={condition}")).read()
}

fn addons(step: &mut Step, cluster: &Cluster, kubectl: &Kubectl, daemons: &[Daemon]) -> Result<()> {
    let manifests =
        MANIFESTS.iter().map(|name| settings::read(cluster, name)).collect::<Result<Vec<_>>>()?.join("---\n");
    own_images::check_names(&manifests)?;
    let key = settings::key(&manifests);
    let applied = kubectl.command(step).args(["get", "configmap", "--namespace=kube-system", "--ignore-not-found"]);
    let applied = applied.args([APPLIED, "-o", "jsonpath={.data.manifests}"]).read()?;
    if applied == key && are_available(step, kubectl)? {
        step.nothing_to_do();
    } else {
        let record = format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {APPLIED}, namespace: kube-system}}, data: {{manifests: \"{key}\"}}}}"
        );
        let apply = kubectl.command(step).args(["apply", "--server-side", "--force-conflicts", "--filename=-"]);
        apply.input(format!("{manifests}---\n{record}\n")).run()?;
    }
    wait::until(step, "the deployments are available", daemons, READY_WITHIN, || are_available(step, kubectl))?;
    wait::until(step, "DNS answers", daemons, READY_WITHIN, || {
        Ok(TcpStream::connect_timeout(&SocketAddr::from(DNS), Duration::from_secs(1)).is_ok())
    })
}

fn are_available(step: &Step, kubectl: &Kubectl) -> Result<bool> {
    for (namespace, deployment) in DEPLOYMENTS {
        let status = kubectl.command(step).args(["rollout", "status", "--timeout=1s", "--namespace", namespace]);
        if !status.args(["deployment", deployment]).succeeds()? {
            return Ok(false);
        }
    }
    Ok(true)
}
