//! The controller that is measured, and its `/metrics`.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use temporal_stack_common::process::Scrape;
use temporal_stack_common::process::client::Counts;

use crate::place;

const PATIENCE: Duration = Duration::from_secs(600);
const QUIET: Duration = Duration::from_secs(5);

/// A running controller; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Subject {
    child: Child,
    admin: SocketAddr,
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Subject {
    /// Starts it as the cluster's administrator, for all namespaces, without a Lease; returns when its caches are warm.
    pub(super) async fn start(program: &Path, kubeconfig: &Path) -> Result<Self> {
        let admin = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())?;
        let log = std::fs::File::create(place::cache()?.join("logs/bench/controller.log"))?;
        let child = Command::new(program)
            .args(["--lease", "off", "--admin-addr", &admin.to_string()])
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let subject = Self { child, admin };
        subject.until("is ready", async |subject| Ok(Scrape::is_ready(subject.admin).then_some(()))).await?;
        Ok(subject)
    }

    /// Its resident memory in bytes.
    pub(super) fn memory(&self) -> Result<u64> {
        self.scrape()?.resident_memory().context("/metrics of the controller has no resident memory")
    }

    /// The requests that it has sent.
    pub(super) fn requests(&self) -> Result<Counts> {
        Ok(self.scrape()?.requests())
    }

    /// Waits until it has sent nothing for some seconds; returns what it has sent.
    pub(super) async fn until_quiet(&self) -> Result<Counts> {
        self.until("is quiet", async |subject| {
            let before = subject.requests()?;
            tokio::time::sleep(QUIET).await;
            let after = subject.requests()?;
            Ok((before.of_passes() == after.of_passes()).then_some(after))
        })
        .await
    }

    /// The requests of its passes in that time.
    pub(super) async fn idle(&self, time: Duration) -> Result<Counts> {
        let before = self.requests()?;
        tokio::time::sleep(time).await;
        Ok(self.requests()?.since(&before).of_passes())
    }

    /// Waits until it has made that many passes that changed nothing; returns how many it has made.
    pub(super) async fn until_passes(&self, wanted: usize) -> Result<u64> {
        self.until("has reconciled all objects", async |subject| {
            let passes = subject.scrape()?.passes("unchanged");
            Ok((passes >= wanted as u64).then_some(passes))
        })
        .await
    }

    async fn until<T>(&self, what: &str, check: impl AsyncFn(&Self) -> Result<Option<T>>) -> Result<T> {
        let poll = async {
            loop {
                if let Some(found) = check(self).await? {
                    return Ok(found);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, poll).await {
            Ok(result) => result,
            Err(_) => bail!("timed out: waited {} s until the controller {what}", PATIENCE.as_secs()),
        }
    }

    fn scrape(&self) -> Result<Scrape> {
        Scrape::read(self.admin).context("cannot read /metrics of the controller")
    }
}
