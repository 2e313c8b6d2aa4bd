//! An etcd and an API server of a test's own, which it may stop, and put back to an earlier state: as those of the tests, which run
//! already, with other ports and another directory.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rand::{RngExt as _, distr::Alphanumeric};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{interval, timeout};

use crate::{Cluster, HANG, prepare::install_kinds};

/// The running programs; they end when this is dropped, and their directory goes.
pub struct Plane {
    /// Its administrator.
    pub cluster: Cluster,
    folder: PathBuf,
    commands: [Vec<String>; 2],
    running: Vec<Child>,
}

impl Plane {
    /// Starts both beside those of the tests, and installs the kinds.
    pub async fn start() -> Result<Self> {
        let plane = Self::without_kinds().await?;
        install_kinds(&plane.cluster.client().await?).await?;
        Ok(plane)
    }

    /// Starts both beside those of the tests.
    pub async fn without_kinds() -> Result<Self> {
        let model = Cluster::api()?;
        let state = model.kubeconfig().parent().context("the kubeconfig has no directory")?;
        let suffix: String = rand::rng().sample_iter(Alphanumeric).take(8).map(char::from).collect();
        let folder = std::env::temp_dir().join("temporal-stack-e2e").join(format!("plane-{suffix}"));
        fs::create_dir_all(&folder)?;
        let (etcd, server) = (arguments_of("etcd", state)?, arguments_of("kube-apiserver", state)?);
        let data = format!("--data-dir={}", folder.join("etcd").display());
        let mut texts = vec![etcd, server, vec![fs::read_to_string(model.kubeconfig())?]];
        let ports = [
            port(&texts[0], "--listen-client-urls=")?,
            port(&texts[0], "--listen-peer-urls=")?,
            port(&texts[1], "--secure-port=")?,
        ];
        for old in ports {
            let new = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
            for text in texts.iter_mut().flatten() {
                *text = text.replace(&old, &new);
            }
        }
        for argument in &mut texts[0] {
            if argument.starts_with("--data-dir=") {
                argument.clone_from(&data);
            }
        }
        let kubeconfig = folder.join("admin.kubeconfig");
        fs::write(&kubeconfig, texts.remove(2).concat())?;
        let commands = [texts.remove(0), texts.remove(0)];
        let mut plane = Self { cluster: Cluster::of(kubeconfig), folder, commands, running: Vec::new() };
        plane.run().await?;
        Ok(plane)
    }

    /// Keeps a copy of all that is stored; the API server is away meanwhile.
    pub async fn snapshot(&mut self) -> Result<()> {
        self.stop()?;
        copy(&self.folder.join("etcd"), &self.folder.join("snapshot"))?;
        self.run().await
    }

    /// Puts back what was stored when the snapshot was made; the API server is away meanwhile.
    pub async fn restore(&mut self) -> Result<()> {
        self.stop()?;
        fs::remove_dir_all(self.folder.join("etcd"))?;
        copy(&self.folder.join("snapshot"), &self.folder.join("etcd"))?;
        self.run().await
    }

    async fn run(&mut self) -> Result<()> {
        for command in &self.commands {
            let (program, arguments) = command.split_first().context("a program has no name")?;
            let log = fs::File::options().create(true).append(true).open(self.folder.join("log"))?;
            let mut command = Command::new(program);
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            self.running.push(command.spawn()?);
        }
        let mut turns = interval(Duration::from_millis(100));
        let ready = timeout(HANG, async {
            while !is_ready(&self.cluster).await {
                turns.tick().await;
            }
        });
        if ready.await.is_err() {
            bail!("the API server is not ready within {HANG:?}; {} has its log", self.folder.display());
        }
        Ok(())
    }

    /// Ends the API server, then etcd.
    fn stop(&mut self) -> Result<()> {
        while let Some(mut child) = self.running.pop() {
            // etcd closes its files; an API server would wait for its watches.
            let signal = if self.running.is_empty() { Signal::TERM } else { Signal::KILL };
            kill_process(Pid::from_child(&child), signal)?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        let _ = self.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn is_ready(cluster: &Cluster) -> bool {
    let Ok(client) = cluster.client().await else { return false };
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else { return false };
    client.request_text(request).await.is_ok()
}

/// How a program runs whose arguments name this directory.
fn arguments_of(program: &str, state: &Path) -> Result<Vec<String>> {
    let state = state.to_string_lossy();
    for process in fs::read_dir("/proc")?.flatten() {
        let Ok(line) = fs::read(process.path().join("cmdline")) else { continue };
        let arguments: Vec<String> = String::from_utf8_lossy(&line).split_terminator('\0').map(str::to_owned).collect();
        let is_program =
            arguments.first().is_some_and(|first| Path::new(first).file_name().is_some_and(|name| name == program));
        if is_program && arguments.iter().any(|argument| argument.contains(&*state)) {
            return Ok(arguments);
        }
    }
    bail!(
        "no {program} runs with {state}: these tests need the API server that `cargo xtask node up --control-plane` starts"
    )
}

/// The port at the end of an argument.
fn port(arguments: &[String], flag: &str) -> Result<String> {
    let argument = arguments.iter().find_map(|argument| argument.strip_prefix(flag));
    let port = argument.and_then(|value| value.rsplit(':').next());
    port.map(str::to_owned).with_context(|| format!("{flag} is absent"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
