//! What is said to IPFS Cluster's REST API: as few functions as are used.
//!
//! Lists are read as streams, a line at a time, so that a pinset of millions takes no memory, and a list that ended early is
//! never taken for a whole one: decisions about where the last copy is rest on them.

mod answers;
#[cfg(test)]
pub(crate) mod fake;
mod lines;
mod options;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, time::Duration};

use futures::{Stream, StreamExt, TryStreamExt, stream};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use temporal_stack_common::{
    binding::{authority, uri_part},
    failure::deepest,
};

use answers::Metric;
pub(crate) use answers::{Peer, Pin, PinStatus, Short};
pub(crate) use options::{EVERYWHERE, Wish};

/// How long a peer may take to say who it is.
const GREETING: Duration = Duration::from_secs(5);
/// How long a peer may take for anything else; some answers contain what the others said.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a peer may take to begin with a list: before it does, it reads all that its Kubo has pinned.
const BEGINNING: Duration = Duration::from_secs(120);
/// How many CIDs are in one question: IPFS Cluster reads 4 KiB of a request's head and some more.
const ASKED_AT_ONCE: usize = 30;

/// Why a peer did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody answers at the address, or not in time.
    #[error("{address} does not answer: {cause}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What happened instead.
        cause: String,
    },
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
    /// The answer is not what IPFS Cluster would say.
    #[error("{address} answers {request} with something else than was expected: {cause}")]
    Unreadable {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A list ended before all of it was said.
    #[error("{address} did not finish its answer to {request}: {cause}")]
    Cut {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// What the peer says, or what happened to the connection.
        cause: String,
    },
}

type Result<T> = std::result::Result<T, Failure>;

/// The REST API of one peer.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: reqwest::Client,
    base: String,
    address: String,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IPFS Cluster at {}", self.address)
    }
}

impl Cluster {
    /// Of the peer at this address; nothing is sent yet. The client must have no time limit of its own.
    pub(crate) fn new(client: &reqwest::Client, host: &str, port: u16) -> Self {
        let address = authority(host, port);
        Self { client: client.clone(), base: format!("http://{address}"), address }
    }

    /// Of the peer at this URL, which may have a login in it.
    pub(crate) fn at(client: &reqwest::Client, url: &reqwest::Url) -> Self {
        let address = format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
        Self { client: client.clone(), base: url.as_str().trim_end_matches('/').to_owned(), address }
    }

    /// Who the peer is, and which peers and which Kubo it sees.
    pub(crate) async fn id(&self) -> Result<Peer> {
        self.get("id", GREETING).await
    }

    /// The peers that it gives pins to: those that it has heard all of these metrics of, for a while also after they have gone.
    pub(crate) async fn allocates_to(&self, metrics: &[&str]) -> Result<Vec<String>> {
        let mut known: Option<Vec<String>> = None;
        for name in metrics {
            let heard: Option<Vec<Metric>> = self.get(&format!("monitor/metrics/{name}"), GREETING).await?;
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
        self.list("allocations".to_owned())
    }

    /// The same, each as the text that the peer sent, in which nothing is lost.
    pub(crate) fn allocation_lines(&self) -> impl Stream<Item = Result<Vec<u8>>> + Send + use<> {
        let cluster = self.clone();
        self.lines("allocations".to_owned()).map(move |line| {
            let line = line?;
            cluster.parse::<Pin>("allocations", &line)?;
            Ok(line)
        })
    }

    /// What this peer itself says of its pins, of those with one of these statuses.
    pub(crate) fn statuses(&self, filter: &[&str]) -> impl Stream<Item = Result<PinStatus>> + Send + use<> {
        self.list(format!("pins?local=true&filter={}", filter.join(",")))
    }

    /// What this peer itself says of these CIDs, in no order.
    pub(crate) fn statuses_of<'a>(&'a self, cids: &'a [String]) -> impl Stream<Item = Result<PinStatus>> + Send + 'a {
        let asked = cids.chunks(ASKED_AT_ONCE).map(|cids| {
            let cids: Vec<_> = cids.iter().map(|cid| uri_part(cid)).collect();
            self.list(format!("pins?local=true&cids={}", cids.join(",")))
        });
        stream::iter(asked).flatten()
    }

    /// Pins as wished, with all other options as they are in `pin`. Returns when it is noted, which is long before it is done.
    pub(crate) async fn pin(&self, pin: &Pin, wish: &Wish) -> Result<()> {
        let path = format!("pins/{}?{}", uri_part(&pin.cid), options::query(pin, wish));
        self.tell(Method::POST, &path).await
    }

    /// Forgets a pin; what is none has been forgotten.
    pub(crate) async fn unpin(&self, cid: &str) -> Result<()> {
        match self.tell(Method::DELETE, &format!("pins/{}", uri_part(cid))).await {
            Err(Failure::Refused { status: 404, .. }) => Ok(()),
            result => result,
        }
    }

    /// What each peer, by its id, says of one CID: all say `unpinned` if it is no pin.
    pub(crate) async fn status(&self, cid: &str) -> Result<BTreeMap<String, Short>> {
        let status: PinStatus = self.get(&format!("pins/{}", uri_part(cid)), PATIENCE).await?;
        Ok(status.peer_map)
    }

    /// Whether a pin is still as it was seen: one that the user has removed or changed since must not come back.
    pub(crate) async fn is_as(&self, pin: &Pin) -> Result<bool> {
        match self.get::<Pin>(&format!("allocations/{}", uri_part(&pin.cid)), PATIENCE).await {
            Err(Failure::Refused { status: 404, .. }) => Ok(false),
            result => Ok(result? == *pin),
        }
    }

    /// Lets this peer try again what went wrong with one pin.
    pub(crate) async fn recover(&self, cid: &str) -> Result<()> {
        self.tell(Method::POST, &format!("pins/{}/recover?local=true", uri_part(cid))).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, patience: Duration) -> Result<T> {
        let request = self.request(Method::GET, path).timeout(patience);
        let text = self.text(request, &Method::GET, path).await?;
        self.parse(path, text.as_bytes())
    }

    async fn tell(&self, method: Method, path: &str) -> Result<()> {
        let request = self.request(method.clone(), path).timeout(PATIENCE);
        self.text(request, &method, path).await?;
        Ok(())
    }

    /// The whole of a small answer.
    async fn text(&self, request: RequestBuilder, method: &Method, path: &str) -> Result<String> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let answer = self.accepted(answer, method, path).await?;
        answer.text().await.map_err(|error| self.unreachable(&error))
    }

    fn list<T: DeserializeOwned>(&self, path: String) -> impl Stream<Item = Result<T>> + Send + use<T> {
        let (cluster, lines) = (self.clone(), self.lines(path.clone()));
        lines.map(move |line| cluster.parse(&path, &line?))
    }

    /// The lines of an answer, as they come.
    fn lines(&self, path: String) -> impl Stream<Item = Result<Vec<u8>>> + Send + use<> {
        let cluster = self.clone();
        stream::once(async move { cluster.open(path).await }).try_flatten().boxed()
    }

    async fn open(self, path: String) -> Result<impl Stream<Item = Result<Vec<u8>>> + Send> {
        // A proxy on the way, as of a mesh, passes trailers on only to those who ask for them.
        let request = self.request(Method::GET, &path).header(header::TE, "trailers").send();
        let Ok(answer) = tokio::time::timeout(BEGINNING, request).await else {
            let cause = format!("it did not begin to answer within {} s", BEGINNING.as_secs());
            return Err(Failure::Unreachable { address: self.address, cause });
        };
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        let answer = self.accepted(answer, &Method::GET, &path).await?;
        let (address, request) = (self.address, named(&Method::GET, &path));
        Ok(lines::Lines::new(answer).into_stream(move |trouble| trouble.into_failure(address.clone(), request.clone())))
    }

    /// The answer, if it is none of refusal.
    async fn accepted(&self, answer: Response, method: &Method, path: &str) -> Result<Response> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = tokio::time::timeout(GREETING, answer.text()).await;
        let text = text.unwrap_or_else(|_| Ok(String::new())).unwrap_or_default();
        Err(self.refused(method, path, status, text))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}/{path}", self.base))
    }

    fn refused(&self, method: &Method, path: &str, status: StatusCode, text: String) -> Failure {
        Failure::Refused {
            address: self.address.clone(),
            request: named(method, path),
            status: status.as_u16(),
            message: answers::complaint(text),
        }
    }

    fn parse<T: DeserializeOwned>(&self, path: &str, text: &[u8]) -> Result<T> {
        serde_json::from_slice(text).map_err(|error| {
            let (address, request) = (self.address.clone(), named(&Method::GET, path));
            Failure::Unreadable { address, request, cause: error.to_string() }
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        Failure::Unreachable { address: self.address.clone(), cause: deepest(error) }
    }
}

/// What was asked, without its options: those of a pin are long.
fn named(method: &Method, path: &str) -> String {
    format!("{method} /{}", path.split('?').next().unwrap_or_default())
}
