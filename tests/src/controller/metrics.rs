//! What a controller says on `/metrics`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::Subject;

/// What a Role grants: a verb on a resource of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Permission {
    /// The verb.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural resource, with its subresource if there is one.
    pub resource: String,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(f, "{} {}{dot}{}", self.verb, self.resource, self.group)
    }
}

/// How often each permission was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests(pub BTreeMap<Permission, u64>);

impl Requests {
    /// Without what a controller sends however little it has to do: the Lease, and watches that begin again.
    #[must_use]
    pub fn of_passes(&self) -> Self {
        let upkeep = |used: &Permission| {
            used.resource == "leases"
                || used.verb == "watch"
                // Classes are only ever read by name of the kind, which looks like the list that begins a watch.
                || (used.verb == "list" && used.resource != "storageclasses")
        };
        Self(self.0.iter().filter(|(used, _)| !upkeep(used)).map(|(used, count)| (used.clone(), *count)).collect())
    }

    /// Those that may change the cluster, without the Lease.
    #[must_use]
    pub fn writes(&self) -> Self {
        let reads = |used: &Permission| matches!(used.verb.as_str(), "get" | "list" | "watch");
        let of_passes = self.of_passes().0;
        Self(of_passes.into_iter().filter(|(used, _)| !reads(used)).collect())
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(used, count)| writeln!(f, "{count:6} {used}"))
    }
}

/// All metrics of a controller at one time.
#[derive(Clone, Debug)]
pub struct Metrics {
    text: String,
    /// The requests that it has sent.
    pub requests: Requests,
}

impl Metrics {
    /// Asks the admin port; it is on this machine, so this may block.
    pub(super) fn read(admin: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(admin).context("the admin port is closed")?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let requests = text.lines().filter_map(request).collect();
        Ok(Self { text, requests: Requests(requests) })
    }

    /// How many passes have ended so.
    pub fn passes(&self, result: &str) -> u64 {
        let line = format!("passes_total{{result=\"{result}\"}} ");
        self.text.lines().find_map(|text| text.strip_prefix(&line)?.trim().parse().ok()).unwrap_or(0)
    }
}

/// A line such as `kubernetes_client_requests_total{verb="get",group="",resource="pods"} 1`.
fn request(line: &str) -> Option<(Permission, u64)> {
    let (labels, count) = line.strip_prefix("kubernetes_client_requests_total{")?.split_once("} ")?;
    let label = |name: &str| {
        let start = format!("{name}=\"");
        labels.split(',').find_map(|pair| pair.strip_prefix(&start)?.strip_suffix('"')).map(str::to_owned)
    };
    let used = Permission { verb: label("verb")?, group: label("group")?, resource: label("resource")? };
    Some((used, count.trim().parse().ok()?))
}

/// Adds what was used to the folder; each call writes a file of its own, so that nobody overwrites another's.
pub(super) fn record(folder: &Path, requests: &Requests) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let used: Vec<&Permission> = requests.0.keys().collect();
    let name = format!("{:016x}.json", rand::random::<u64>());
    std::fs::write(folder.join(name), serde_json::to_vec(&used)?)?;
    Ok(())
}

/// Where controllers leave word of what they have used.
pub(super) fn folder_of(shared: &Path, program: &str) -> PathBuf {
    shared.join("used").join(program)
}

/// All permissions that the controllers of a kind have used on this cluster so far.
pub fn used_permissions<K: Subject>(shared: &Path) -> Result<BTreeSet<Permission>> {
    let mut all = BTreeSet::new();
    let folder = folder_of(shared, K::PROGRAM);
    for file in std::fs::read_dir(folder).with_context(|| format!("no {} has left word of what it used", K::PROGRAM))? {
        all.extend(serde_json::from_slice::<Vec<Permission>>(&std::fs::read(file?.path())?)?);
    }
    Ok(all)
}
