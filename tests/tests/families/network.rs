//! A network of one's own, with one address family.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::process::Process;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The only address family of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4, and no IPv6 on the loopback either.
    V4,
    /// IPv6, as a pod of an IPv6 cluster has it: Linux gives every loopback 127.0.0.1.
    V6,
    /// IPv6, and no IPv4 on the loopback either.
    BareV6,
}

impl Family {
    /// The address of the pod.
    pub(crate) fn address(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::from([10, 244, 0, 7]),
            Self::V6 | Self::BareV6 => IpAddr::from([0xfd00, 0x10, 0x244, 0, 0, 0, 0, 7]),
        }
    }

    fn loopbacks(self) -> &'static [&'static str] {
        match self {
            Self::V4 => &["127.0.0.1"],
            Self::V6 => &["127.0.0.1", "::1"],
            Self::BareV6 => &["::1"],
        }
    }

    /// The commands that leave this family alone.
    fn commands(self) -> String {
        let address = self.address();
        match self {
            Self::V4 => format!(
                "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; ip link set lo up; ip address add {address}/32 dev lo"
            ),
            Self::V6 => format!("ip link set lo up; ip address add {address}/128 dev lo nodad"),
            Self::BareV6 => format!("{}; ip address delete 127.0.0.1/8 dev lo", Self::V6.commands()),
        }
    }

    /// `/etc/hosts` as the kubelet writes it, for these names of the pod.
    pub(crate) fn hosts(self, names: &[String]) -> String {
        let loopbacks = self.loopbacks().iter().map(|loopback| format!("{loopback} localhost\n"));
        loopbacks.chain([format!("{} {}\n", self.address(), names.join(" "))]).collect()
    }
}

/// A network namespace, and a host name; it goes with its handle and the processes in it.
pub(crate) struct Network {
    family: Family,
    holder: Process,
}

impl Network {
    pub(crate) async fn new(family: Family, host: &str, folder: &Path) -> Result<Self> {
        let mut command = Command::new("setpriv");
        let script = format!("set -e; {}; hostname {host}; echo up; exec sleep infinity", family.commands());
        command.args(["--pdeathsig", "KILL", "unshare", "--net", "--uts", "sh", "-c", &script]);
        let holder = Process::start(command, &folder.join("network.log"))?;
        holder.line("up").await.context("the network needs root")?;
        Ok(Self { family, holder })
    }

    /// The options of `nsenter` that lead into it.
    pub(crate) fn options(&self) -> [String; 2] {
        ["net", "uts"].map(|kind| format!("--{kind}={}", self.path(kind).display()))
    }

    fn path(&self, kind: &str) -> PathBuf {
        format!("/proc/{}/ns/{kind}", self.holder.id()).into()
    }

    /// Connects to a port of the pod's address.
    pub(crate) fn connect(&self, port: u16) -> Result<()> {
        self.within(move |address| connected((address, port).into()).map(drop))
    }

    /// Asks for a path as the kubelet's probes do; an answer that is no success is an error.
    pub(crate) fn get(&self, port: u16, path: &str) -> Result<()> {
        let path = path.to_owned();
        self.within(move |address| {
            let mut stream = connected((address, port).into())?;
            write!(stream, "GET {path} HTTP/1.0\r\nHost: probe\r\nConnection: close\r\n\r\n")?;
            let mut answer = Vec::new();
            stream.take(4096).read_to_end(&mut answer)?;
            let answer = String::from_utf8_lossy(&answer);
            let status = answer.split_whitespace().nth(1).and_then(|code| code.parse::<u16>().ok());
            ensure!(status.is_some_and(|status| (200..400).contains(&status)), "{path} answers: {answer}");
            Ok(())
        })
    }

    /// Does something in this network, which is a matter of a thread.
    fn within(&self, act: impl FnOnce(IpAddr) -> Result<()> + Send + 'static) -> Result<()> {
        let (network, address) = (File::open(self.path("net"))?, self.family.address());
        let thread = std::thread::spawn(move || {
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&network), Some(LinkNameSpaceType::Network))?;
            act(address)
        });
        thread.join().expect("it does not panic")
    }
}

fn connected(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("{address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}
