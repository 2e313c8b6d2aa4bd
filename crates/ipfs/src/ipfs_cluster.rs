//! IPFS Cluster's REST API: only the functions that are used.
//!
//! Lists are read as streams, a line at a time, so that a pinset of millions takes no memory, and a truncated list never counts
//! as complete: decisions about the last copy of a pin depend on them.

mod answers;
#[cfg(test)]
pub(crate) mod fake;
mod options;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, time::Duration};

use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;
use temporal_stack_common::{
    address::Endpoint,
    failure::printable,
    http::{Bounds, Client, Method, Path, Server},
};

pub(crate) use temporal_stack_common::http::Failure;

use crate::brief::MOST_LISTED;
use answers::Metric;
pub(crate) use answers::{Peer, PeerStatus, Pin, PinStatus};
pub(crate) use options::{EVERYWHERE, PinUpdate};

/// How long a peer may take to report its ID.
const GREETING: Duration = Duration::from_secs(5);
/// How long a peer may take for anything else; some answers include those of other peers.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer that is no list: each of 32 peers reports some hundred bytes about a pin, or about itself.
const ANSWER: usize = 256 << 10;
/// The limits of lists. A peer reads all pins of its Kubo before it begins; a million pins take some 500 MB and a minute. A line
/// may have the error of a peer.
const LIST: Bounds = Bounds {
    begins_within: Duration::from_secs(120),
    ends_within: Duration::from_secs(600),
    line: 64 << 10,
    all: 2 << 30,
    trailer: "x-stream-error",
};
/// The same for pins, which take well below a kilobyte; IPFS Cluster accepts none of more than 4 KiB.
const PINS: Bounds = Bounds { line: 8 << 10, ..LIST };
/// The same for an export, which the user watches.
const EXPORT: Bounds = Bounds { ends_within: Duration::from_secs(86_400), all: usize::MAX, ..LIST };
/// How many CIDs a request may have: IPFS Cluster reads a little more than 4 KiB of a request's head.
const ASKED_AT_ONCE: usize = 30;

/// Whether an error of the product means that a volume is full.
pub(crate) fn is_full(error: &str) -> bool {
    error.contains("no space left on device")
}

type Result<T> = std::result::Result<T, Failure>;

/// The REST API of one peer.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    server: Server,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IPFS Cluster at {}", self.server.address())
    }
}

impl Cluster {
    /// The API of the peer at this address.
    pub(crate) fn new(client: &Client, endpoint: &Endpoint) -> Self {
        Self::at(client, Server::new(&endpoint.host, endpoint.port))
    }

    /// The API of this server, which may require a login.
    pub(crate) fn at(client: &Client, server: Server) -> Self {
        Self { client: client.clone(), server }
    }

    /// The peer's ID, and the peers and the Kubo that it is connected to.
    pub(crate) async fn id(&self) -> Result<Peer> {
        self.get(&Path::fixed("id"), GREETING).await
    }

    /// The peers that it allocates pins to: those with all of these metrics, for a while also after they have left.
    pub(crate) async fn allocates_to(&self, metrics: &[&str]) -> Result<Vec<String>> {
        let mut known: Option<Vec<String>> = None;
        for name in metrics {
            let path = Path::from_segments(&["monitor", "metrics", name])?;
            let metrics: Option<Vec<Metric>> = self.get(&path, GREETING).await?;
            let valid = metrics.into_iter().flatten().filter(|metric| metric.valid).map(|metric| metric.peer);
            let valid: Vec<String> = valid.take(MOST_LISTED).collect();
            known = Some(match known {
                None => valid,
                Some(known) => known.into_iter().filter(|peer| valid.contains(peer)).collect(),
            });
        }
        Ok(known.unwrap_or_default())
    }

    /// All pins that the peer knows of, whichever peers hold them.
    pub(crate) fn allocations(&self) -> impl Stream<Item = Result<Pin>> + Send + use<> {
        self.list(Path::fixed("allocations"), PINS)
    }

    /// The same, each as the original text, without loss.
    pub(crate) fn allocation_lines(&self) -> impl Stream<Item = Result<Vec<u8>>> + Send + use<> {
        let cluster = self.clone();
        let path = Path::fixed("allocations");
        self.lines(path.clone(), EXPORT).map(move |line| {
            let line = line?;
            cluster.parse::<Pin>(&path, &line)?;
            Ok(line)
        })
    }

    /// This peer's own reports about its pins with one of these statuses.
    pub(crate) fn statuses(&self, filter: &[&str]) -> impl Stream<Item = Result<PinStatus>> + Send + use<> {
        self.list(Path::fixed("pins").with("local", "true").with("filter", &filter.join(",")), LIST)
    }

    /// This peer's own reports about these CIDs, in no particular order.
    pub(crate) fn statuses_of<'a>(&'a self, cids: &'a [String]) -> impl Stream<Item = Result<PinStatus>> + Send + 'a {
        let asked = cids
            .chunks(ASKED_AT_ONCE)
            .map(|cids| self.list(Path::fixed("pins").with("local", "true").with("cids", &cids.join(",")), LIST));
        stream::iter(asked).flatten()
    }

    /// Pins with these options changed, and all others as in `pin`. Returns long before the copies exist.
    pub(crate) async fn pin(&self, pin: &Pin, update: &PinUpdate) -> Result<()> {
        self.post(&options::query(Path::from_segments(&["pins", &pin.cid])?, pin, update)).await
    }

    /// The report of each peer, by its id, about one CID: all report `unpinned` if it is not a pin.
    pub(crate) async fn status(&self, cid: &str) -> Result<BTreeMap<String, PeerStatus>> {
        let status: PinStatus = self.get(&Path::from_segments(&["pins", cid])?, PATIENCE).await?;
        Ok(status.peer_map)
    }

    /// A pin as the peer knows it; `None` if it does not exist.
    pub(crate) async fn allocation(&self, cid: &str) -> Result<Option<Pin>> {
        match self.get::<Pin>(&Path::from_segments(&["allocations", cid])?, PATIENCE).await {
            Err(Failure::Refused { status: 404, .. }) => Ok(None),
            result => result.map(Some),
        }
    }

    /// Whether a pin is still as it was read: a pin that the user has removed or changed since must not come back.
    pub(crate) async fn is_as(&self, pin: &Pin) -> Result<bool> {
        Ok(self.allocation(&pin.cid).await?.as_ref() == Some(pin))
    }

    /// Makes this peer retry a failed pin.
    pub(crate) async fn recover(&self, cid: &str) -> Result<()> {
        self.post(&Path::from_segments(&["pins", cid, "recover"])?.with("local", "true")).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &Path, patience: Duration) -> Result<T> {
        let request = self.server.request(Method::GET, path, patience, ANSWER)?;
        self.client.accepted(request).await?.json()
    }

    async fn post(&self, path: &Path) -> Result<()> {
        self.client.accepted(self.server.request(Method::POST, path, PATIENCE, ANSWER)?).await.map(drop)
    }

    fn list<T: DeserializeOwned>(&self, path: Path, bounds: Bounds) -> impl Stream<Item = Result<T>> + Send + use<T> {
        let (cluster, lines) = (self.clone(), self.lines(path.clone(), bounds));
        lines.map(move |line| cluster.parse(&path, &line?))
    }

    /// The lines of an answer, as they come.
    fn lines(&self, path: Path, bounds: Bounds) -> impl Stream<Item = Result<Vec<u8>>> + Send + use<> {
        let cluster = self.clone();
        stream::once(async move { cluster.open(path, bounds).await }).try_flatten().boxed()
    }

    async fn open(self, path: Path, bounds: Bounds) -> Result<impl Stream<Item = Result<Vec<u8>>> + Send> {
        let request = self.server.request(Method::GET, &path, bounds.ends_within, ANSWER)?;
        // Proxies in between, such as those of a mesh, pass trailers only on request.
        Ok(self.client.lines(request.with_header("te", "trailers"), bounds).await?.into_stream())
    }

    fn parse<T: DeserializeOwned>(&self, path: &Path, text: &[u8]) -> Result<T> {
        serde_json::from_slice(text).map_err(|error| {
            let (address, request) = (self.server.address(), format!("GET /{}", path.path()));
            Failure::Unreadable { address, request, cause: printable(&error.to_string()) }
        })
    }
}
