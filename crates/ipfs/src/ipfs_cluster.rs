//! What is said to IPFS Cluster's REST API: as few functions as are used.
//!
//! Lists are read as streams, a line at a time, so that a pinset of millions takes no memory, and a list that ended early is
//! never taken for a whole one: decisions about where the last copy is rest on them.

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
    failure::words,
    http::{self, Answer, Bounds, Client, Method, Path, Request, Server},
};

use answers::Metric;
pub(crate) use answers::{Peer, Pin, PinStatus, Short};
pub(crate) use options::{EVERYWHERE, Wish};

/// How long a peer may take to say who it is.
const GREETING: Duration = Duration::from_secs(5);
/// How long a peer may take for anything else; some answers contain what the others said.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer that is no list: what each of 32 peers says of a pin, or of itself, is some hundred bytes.
const ANSWER: usize = 256 << 10;
/// The bounds of lists. A peer reads all that its Kubo has pinned before it begins; a million pins take some 500 MB and a minute;
/// a pin takes well below a kilobyte, and IPFS Cluster takes none of more than some.
const LIST: Bounds = Bounds {
    begins_within: Duration::from_secs(120),
    ends_within: Duration::from_secs(600),
    line: 256 << 10,
    all: 2 << 30,
    trailer: "x-stream-error",
};
/// The same for an export, which the user watches.
const EXPORT: Bounds = Bounds { ends_within: Duration::from_secs(86_400), all: usize::MAX, ..LIST };
/// How many CIDs are in one question: IPFS Cluster reads 4 KiB of a request's head and some more.
const ASKED_AT_ONCE: usize = 30;

/// Why a peer did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The peer does not want to.
    #[error("{address} refuses {request} ({status}): {message}")]
    Refused {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// The status of the answer.
        status: u16,
        /// What the peer says.
        message: String,
    },
    /// There is no answer that could be used.
    #[error(transparent)]
    Http(#[from] http::Failure),
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
    /// Of the peer at this address; nothing is sent yet.
    pub(crate) fn new(client: &Client, host: &str, port: u16) -> Self {
        Self::at(client, Server::new(host, port))
    }

    /// Of this server, which may want a login.
    pub(crate) fn at(client: &Client, server: Server) -> Self {
        Self { client: client.clone(), server }
    }

    /// Who the peer is, and which peers and which Kubo it sees.
    pub(crate) async fn id(&self) -> Result<Peer> {
        self.get(&Path::fixed("id"), GREETING).await
    }

    /// The peers that it gives pins to: those that it has heard all of these metrics of, for a while also after they have gone.
    pub(crate) async fn allocates_to(&self, metrics: &[&str]) -> Result<Vec<String>> {
        let mut known: Option<Vec<String>> = None;
        for name in metrics {
            let path = Path::of(&["monitor", "metrics", name])?;
            let heard: Option<Vec<Metric>> = self.get(&path, GREETING).await?;
            let heard = heard.into_iter().flatten().filter(|metric| metric.valid).map(|metric| metric.peer);
            let heard: Vec<String> = heard.collect();
            known = Some(match known {
                None => heard,
                Some(known) => known.into_iter().filter(|peer| heard.contains(peer)).collect(),
            });
        }
        Ok(known.unwrap_or_default())
    }

    /// All pins that the peer knows of, whoever holds them.
    pub(crate) fn allocations(&self) -> impl Stream<Item = Result<Pin>> + Send + use<> {
        self.list(Path::fixed("allocations"))
    }

    /// The same, each as the text that the peer sent, in which nothing is lost.
    pub(crate) fn allocation_lines(&self) -> impl Stream<Item = Result<Vec<u8>>> + Send + use<> {
        let cluster = self.clone();
        let path = Path::fixed("allocations");
        self.lines(path.clone(), EXPORT).map(move |line| {
            let line = line?;
            cluster.parse::<Pin>(&path, &line)?;
            Ok(line)
        })
    }

    /// What this peer itself says of its pins, of those with one of these statuses.
    pub(crate) fn statuses(&self, filter: &[&str]) -> impl Stream<Item = Result<PinStatus>> + Send + use<> {
        self.list(Path::fixed("pins").with("local", "true").with("filter", &filter.join(",")))
    }

    /// What this peer itself says of these CIDs, in no order.
    pub(crate) fn statuses_of<'a>(&'a self, cids: &'a [String]) -> impl Stream<Item = Result<PinStatus>> + Send + 'a {
        let asked = cids
            .chunks(ASKED_AT_ONCE)
            .map(|cids| self.list(Path::fixed("pins").with("local", "true").with("cids", &cids.join(","))));
        stream::iter(asked).flatten()
    }

    /// Pins as wished, with all other options as they are in `pin`. Returns when it is noted, which is long before it is done.
    pub(crate) async fn pin(&self, pin: &Pin, wish: &Wish) -> Result<()> {
        self.tell(Method::POST, &options::query(Path::of(&["pins", &pin.cid])?, pin, wish)).await
    }

    /// What each peer, by its id, says of one CID: all say `unpinned` if it is no pin.
    pub(crate) async fn status(&self, cid: &str) -> Result<BTreeMap<String, Short>> {
        let status: PinStatus = self.get(&Path::of(&["pins", cid])?, PATIENCE).await?;
        Ok(status.peer_map)
    }

    /// A pin as the peer knows it; `None` if it is none.
    pub(crate) async fn allocation(&self, cid: &str) -> Result<Option<Pin>> {
        match self.get::<Pin>(&Path::of(&["allocations", cid])?, PATIENCE).await {
            Err(Failure::Refused { status: 404, .. }) => Ok(None),
            result => result.map(Some),
        }
    }

    /// Whether a pin is still as it was seen: one that the user has removed or changed since must not come back.
    pub(crate) async fn is_as(&self, pin: &Pin) -> Result<bool> {
        Ok(self.allocation(&pin.cid).await?.as_ref() == Some(pin))
    }

    /// Lets this peer try again what went wrong with one pin.
    pub(crate) async fn recover(&self, cid: &str) -> Result<()> {
        self.tell(Method::POST, &Path::of(&["pins", cid, "recover"])?.with("local", "true")).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &Path, patience: Duration) -> Result<T> {
        let request = self.server.request(Method::GET, path, patience, ANSWER)?;
        Ok(self.accepted(request).await?.json()?)
    }

    async fn tell(&self, method: Method, path: &Path) -> Result<()> {
        self.accepted(self.server.request(method, path, PATIENCE, ANSWER)?).await.map(drop)
    }

    /// The answer, if it is none of refusal.
    async fn accepted(&self, request: Request) -> Result<Answer> {
        let shown = request.shown().to_owned();
        let answer = self.client.send(request).await?;
        if answer.is_success() { Ok(answer) } else { Err(self.refused(shown, &answer)) }
    }

    fn list<T: DeserializeOwned>(&self, path: Path) -> impl Stream<Item = Result<T>> + Send + use<T> {
        let (cluster, lines) = (self.clone(), self.lines(path.clone(), LIST));
        lines.map(move |line| cluster.parse(&path, &line?))
    }

    /// The lines of an answer, as they come.
    fn lines(&self, path: Path, bounds: Bounds) -> impl Stream<Item = Result<Vec<u8>>> + Send + use<> {
        let cluster = self.clone();
        stream::once(async move { cluster.open(path, bounds).await }).try_flatten().boxed()
    }

    async fn open(self, path: Path, bounds: Bounds) -> Result<impl Stream<Item = Result<Vec<u8>>> + Send> {
        // A proxy on the way, as of a mesh, passes trailers on only to those who ask for them.
        let request =
            self.server.request(Method::GET, &path, bounds.ends_within, ANSWER)?.with_header("te", "trailers");
        let shown = request.shown().to_owned();
        match self.client.lines(request, bounds).await? {
            Ok(lines) => Ok(lines.into_stream().map_err(Failure::from)),
            Err(answer) => Err(self.refused(shown, &answer)),
        }
    }

    fn refused(&self, request: String, answer: &Answer) -> Failure {
        Failure::Refused {
            address: self.server.address(),
            request,
            status: answer.status,
            message: answers::complaint(&answer.body),
        }
    }

    fn parse<T: DeserializeOwned>(&self, path: &Path, text: &[u8]) -> Result<T> {
        serde_json::from_slice(text).map_err(|error| {
            let (address, request) = (self.server.address(), format!("GET /{}", path.path()));
            http::Failure::Unreadable { address, request, cause: words(&error.to_string()) }.into()
        })
    }
}
