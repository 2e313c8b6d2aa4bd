//! The two local clusters: a whole node, and a control plane alone for tests of the API, which may run beside it.

use std::fs::{self, File, TryLockError};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::place;
use crate::process::{Daemon, Process};

/// The node's own address, on its bridge: it does not depend on the machine's network, and is not reachable from outside.
pub const NODE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
/// The addresses of Services.
pub const SERVICE_RANGE: &str = "10.96.0.0/16";
/// The address of the Service `kubernetes`: the first of the range.
pub const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);

/// The daemons of both clusters.
const DAEMONS: &[&str] =
    &["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "containerd"];
/// The file with the state directory of a running cluster.
const OWNER: &str = "state-directory";
/// A killed program is visible for a moment longer.
const KILLED_WITHIN: Duration = Duration::from_millis(500);
/// A port is in use for a moment longer than its program.
const PORT_FREE_WITHIN: Duration = Duration::from_secs(2);

/// A cluster's directories, address and ports.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its name: of its context, and of its directories.
    pub name: &'static str,
    /// The directory of its state.
    pub state: PathBuf,
    /// Its pid files and sockets.
    pub run: PathBuf,
    /// The address of its API server.
    pub address: Ipv4Addr,
    /// Its API server's port.
    pub api_port: u16,
    /// etcd's ports, on the loopback address: for clients and for peers.
    pub etcd_ports: (u16, u16),
    /// The controller manager's port, on the loopback address.
    pub controller_manager_port: u16,
    /// Whether it is for tests, so that its data may be lost in a crash of the machine.
    pub throwaway: bool,
}

/// Held while a cluster is being changed, so that two runs do not change it at the same time.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Cluster {
    /// The cluster that has a node.
    pub fn node() -> Result<Self> {
        Ok(Self {
            name: "node",
            state: place::node()?.join("node"),
            run: place::run().join("node"),
            address: NODE_ADDRESS,
            api_port: 6443,
            etcd_ports: (2379, 2380),
            controller_manager_port: 10257,
            throwaway: false,
        })
    }

    /// The control plane without nodes.
    pub fn control_plane() -> Result<Self> {
        Ok(Self {
            name: "control-plane",
            state: place::node()?.join("control-plane"),
            run: place::run().join("control-plane"),
            address: Ipv4Addr::LOCALHOST,
            api_port: 16443,
            etcd_ports: (12379, 12380),
            controller_manager_port: 20257,
            throwaway: true,
        })
    }

    /// The kubeconfig of its administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.state.join("admin.kubeconfig")
    }

    /// The directory of its keys.
    pub fn keys(&self) -> PathBuf {
        self.state.join("keys")
    }

    /// Its API server's URL.
    pub fn server(&self) -> String {
        format!("https://{}:{}", self.address, self.api_port)
    }

    /// A daemon of this cluster.
    pub fn daemon(&self, name: &'static str, program: PathBuf, args: Vec<String>) -> Daemon {
        Daemon { name, program, args, run: self.run.clone(), logs: self.state.join("logs") }
    }

    /// Waits for other runs that change this cluster, and keeps later ones out.
    pub fn lock(&self) -> Result<Lock> {
        fs::create_dir_all(place::run()).with_context(|| format!("cannot create {}", place::run().display()))?;
        let path = place::run().join(format!("{}.lock", self.name));
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            eprintln!("waiting for another xtask that changes the {}", self.name);
            file.lock()?;
        }
        Ok(Lock(file))
    }

    /// Claims the cluster's addresses and sockets for this state directory. Fails while a cluster of another directory runs with
    /// them; returns the other directory if that cluster was killed.
    pub fn claim(&self) -> Result<Option<PathBuf>> {
        fs::create_dir_all(&self.run).with_context(|| format!("cannot create {}", self.run.display()))?;
        let previous = self.state_in_use().filter(|state| *state != self.state);
        let runs = || DAEMONS.iter().any(|name| Process::in_pid_file(&self.run, name).is_some());
        if let Some(other) = &previous
            && runs()
            && {
                std::thread::sleep(KILLED_WITHIN);
                runs()
            }
        {
            bail!(
                "{} of {} still running with the same addresses; stop it first, with TEMPORAL_STACK_NODE_DIR={}",
                self.name,
                other.display(),
                other.parent().unwrap_or(other).display()
            );
        }
        let owner = self.run.join(OWNER);
        let state = self.state.display().to_string();
        fs::write(&owner, state).with_context(|| format!("cannot write {}", owner.display()))?;
        Ok(previous)
    }

    /// The state directory that the cluster was last started with.
    pub fn state_in_use(&self) -> Option<PathBuf> {
        fs::read_to_string(self.run.join(OWNER)).ok().map(PathBuf::from)
    }

    /// The daemon of this cluster that a process is: one of their programs, with a file below the state directory among its
    /// arguments.
    pub fn daemon_of(&self, process: &Process) -> Option<&'static str> {
        let args = process.args();
        let program = Path::new(args.first()?).file_name()?;
        let name = DAEMONS.iter().find(|name| program == **name)?;
        let is_ours =
            |arg: &String| arg.split_once('=').is_some_and(|(_, value)| Path::new(value).starts_with(&self.state));
        args[1..].iter().any(is_ours).then_some(*name)
    }

    /// The processes of one of this cluster's daemons, including those without a pid file.
    pub fn processes_of(&self, name: &str) -> Vec<Process> {
        Process::all().into_iter().filter(|process| self.daemon_of(process) == Some(name)).collect()
    }

    /// Fails when another program listens on a port that this cluster is about to use.
    pub fn check_port(&self, address: Ipv4Addr, port: u16) -> Result<()> {
        let deadline = Instant::now() + PORT_FREE_WITHIN;
        loop {
            match TcpListener::bind((address, port)) {
                Ok(_) => return Ok(()),
                Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!(
                            "port {port} of {address} in use: the {} needs it; stop the program that listens there, or \
                             use the other Kubernetes of this machine: --context NAME",
                            self.name
                        )
                    });
                }
            }
        }
    }
}
