//! The bridge, as a process.

use std::{net::SocketAddr, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use e2e::process::{Process, peak_memory};
use serde_json::Value;

use crate::{
    call::call,
    products::{Folder, Peers},
};

/// Names another bridge than the one that cargo has built beside this test: to measure an optimised one.
const PROGRAM: &str = "TEMPORAL_STACK_BRIDGE";

/// A running bridge, and where it takes calls.
pub(crate) struct Bridge {
    pub(crate) kubo: SocketAddr,
    pub(crate) cluster: SocketAddr,
    admin: SocketAddr,
    pub(crate) process: Process,
    _folder: Folder,
}

impl Bridge {
    /// One between the tests and these peers.
    pub(crate) async fn to(peers: &Peers) -> Result<Self> {
        Self::start(peers.kubo(), peers.cluster(), &[]).await
    }

    /// One with these upstreams and options.
    pub(crate) async fn start(kubo: SocketAddr, cluster: SocketAddr, options: &[&str]) -> Result<Self> {
        let program = std::env::var_os(PROGRAM).map_or_else(|| e2e::built("bridge"), |path| Ok(PathBuf::from(path)))?;
        let folder = Folder::new()?;
        let mut command = Command::new(program);
        command
            .env_clear()
            .args(["--log-format=json", "--listen-kubo=127.0.0.1:0", "--listen-cluster=127.0.0.1:0"])
            .args(["--admin-addr=127.0.0.1:0", &format!("--kubo={kubo}"), &format!("--cluster={cluster}")])
            .args(options);
        let process = Process::start(command, &folder.0.join("bridge.log"))?;
        let serving: Value = serde_json::from_str(&process.line("\"serving\"").await?)?;
        let address = |field: &str| -> Result<SocketAddr> {
            Ok(serving[field].as_str().with_context(|| format!("no {field}: {serving}"))?.parse()?)
        };
        Ok(Self {
            kubo: address("listen_kubo")?,
            cluster: address("listen_cluster")?,
            admin: address("admin")?,
            process,
            _folder: folder,
        })
    }

    /// What the admin port answers, with its status.
    pub(crate) async fn admin(&self, path: &str) -> Result<(u16, String)> {
        let answer = call(self.admin, "GET", path).await?;
        Ok((answer.status, answer.text().to_owned()))
    }

    /// The most that it ever had in memory, in KiB.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        Ok(peak_memory(self.process.id())? >> 10)
    }
}
