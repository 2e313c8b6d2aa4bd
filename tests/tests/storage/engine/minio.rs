//! MinIO: servers with drives, each server a process with an address of its own.

use std::{fs, net::Ipv4Addr, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, bail};
use e2e::{process::Process, turns};
use reqwest::Client as Http;
use temporal_stack_common::{
    http::Method,
    s3::{Address, Call, Client, Key},
};

use super::{Folder, address, addresses, iam, logs, program, random_key};

const PORT: u16 = 9000;

/// Servers that are one MinIO; they end when this is dropped.
pub(crate) struct Minio {
    servers: Vec<Server>,
    drives: u8,
    root: Key,
    program: PathBuf,
    http: Http,
    started: u32,
    /// After the processes that use it.
    folder: Folder,
}

struct Server {
    ip: Ipv4Addr,
    process: Option<Process>,
}

impl Minio {
    /// Starts so many servers with so many drives each; returns when all of them can be read and written.
    pub(crate) async fn start(servers: u8, drives: u8) -> Result<Self> {
        let ips = addresses(servers).into_iter();
        let mut minio = Self {
            servers: ips.map(|ip| Server { ip, process: None }).collect(),
            drives,
            root: random_key(),
            program: program("minio")?,
            http: e2e::http::builder().build()?,
            started: 0,
            folder: Folder::new()?,
        };
        minio.start_all().await?;
        Ok(minio)
    }

    /// Starts all servers.
    pub(crate) async fn start_all(&mut self) -> Result<()> {
        for server in 0..self.servers.len() {
            self.start_server(server)?;
        }
        self.is_healthy().await
    }

    /// Starts a server, which need not answer yet.
    pub(crate) fn start_server(&mut self, server: usize) -> Result<()> {
        for drive in 1..=self.drives {
            fs::create_dir_all(self.drive(server, drive))?;
        }
        self.started += 1;
        let log = self.folder.0.join(format!("{server}-{}.log", self.started));
        let process = Process::start(self.command(server), &log)?;
        self.servers[server].process = Some(process);
        Ok(())
    }

    fn command(&self, server: usize) -> Command {
        let ip = self.servers[server].ip;
        let mut command = Command::new(&self.program);
        command.env_clear().envs([
            ("MINIO_ROOT_USER", &*self.root.id),
            ("MINIO_ROOT_PASSWORD", &*self.root.secret),
            ("MINIO_PROMETHEUS_AUTH_TYPE", "public"),
            ("MINIO_BROWSER", "off"),
            ("MINIO_UPDATE", "off"),
            // Its drives may be on the file system of the root.
            ("MINIO_CI_CD", "1"),
            ("GOMEMLIMIT", "256MiB"),
        ]);
        command.env("HOME", &self.folder.0).current_dir(&self.folder.0);
        command.args(["server", "--address", &format!("{ip}:{PORT}")]);
        let drives = |server| (1..=self.drives).map(move |drive| self.drive(server, drive).display().to_string());
        if self.servers.len() == 1 {
            command.args(drives(server));
            return command;
        }
        // On one machine every loopback address looks local; a server of a cluster is told which one is its own.
        command.env("KUBERNETES_SERVICE_HOST", "192.0.2.1").env("_MINIO_SERVER_LOCAL", format!("{ip}:{PORT}"));
        for (number, peer) in self.servers.iter().enumerate() {
            command.args(drives(number).map(|drive| format!("http://{}:{PORT}{drive}", peer.ip)));
        }
        command
    }

    /// Where a server is.
    pub(crate) fn address(&self, server: usize) -> Address {
        address(self.servers[server].ip, PORT)
    }

    /// Where all servers are.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        self.servers.iter().map(|server| address(server.ip, PORT)).collect()
    }

    /// The key that may do everything.
    pub(crate) fn root(&self) -> &Key {
        &self.root
    }

    /// Gives the servers that start from now on another root key.
    pub(crate) fn change_root(&mut self) -> Key {
        std::mem::replace(&mut self.root, random_key())
    }

    /// A client of a server, as root.
    pub(crate) fn client(&self, server: usize) -> Result<Client> {
        Ok(Client::new(&self.address(server), &self.root)?)
    }

    /// The folder that is a drive; the first is 1.
    pub(crate) fn drive(&self, server: usize, drive: u8) -> PathBuf {
        self.folder.0.join(format!("drive-{server}-{drive}"))
    }

    /// Empties a drive, as a new one is that takes the place of a lost one.
    pub(crate) fn wipe(&self, server: usize, drive: u8) -> Result<()> {
        for entry in fs::read_dir(self.drive(server, drive))? {
            let path = entry?.path();
            // Whoever writes there at the moment may put a file into a folder that is just being removed.
            while let Err(error) = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) } {
                if !path.exists() {
                    break;
                }
                if error.kind() != std::io::ErrorKind::DirectoryNotEmpty {
                    return Err(error).with_context(|| format!("could not remove {}", path.display()));
                }
            }
        }
        Ok(())
    }

    /// How many objects of a bucket a drive has a part of.
    pub(crate) fn parts_on(&self, server: usize, drive: u8, bucket: &str) -> usize {
        // Each object is a folder there.
        fs::read_dir(self.drive(server, drive).join(bucket)).map_or(0, Iterator::count)
    }

    /// Kills a server without a warning.
    pub(crate) fn kill(&mut self, server: usize) {
        self.servers[server].process = None;
    }

    /// Stops a server as Kubernetes does, and waits until it has ended.
    pub(crate) async fn stop(&mut self, server: usize) -> Result<()> {
        let process = self.servers[server].process.take().context("the server does not run")?;
        process.terminate()?;
        process.ended().await.map(drop)
    }

    /// The status of a path of a server that asks for no key; none while it does not answer.
    pub(crate) async fn status(&self, server: usize, path: &str) -> Option<u16> {
        let url = format!("http://{}:{PORT}{path}", self.servers[server].ip);
        Some(self.http.get(url).send().await.ok()?.status().as_u16())
    }

    /// Waits until every server says that objects can be read and written.
    pub(crate) async fn is_healthy(&self) -> Result<()> {
        self.all_say("/minio/health/cluster", 200).await
    }

    /// Waits until every server says that it may be stopped, and that no drive of others heals.
    pub(crate) async fn may_stop(&self) -> Result<()> {
        self.all_say("/minio/health/cluster?maintenance=true", 200).await
    }

    /// Waits until every server that runs has this status at a path.
    pub(crate) async fn all_say(&self, path: &str, status: u16) -> Result<()> {
        for (number, _) in self.servers.iter().enumerate().filter(|(_, server)| server.process.is_some()) {
            self.says(number, path, status).await?;
        }
        Ok(())
    }

    /// Waits until a server has this status at a path.
    pub(crate) async fn says(&self, server: usize, path: &str, status: u16) -> Result<()> {
        let process = self.servers[server].process.as_ref().context("the server does not run")?;
        turns(&format!("{path} of server {server} has status {status}"), async || {
            if process.has_ended() {
                bail!("server {server} has ended: {:#?}", process.said());
            }
            Ok(self.status(server, path).await == Some(status))
        })
        .await
    }

    /// Waits until no drive heals. A server does not count its own.
    pub(crate) async fn is_whole(&self) -> Result<()> {
        turns("no drive heals or is offline", async || {
            let healing = self.metric(0, "minio_cluster_health_erasure_set_healing_drives").await?;
            Ok(healing + self.metric(0, "minio_cluster_drive_offline_total").await? < 0.5)
        })
        .await
    }

    /// A number of the metrics of a server.
    pub(crate) async fn metric(&self, server: usize, name: &str) -> Result<f64> {
        let url = format!("http://{}:{PORT}/minio/v2/metrics/cluster", self.servers[server].ip);
        let text = self.http.get(url).send().await?.error_for_status()?.text().await?;
        let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        let numbers = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        Ok(numbers.sum())
    }

    /// Makes a key that may use one bucket.
    pub(crate) async fn login(&self, bucket: &str) -> Result<Key> {
        let key = random_key();
        self.restrict(bucket, &key).await?;
        Ok(key)
    }

    /// Lets a key use one bucket and no other, as the controller does.
    pub(crate) async fn restrict(&self, bucket: &str, key: &Key) -> Result<()> {
        let content = iam::import(bucket, key);
        let path = ["minio", "admin", "v3", "import-iam-v2"];
        let call = Call::path(Method::PUT, &path).with_content("application/zip", content);
        let answer = self.client(self.running()?)?.call(call).await?;
        let made: serde_json::Value = answer.json()?;
        if made["failed"].as_object().is_some_and(|failed| failed.values().any(|list| !list.is_null())) {
            bail!("the import failed: {made}");
        }
        Ok(())
    }

    /// Gives the user of a key a policy of the engine's own, as an administrator may do by hand.
    pub(crate) async fn give(&self, key: &Key, policy: &str) -> Result<()> {
        let path = ["minio", "admin", "v3", "set-user-or-group-policy"];
        let call = Call::path(Method::PUT, &path).with("policyName", policy).with("userOrGroup", &key.id);
        self.client(self.running()?)?.call(call.with("isGroup", "false")).await?;
        Ok(())
    }

    /// Takes a key away.
    pub(crate) async fn remove(&self, key: &Key) -> Result<()> {
        let path = ["minio", "admin", "v3", "remove-user"];
        let call = Call::path(Method::DELETE, &path).with("accessKey", &key.id);
        self.client(self.running()?)?.call(call).await?;
        Ok(())
    }

    fn running(&self) -> Result<usize> {
        self.servers.iter().position(|server| server.process.is_some()).context("no server runs")
    }

    /// All that the servers have logged.
    pub(crate) fn said(&self) -> Result<String> {
        logs(&self.folder.0)
    }

    /// The ids of the processes.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.servers.iter().filter_map(|server| server.process.as_ref()).map(Process::id).collect()
    }
}
