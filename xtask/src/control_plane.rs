//! etcd, the API server and its controllers: the programs, their keys and arguments.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::certificates::{self, Authority, Subject};
use crate::cluster::{API_SERVICE, Cluster, SERVICE_RANGE};
use crate::go_module::GoModule;
use crate::kubectl::Kubectl;
use crate::place;
use crate::process::{self, Daemon};
use crate::step::{Step, Steps};
use crate::wait;

const READY_WITHIN: Duration = Duration::from_secs(120);
/// The daemon of Kubernetes' own controllers.
pub const CONTROLLER_MANAGER: &str = "kube-controller-manager";
/// Open watches keep an API server from ending.
const STOPS_WITHIN: Duration = Duration::from_secs(4);

/// The directories of the built programs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The directory with etcd.
    pub etcd: PathBuf,
    /// The directory with the programs of Kubernetes.
    pub kubernetes: PathBuf,
}

/// Builds etcd and the programs of Kubernetes, kubectl included.
pub fn build(steps: &mut Steps) -> Result<Programs> {
    let folder = place::workspace().join("deploy/node");
    let etcd = GoModule::new("etcd", folder.join("etcd"), &["etcd"]).build(steps)?;
    let mut kubernetes = GoModule::new(
        "kubernetes",
        folder.join("kubernetes"),
        &["kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet"],
    );
    // Without it, the programs report version v0.0.0, which clients and controllers treat as older than any other.
    let version = kubernetes.version_of("k8s.io/kubernetes")?;
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    for (variable, value) in
        [("gitVersion", version.as_str()), ("gitMajor", major), ("gitMinor", minor), ("gitTreeState", "clean")]
    {
        kubernetes.set.push(format!("k8s.io/component-base/version.{variable}={value}"));
    }
    Ok(Programs { etcd, kubernetes: kubernetes.build(steps)? })
}

/// The daemons of the control plane in the order of their start; missing keys are created.
pub fn daemons(cluster: &Cluster, programs: &Programs) -> Result<Vec<Daemon>> {
    let authority = Authority::open(&cluster.keys(), "cluster-authority")?;
    authority.kubeconfig(
        &cluster.kubeconfig(),
        &cluster.server(),
        &format!("temporal-stack-{}", cluster.name),
        &Subject { name: "temporal-stack-admin", group: Some("system:masters"), ..Subject::default() },
    )?;
    Ok(vec![
        etcd(cluster, &programs.etcd)?,
        api_server(cluster, &programs.kubernetes, &authority)?,
        controller_manager(cluster, &programs.kubernetes, &authority)?,
    ])
}

/// Starts daemons that do not run as configured, waits until the API answers, and returns whether any was started.
pub fn start(step: &Step, cluster: &Cluster, daemons: &[Daemon], kubectl: &Kubectl) -> Result<bool> {
    let started = start_daemons(step, cluster, daemons)?;
    wait::until(step, "the API server is ready", daemons, READY_WITHIN, || {
        kubectl.command(step).args(["get", "--raw", "/readyz", "--request-timeout=5s"]).succeeds()
    })?;
    // The controller manager creates it.
    if daemons.iter().any(|daemon| daemon.name == CONTROLLER_MANAGER) {
        wait::until(step, "the default service account exists", daemons, READY_WITHIN, || {
            kubectl.command(step).args(["get", "serviceaccount", "default", "--request-timeout=5s"]).succeeds()
        })?;
    }
    Ok(started)
}

/// Starts the daemons that do not run as configured, in order, and returns whether there were any.
pub fn start_daemons(step: &Step, cluster: &Cluster, daemons: &[Daemon]) -> Result<bool> {
    let wanted: Vec<&Daemon> = daemons.iter().filter(|daemon| !daemon.runs_as_wanted()).collect();
    // In reverse order: an API server without its etcd, for instance, takes long to end.
    for daemon in wanted.iter().rev() {
        daemon.stop(STOPS_WITHIN)?;
        process::end(&cluster.processes_of(daemon.name), STOPS_WITHIN)?;
    }
    for daemon in &wanted {
        for (address, port) in ports(cluster, daemon.name) {
            cluster.check_port(address, port)?;
        }
        step.note(format!("starting {}", daemon.name));
        daemon.start()?;
    }
    Ok(!wanted.is_empty())
}

/// Stops the daemons of these names, one after the other; returns whether any ran.
pub fn stop(step: &Step, cluster: &Cluster, names: &[&'static str]) -> Result<bool> {
    let mut ran = false;
    for name in names {
        step.note(format!("stopping {name}"));
        let processes = cluster.processes_of(name);
        ran |= !processes.is_empty();
        process::end(&processes, STOPS_WITHIN)?;
        // The pid file alone identifies the daemon.
        ran |= cluster.daemon(name, PathBuf::new(), Vec::new()).stop(STOPS_WITHIN)?;
    }
    Ok(ran)
}

fn ports(cluster: &Cluster, daemon: &str) -> Vec<(Ipv4Addr, u16)> {
    let local = Ipv4Addr::LOCALHOST;
    match daemon {
        "etcd" => vec![(local, cluster.etcd_ports.0), (local, cluster.etcd_ports.1)],
        "kube-apiserver" => vec![(cluster.address, cluster.api_port)],
        "kube-controller-manager" => vec![(local, cluster.controller_manager_port)],
        "kube-scheduler" => vec![(local, 10259)],
        "kubelet" => vec![(cluster.address, 10250), (local, 10248)],
        "kube-proxy" => vec![(local, 10249), (local, 10256)],
        _ => Vec::new(),
    }
}

fn etcd(cluster: &Cluster, programs: &Path) -> Result<Daemon> {
    let authority = Authority::open(&cluster.keys(), "etcd-authority")?;
    let server =
        Subject { name: "etcd", hosts: &["localhost"], addresses: &[Ipv4Addr::LOCALHOST], ..Subject::default() };
    let (certificate, key) = authority.issue("etcd", &server)?;
    let (certificate, key, ca) = (certificate.display(), key.display(), authority.certificate());
    let (client, peer) = cluster.etcd_ports;
    let (client, peer) = (format!("https://127.0.0.1:{client}"), format!("https://127.0.0.1:{peer}"));
    let mut args = vec![
        "--name=local".to_owned(),
        format!("--data-dir={}", cluster.state.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=local={peer}"),
        "--client-cert-auth".to_owned(),
        "--peer-client-cert-auth".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    for whose in ["", "peer-"] {
        args.push(format!("--{whose}trusted-ca-file={}", ca.display()));
        args.push(format!("--{whose}cert-file={certificate}"));
        args.push(format!("--{whose}key-file={key}"));
    }
    if cluster.throwaway {
        args.push("--unsafe-no-fsync".to_owned());
    }
    Ok(cluster.daemon("etcd", programs.join("etcd"), args))
}

fn api_server(cluster: &Cluster, programs: &Path, authority: &Authority) -> Result<Daemon> {
    let etcd = Authority::open(&cluster.keys(), "etcd-authority")?;
    let (etcd_certificate, etcd_key) =
        etcd.issue("etcd-client", &Subject { name: "kube-apiserver", ..Subject::default() })?;
    let server = Subject {
        name: "kube-apiserver",
        hosts: &[
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ],
        addresses: &[cluster.address, API_SERVICE],
        ..Subject::default()
    };
    let (certificate, key) = authority.issue("kube-apiserver", &server)?;
    let to_kubelet =
        Subject { name: "kube-apiserver-kubelet-client", group: Some("system:masters"), ..Subject::default() };
    let (kubelet_certificate, kubelet_key) = authority.issue("kubelet-client", &to_kubelet)?;
    let (signing_key, public_key) = certificates::signing_key(&cluster.keys())?;
    let ca = authority.certificate();
    let mut args = vec![
        format!("--etcd-servers=https://127.0.0.1:{}", cluster.etcd_ports.0),
        format!("--etcd-cafile={}", etcd.certificate().display()),
        format!("--etcd-certfile={}", etcd_certificate.display()),
        format!("--etcd-keyfile={}", etcd_key.display()),
        format!("--bind-address={}", cluster.address),
        format!("--advertise-address={}", cluster.address),
        format!("--secure-port={}", cluster.api_port),
        format!("--tls-cert-file={}", certificate.display()),
        format!("--tls-private-key-file={}", key.display()),
        format!("--client-ca-file={}", ca.display()),
        format!("--kubelet-certificate-authority={}", ca.display()),
        format!("--kubelet-client-certificate={}", kubelet_certificate.display()),
        format!("--kubelet-client-key={}", kubelet_key.display()),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        format!("--service-account-key-file={}", public_key.display()),
        format!("--service-account-signing-key-file={}", signing_key.display()),
        format!("--service-cluster-ip-range={SERVICE_RANGE}"),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--profiling=false".to_owned(),
    ];
    if cluster.address.is_loopback() {
        // A Service's endpoint may not be a loopback address, and without a node it is not used.
        args.push("--endpoint-reconciler-type=none".to_owned());
    }
    Ok(cluster.daemon("kube-apiserver", programs.join("kube-apiserver"), args))
}

fn controller_manager(cluster: &Cluster, programs: &Path, authority: &Authority) -> Result<Daemon> {
    let kubeconfig = component(cluster, authority, "kube-controller-manager", "system:kube-controller-manager", None)?;
    let (signing_key, _) = certificates::signing_key(&cluster.keys())?;
    let args = vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", cluster.controller_manager_port),
        // This keeps it from creating the default one, outside our directories.
        format!("--flex-volume-plugin-dir={}", cluster.state.join("volume-plugins").display()),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials=true".to_owned(),
        format!("--service-account-private-key-file={}", signing_key.display()),
        format!("--root-ca-file={}", authority.certificate().display()),
        format!("--cluster-signing-cert-file={}", authority.certificate().display()),
        format!("--cluster-signing-key-file={}", authority.key().display()),
        // The defaults (20 and 30 per second) make deleting many objects slow.
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
        "--profiling=false".to_owned(),
    ];
    Ok(cluster.daemon(CONTROLLER_MANAGER, programs.join("kube-controller-manager"), args))
}

/// The kubeconfig of a component of Kubernetes that is a client of the API server.
pub fn component(
    cluster: &Cluster,
    authority: &Authority,
    file: &str,
    name: &str,
    group: Option<&str>,
) -> Result<PathBuf> {
    let path = cluster.keys().join(format!("{file}.kubeconfig"));
    let subject = Subject { name, group, ..Subject::default() };
    authority.kubeconfig(&path, &cluster.server(), cluster.name, &subject)?;
    Ok(path)
}
