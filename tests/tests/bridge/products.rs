//! Real Kubos and IPFS Clusters, two peers on loopback addresses of their own.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Weak},
};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::process::Process;
use serde_json::{Value, json};
use tokio::{sync::Mutex, task::JoinSet, time::timeout};

use crate::call::call;

/// Names the folder with `ipfs` and `ipfs-cluster-service`.
const PROGRAMS: &str = "TEMPORAL_STACK_PROGRAMS";

/// The peers that tests of this program use together, as long as one of them does.
static SHARED: Mutex<Weak<Peers>> = Mutex::const_new(Weak::new());

/// Peers that make one cluster, until they are dropped.
pub(crate) struct Peers {
    peers: Vec<Peer>,
    /// After the processes that use it.
    _folder: Folder,
}

/// Kubo and IPFS Cluster on one address.
struct Peer {
    address: Ipv4Addr,
    cluster: Process,
    kubo: Option<Process>,
}

impl Peers {
    /// Those that all tests use.
    pub(crate) async fn shared() -> Result<Arc<Self>> {
        let mut shared = SHARED.lock().await;
        if let Some(peers) = shared.upgrade() {
            return Ok(peers);
        }
        let peers = Arc::new(Self::start(2).await?);
        *shared = Arc::downgrade(&peers);
        Ok(peers)
    }

    /// Peers of one's own; returns when they see each other.
    pub(crate) async fn start(count: u8) -> Result<Self> {
        let folder = Folder::new()?;
        // Nobody else is on these, so all ports of the products are free there.
        let net: [u8; 2] = rand::random();
        let addresses: Vec<_> = (1..=count).map(|peer| Ipv4Addr::new(127, net[0] | 1, net[1], peer)).collect();
        let programs = programs()?;
        let mut starting = JoinSet::new();
        for address in addresses.clone() {
            let (programs, folder) = (programs.clone(), folder.0.join(address.to_string()));
            starting.spawn(async move { kubo(&programs, &folder, address).await.map(|kubo| (address, kubo)) });
        }
        let mut kubos = starting.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
        kubos.sort_by_key(|(address, _)| *address);
        let mut peers: Vec<Peer> = Vec::new();
        let mut first = None;
        for (address, kubo) in kubos {
            let (cluster, id) = cluster(&programs, &folder.0.join(address.to_string()), address, first.as_deref())?;
            first.get_or_insert_with(|| format!("/ip4/{address}/tcp/9096/p2p/{id}"));
            peers.push(Peer { address, cluster, kubo: Some(kubo) });
        }
        let started = Self { peers, _folder: folder };
        timeout(e2e::HANG, started.see_each_other()).await.context("the peers do not see each other")??;
        Ok(started)
    }

    /// Where the first Kubo's RPC is.
    pub(crate) fn kubo(&self) -> SocketAddr {
        (self.peers[0].address, 5001).into()
    }

    /// Where the first IPFS Cluster's REST API is.
    pub(crate) fn cluster(&self) -> SocketAddr {
        (self.peers[0].address, 9094).into()
    }

    /// Ends the first Kubo.
    pub(crate) fn end_kubo(&mut self) {
        self.peers[0].kubo = None;
    }

    async fn see_each_other(&self) -> Result<()> {
        let mut look = tokio::time::interval(std::time::Duration::from_millis(50));
        for peer in &self.peers {
            peer.cluster.line("IPFS Cluster is READY").await?;
            while call((peer.address, 9094).into(), "GET", "/peers").await?.body.split(|byte| *byte == b'\n').count()
                <= self.peers.len()
            {
                look.tick().await;
            }
        }
        Ok(())
    }
}

fn programs() -> Result<PathBuf> {
    let programs = std::env::var_os(PROGRAMS).map(PathBuf::from).with_context(|| {
        format!(
            "{PROGRAMS} is not set: `cargo xtask test` sets it; by hand, it is `bin` in the cache, once \
             `cargo xtask images kubo ipfs-cluster` has built ipfs and ipfs-cluster-service"
        )
    })?;
    for program in ["ipfs", "ipfs-cluster-service"] {
        ensure!(programs.join(program).exists(), "{PROGRAMS}: there is no {program} in {}", programs.display());
    }
    Ok(programs)
}

/// Starts a Kubo that knows nobody, with the transports that it has by default.
async fn kubo(programs: &Path, folder: &Path, address: Ipv4Addr) -> Result<Process> {
    let repository = folder.join("kubo");
    fs::create_dir_all(folder)?;
    let program = |arguments: &[&str]| {
        let mut command = Command::new(programs.join("ipfs"));
        command.args(arguments).env("IPFS_PATH", &repository).env("IPFS_TELEMETRY", "off");
        command
    };
    succeeds(program(&["init", "--empty-repo"]))?;
    let file = repository.join("config");
    let mut config: Value = serde_json::from_slice(&fs::read(&file)?)?;
    let swarm = ["tcp/4001", "udp/4001/webrtc-direct", "udp/4001/quic-v1", "udp/4001/quic-v1/webtransport"];
    config["Addresses"] = json!({
        "API": format!("/ip4/{address}/tcp/5001"),
        "Gateway": format!("/ip4/{address}/tcp/8080"),
        "Swarm": swarm.map(|transport| format!("/ip4/{address}/{transport}")),
    });
    let settings = json!({
        "AutoConf": {"Enabled": false},
        "AutoTLS": {"Enabled": false},
        "Bootstrap": [],
        "DNS": {"Resolvers": {}},
        "Discovery": {"MDNS": {"Enabled": false}},
        "HTTPRetrieval": {"Enabled": false},
        "Ipns": {"DelegatedPublishers": []},
        "Provide": {"Enabled": false},
        "Pubsub": {"Enabled": true},
        "Routing": {"Type": "none", "DelegatedRouters": []},
        "Swarm": {"DisableNatPortMap": true, "RelayClient": {"Enabled": false}, "RelayService": {"Enabled": false}},
    });
    for (key, value) in settings.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    fs::write(&file, config.to_string())?;
    let kubo = Process::start(program(&["daemon", "--migrate=false"]), &folder.join("kubo.log"))?;
    kubo.line("Daemon is ready").await?;
    Ok(kubo)
}

/// Starts an IPFS Cluster beside its Kubo, and says who it is.
fn cluster(programs: &Path, folder: &Path, address: Ipv4Addr, first: Option<&str>) -> Result<(Process, String)> {
    let data = folder.join("cluster");
    let on = |port: u16| format!("/ip4/{address}/tcp/{port}");
    let program = |arguments: &[&str]| {
        let mut command = Command::new(programs.join("ipfs-cluster-service"));
        command.args(arguments).env("IPFS_CLUSTER_PATH", &data).envs([
            ("CLUSTER_SECRET", "5ec2e7".repeat(10) + "0000"),
            ("CLUSTER_PEERNAME", format!("peer-{address}")),
            ("CLUSTER_LISTENMULTIADDRESS", on(9096)),
            ("CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS", on(9094)),
            ("CLUSTER_IPFSPROXY_LISTENMULTIADDRESS", on(9095)),
            ("CLUSTER_PINSVCAPI_HTTPLISTENMULTIADDRESS", on(9097)),
            ("CLUSTER_IPFSPROXY_NODEMULTIADDRESS", on(5001)),
            ("CLUSTER_IPFSHTTP_NODEMULTIADDRESS", on(5001)),
            ("CLUSTER_CRDT_TRUSTEDPEERS", "*".to_owned()),
            ("CLUSTER_MDNSINTERVAL", "0s".to_owned()),
            ("CLUSTER_MONITORPINGINTERVAL", "1s".to_owned()),
            ("CLUSTER_PEERADDRESSES", first.unwrap_or_default().to_owned()),
        ]);
        command
    };
    succeeds(program(&["init", "--consensus", "crdt"]))?;
    let identity: Value = serde_json::from_slice(&fs::read(data.join("identity.json"))?)?;
    let id = identity["id"].as_str().context("an identity without an id")?.to_owned();
    Ok((Process::start(program(&["daemon"]), &folder.join("cluster.log"))?, id))
}

fn succeeds(mut command: Command) -> Result<()> {
    let output = command.output().with_context(|| format!("could not start {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// A folder of one's own, until it is dropped.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("temporal-stack-bridge-{:x}", rand::random::<u64>()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is in the system's folder for that.
        let _ = fs::remove_dir_all(&self.0);
    }
}
