//! The controller that is measured, and what it says of itself on `/metrics`.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::place;

const PATIENCE: Duration = Duration::from_secs(600);
const QUIET: Duration = Duration::from_secs(5);

/// A running controller; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Subject {
    child: Child,
    port: u16,
}

/// Requests by verb and resource, without those about the Lease.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Requests(BTreeMap<String, u64>);

impl Requests {
    /// All of them.
    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Those that came after `before`, by what they asked.
    pub(super) fn minus(&self, before: &Self) -> BTreeMap<String, u64> {
        let since = |(call, count): (&String, &u64)| {
            let new = count - before.0.get(call).copied().unwrap_or_default();
            (new > 0).then(|| (call.clone(), new))
        };
        self.0.iter().filter_map(since).collect()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to do.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Subject {
    /// Starts it as the cluster's administrator, for all namespaces, without a Lease; returns when its caches are warm.
    pub(super) async fn start(program: &Path, kubeconfig: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())?.port();
        let log = std::fs::File::create(place::cache()?.join("logs/bench/controller.log"))?;
        let child = Command::new(program)
            .args(["--lease", "off", "--admin-addr", &format!("127.0.0.1:{port}")])
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("could not start {}", program.display()))?;
        let subject = Self { child, port };
        subject.until("is ready", async |subject| Ok(subject.get("ready").await.is_ok().then_some(()))).await?;
        Ok(subject)
    }

    /// Its resident memory in bytes.
    pub(super) async fn memory(&self) -> Result<u64> {
        self.sum("process_resident_memory_bytes").await
    }

    /// The requests that it has sent.
    pub(super) async fn requests(&self) -> Result<Requests> {
        let mut requests = BTreeMap::new();
        for (labels, count) in self.series("kubernetes_client_requests_total").await? {
            if !labels.contains("\"leases\"") {
                let words = ["verb", "resource"].map(|name| label(&labels, name));
                *requests.entry(words.join(" ")).or_default() += count;
            }
        }
        Ok(Requests(requests))
    }

    /// How many of its requests may have changed something.
    pub(super) async fn writes(&self) -> Result<u64> {
        let requests = self.requests().await?;
        let is_read = |call: &str| ["get ", "list ", "watch "].iter().any(|verb| call.starts_with(verb));
        Ok(requests.0.iter().filter(|(call, _)| !is_read(call)).map(|(_, count)| count).sum())
    }

    /// Waits until it has sent nothing for some seconds; returns what it has sent.
    pub(super) async fn until_quiet(&self) -> Result<Requests> {
        self.until("is quiet", async |subject| {
            let before = subject.requests().await?;
            tokio::time::sleep(QUIET).await;
            let after = subject.requests().await?;
            Ok((before == after).then_some(after))
        })
        .await
    }

    /// What it sends in that time.
    pub(super) async fn idle(&self, time: Duration) -> Result<Requests> {
        let before = self.requests().await?;
        tokio::time::sleep(time).await;
        // A watch that the API server ends after some minutes is begun again; that is no request for an object.
        let mut since = self.requests().await?.minus(&before);
        since.retain(|call, _| !call.starts_with("watch "));
        Ok(Requests(since))
    }

    /// Waits until it has made that many passes; returns how many it has made.
    pub(super) async fn until_passes(&self, wanted: usize) -> Result<u64> {
        self.until("has looked at all objects", async |subject| {
            let passes = subject.sum("passes_total").await?;
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
            Err(_) => bail!("the controller did not get to where it {what}"),
        }
    }

    async fn sum(&self, name: &str) -> Result<u64> {
        Ok(self.series(name).await?.iter().map(|(_, value)| value).sum())
    }

    /// Labels and value of each series of that name.
    async fn series(&self, name: &str) -> Result<Vec<(String, u64)>> {
        let text = self.get("metrics").await?;
        let series = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            Some((labels.to_owned(), value.parse().ok()?))
        });
        Ok(series.collect())
    }

    /// Asks the admin port for a path; one request a connection is all that this takes.
    async fn get(&self, path: &str) -> Result<String> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let request = format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        if !answer.starts_with("HTTP/1.1 200") {
            bail!("/{path} answers {}", answer.lines().next().unwrap_or_default());
        }
        Ok(answer)
    }
}

fn label(labels: &str, name: &str) -> String {
    let value = labels.split(&format!("{name}=\"")).nth(1).and_then(|rest| rest.split('"').next());
    value.unwrap_or_default().to_owned()
}
