//! The real controller binary as a child process.

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use temporal_stack_common::process::{Scrape, client::Counts};
use tokio::time::{interval, timeout};

mod identity;
mod log;
mod permissions;

pub use identity::Identity;
pub(crate) use identity::apply;
pub use log::Log;
pub use permissions::used_permissions;

use crate::{HANG, Space, Subject, process};

/// A running controller; it ends when this is dropped.
pub struct Controller {
    child: Child,
    admin: SocketAddr,
    used: PathBuf,
    /// What it has logged.
    pub log: Log,
}

static STARTED: AtomicU32 = AtomicU32::new(0);

impl Controller {
    /// Starts the controller of a kind for a namespace, with rights there alone, and waits until it leads.
    pub async fn start<K: Subject>(space: &Space) -> Result<Self> {
        let identity = Identity::of_namespace::<K>(space).await?;
        let controller = Self::start_as(space, &identity).await?;
        controller.leads().await?;
        Ok(controller)
    }

    /// Starts the controller for a namespace, and waits until its admin port is open.
    pub async fn start_as(space: &Space, identity: &Identity) -> Result<Self> {
        Self::start_with(space, identity, &[]).await
    }

    /// The same, for these namespaces, too.
    pub async fn start_with(space: &Space, identity: &Identity, others: &[&Space]) -> Result<Self> {
        let others = others.iter().flat_map(|other| ["--namespace", &other.name]);
        let mut child = command(space, identity, identity.program())?
            .args(["--admin-addr=127.0.0.1:0", "--log-format=json", "--namespace", &space.name])
            .args(others)
            .args(["--lease-namespace", identity.home()])
            .spawn()?;
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let file = File::create(space.folder.join(format!("{}-{number}.log", identity.program())))?;
        let log = Log::of(&mut child, file)?;
        let line = log.line("serving /livez, /readyz and /metrics").await?;
        let admin = line["address"].as_str().context("the log names no address")?.parse()?;
        let used = permissions::folder_of(&space.shared, identity.program());
        Ok(Self { child, admin, used, log })
    }

    /// Waits until the caches are warm.
    pub async fn wait_ready(&self) -> Result<()> {
        self.log.line("the caches are warm").await.map(drop)
    }

    /// Waits until it leads.
    pub async fn leads(&self) -> Result<()> {
        self.log.line("leading").await.map(drop)
    }

    /// What `/metrics` says now.
    pub fn metrics(&self) -> Result<Scrape> {
        Scrape::read(self.admin).context("the controller does not tell its metrics")
    }

    /// The most that it has had in memory, in bytes, since [`forget_peak`](Self::forget_peak).
    pub fn peak_memory(&self) -> Result<u64> {
        process::peak_memory(self.child.id())
    }

    /// Begins again with the peak of its memory.
    pub fn forget_peak(&self) {
        process::forget_peak(self.child.id());
    }

    /// The requests sent so far.
    pub fn requests(&self) -> Result<Counts> {
        Ok(self.metrics()?.requests())
    }

    /// Waits until the metrics are as `wanted` says. The admin port has no watch, so it is asked again and again.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Scrape) -> bool) -> Result<Scrape> {
        let mut turns = interval(Duration::from_millis(25));
        let found = timeout(HANG, async {
            loop {
                turns.tick().await;
                let metrics = self.metrics()?;
                if wanted(&metrics) {
                    return anyhow::Ok(metrics);
                }
            }
        });
        match found.await {
            Ok(found) => found,
            Err(_) => bail!("waited {HANG:?} for {what}"),
        }
    }

    /// Waits for `more` passes that found nothing to do, from now on.
    pub async fn unchanged_passes(&self, more: u64) -> Result<Scrape> {
        let before = self.metrics()?.passes("unchanged");
        self.until("passes that change nothing", |metrics| metrics.passes("unchanged") >= before + more).await
    }

    /// Asks it to end, as Kubernetes does.
    pub fn terminate(&mut self) -> Result<()> {
        self.record();
        Ok(kill_process(Pid::from_child(&self.child), Signal::TERM)?)
    }

    /// Ends it at once.
    pub fn kill(&mut self) -> Result<()> {
        self.record();
        Ok(self.child.kill()?)
    }

    /// Waits for its end, after [`terminate`](Self::terminate) or by itself.
    pub async fn ended(mut self) -> Result<ExitStatus> {
        self.log.end().await?;
        Ok(self.child.wait()?)
    }

    /// Leaves word of the permissions that it has used: a test that runs last compares them with those granted.
    fn record(&self) {
        if let Ok(metrics) = self.metrics() {
            let _ = permissions::record(&self.used, &metrics.requests());
        }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.record();
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Runs the controller that ends itself `when` (`before` or `after`) its write number `write`. It also ends, with success, when a
/// pass has found nothing to write before any such end.
pub async fn run_faulty(space: &Space, identity: &Identity, when: &str, write: u32) -> Result<ExitStatus> {
    let mut child = command(space, identity, "faulty-controller")?
        .args(["--controller", identity.program()])
        .args(["--namespace", &space.name, "--end", when, "--write", &write.to_string()])
        .spawn()?;
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    let log = Log::of(&mut child, File::create(space.folder.join(format!("faulty-{number}-{when}-{write}.log")))?)?;
    let ended = log.end().await;
    if ended.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    ended.map(|()| status)
}

fn command(space: &Space, identity: &Identity, program: &str) -> Result<Command> {
    let mut command = Command::new(built(program)?);
    command
        .env_clear()
        .env("KUBECONFIG", identity.kubeconfig())
        .envs(identity.images().iter().copied())
        .envs(identity.namespace())
        .current_dir(&space.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    Ok(command)
}

/// A program that cargo has put beside the directory of this test.
pub fn built(program: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(2).unwrap_or(Path::new(""));
    let path = folder.join(program);
    if !path.exists() {
        bail!(
            "there is no {}: `cargo xtask test` builds it, and so does `cargo build --workspace --bins --examples`",
            path.display()
        );
    }
    Ok(path)
}

/// Warnings and errors among lines of a log.
pub fn complaints(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| matches!(line["level"].as_str(), Some("WARN" | "ERROR"))).collect()
}
