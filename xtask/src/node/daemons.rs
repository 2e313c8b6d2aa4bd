//! The daemons of a node besides the control plane: the scheduler, the kubelet and kube-proxy.

use std::path::Path;

use anyhow::Result;

use crate::certificates::{Authority, Subject};
use crate::cluster::{Cluster, NODE_ADDRESS};
use crate::control_plane::{Programs, component};
use crate::node::network::POD_RANGE;
use crate::node::settings;
use crate::process::Daemon;

/// The node's name. Not the machine's, which may change: volumes belong to a node by its name.
pub const NODE_NAME: &str = "local";

/// The daemons in the order of their start; their keys and settings are written.
pub fn daemons(cluster: &Cluster, programs: &Programs) -> Result<Vec<Daemon>> {
    let authority = Authority::open(&cluster.keys(), "cluster-authority")?;
    Ok(vec![
        scheduler(cluster, &programs.kubernetes, &authority)?,
        kubelet(cluster, &programs.kubernetes, &authority)?,
        proxy(cluster, &programs.kubernetes, &authority)?,
    ])
}

fn scheduler(cluster: &Cluster, programs: &Path, authority: &Authority) -> Result<Daemon> {
    let kubeconfig = component(cluster, authority, "kube-scheduler", "system:kube-scheduler", None)?;
    let args = vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        "--bind-address=127.0.0.1".to_owned(),
        "--leader-elect=false".to_owned(),
        "--profiling=false".to_owned(),
    ];
    Ok(cluster.daemon("kube-scheduler", programs.join("kube-scheduler"), args))
}

fn kubelet(cluster: &Cluster, programs: &Path, authority: &Authority) -> Result<Daemon> {
    let user = format!("system:node:{NODE_NAME}");
    let kubeconfig = component(cluster, authority, "kubelet", &user, Some("system:nodes"))?;
    let server = Subject { name: &user, hosts: &[NODE_NAME], addresses: &[NODE_ADDRESS], ..Subject::default() };
    authority.issue("kubelet", &server)?;
    let args = vec![
        format!("--config={}", settings::write(cluster, "kubelet.yaml")?.display()),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--root-dir={}", cluster.state.join("kubelet").display()),
        format!("--cert-dir={}", cluster.keys().display()),
        format!("--hostname-override={NODE_NAME}"),
        format!("--node-ip={NODE_ADDRESS}"),
    ];
    Ok(cluster.daemon("kubelet", programs.join("kubelet"), args))
}

fn proxy(cluster: &Cluster, programs: &Path, authority: &Authority) -> Result<Daemon> {
    let kubeconfig = component(cluster, authority, "kube-proxy", "system:kube-proxy", None)?;
    let args = vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--hostname-override={NODE_NAME}"),
        format!("--bind-address={NODE_ADDRESS}"),
        "--metrics-bind-address=127.0.0.1:10249".to_owned(),
        "--healthz-bind-address=127.0.0.1:10256".to_owned(),
        format!("--cluster-cidr={POD_RANGE}"),
        // A NodePort is opened only on the bridge's address, not on every address of the machine.
        "--nodeport-addresses=primary".to_owned(),
        "--proxy-mode=iptables".to_owned(),
        "--iptables-min-sync-period=100ms".to_owned(),
        // Zero leaves the machine's own limits as they are.
        "--conntrack-max-per-core=0".to_owned(),
        "--conntrack-tcp-timeout-established=0".to_owned(),
        "--conntrack-tcp-timeout-close-wait=0".to_owned(),
    ];
    Ok(cluster.daemon("kube-proxy", programs.join("kube-proxy"), args))
}
