//! Kubo's RPC: only the functions that are used.
//!
//! The requests are those of `ipfs-api-backend-hyper`, and our own if current versions of Kubo have an option that the crate
//! lacks. They are sent by [`http::Client`]: the crate's client has no limits on the length and time of answers.

mod answers;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use ipfs_api_backend_hyper::request::{Add, ApiRequest, BlockRm, Cat, Id as AskId, PinAdd, SwarmPeers};
use serde::de::DeserializeOwned;
use temporal_stack_common::{
    address::Endpoint,
    failure::printable,
    http::{self, Answer, Client, Method, Path, Request, Server},
};

use answers::{Added, AskRepository, Removed, Swarm};
pub(crate) use answers::{Id, Repository};

/// How long Kubo may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long Kubo may take to return content, which it may have to fetch from others first.
const FETCHING: Duration = Duration::from_secs(60);
/// The longest answer: a Kubo in the public network has a thousand connections, of some 300 bytes each.
const ANSWER: usize = 4 << 20;
/// Content up to this length is one block, which can be removed as a whole.
const CHUNK: &str = "size-256";
/// The base URL of the RPC. The crate requires a complete URL; its host is not used.
const BASE: &str = "http://kubo/api/v0";
/// The boundary between the parts of a form. The content of the verification does not contain it.
const BOUNDARY: &str = "temporal-stack-boundary-6f1e";

/// Why Kubo did not do what it was asked. A refusal names what was asked, because the path of an RPC says little.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No usable answer arrived.
    #[error(transparent)]
    Http(#[from] http::Failure),
    /// Kubo refuses, or fails.
    #[error("{address} did not {what}: {cause}")]
    Refused {
        /// Host and port.
        address: String,
        /// The request.
        what: &'static str,
        /// Kubo's message.
        cause: String,
    },
}

/// The RPC of one Kubo.
#[derive(Clone)]
pub(crate) struct Kubo {
    client: Client,
    server: Server,
}

impl fmt::Debug for Kubo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kubo at {}", self.server.address())
    }
}

impl Kubo {
    /// The RPC of the Kubo at this address.
    pub(crate) fn new(client: &Client, endpoint: &Endpoint) -> Self {
        Self { client: client.clone(), server: Server::new(&endpoint.host, endpoint.port) }
    }

    /// The ID and the version of this Kubo.
    pub(crate) async fn id(&self) -> Result<Id, Failure> {
        self.ask("report its ID", AskId { peer: None }).await
    }

    /// The ids of the Kubos that it is connected to.
    pub(crate) async fn connected(&self) -> Result<Vec<String>, Failure> {
        let swarm: Swarm = self.ask("list its connections", SwarmPeers {}).await?;
        Ok(swarm.into_ids())
    }

    /// The size of the repository, and its limit. Blocks are not counted: that takes minutes if they are many.
    pub(crate) async fn repository(&self) -> Result<Repository, Failure> {
        self.ask("measure its repository", AskRepository { size_only: true }).await
    }

    /// Adds content without pinning it, and returns its CID: always the same for the same content.
    pub(crate) async fn add(&self, content: &[u8]) -> Result<String, Failure> {
        let options = Add {
            pin: Some(false),
            raw_leaves: Some(true),
            cid_version: Some(1),
            chunker: Some(CHUNK),
            ..Add::default()
        };
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"probe\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let form = [head.as_bytes(), content, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat();
        let request = self.request(&options, PATIENCE, ANSWER)?;
        let request = request.with_content(&format!("multipart/form-data; boundary={BOUNDARY}"), form);
        let added: Added = self.accepted("add content", request).await?.json()?;
        Ok(added.hash)
    }

    /// The content of a CID, from any peer, if it is no longer than `limit`.
    pub(crate) async fn read(&self, cid: &str, limit: usize) -> Result<Vec<u8>, Failure> {
        let what = "return content";
        // One more byte shows that the content is longer.
        let length = limit.saturating_add(1);
        let cat = Cat { path: cid, offset: Some(0), length: Some(length) };
        let answer = self.accepted(what, self.request(&cat, FETCHING, length)?).await?;
        if answer.body.len() > limit {
            return Err(self.refused(what, format!("{cid} is longer than {limit} bytes")));
        }
        Ok(answer.body)
    }

    /// Pins a CID, to find out why that fails; `None` if it succeeds, or takes long.
    pub(crate) async fn pin_refusal(&self, cid: &str) -> Option<String> {
        let pin = PinAdd { key: cid, recursive: Some(true), progress: false };
        match self.accepted("pin", self.request(&pin, PATIENCE, ANSWER).ok()?).await {
            Err(Failure::Refused { cause, .. }) => Some(cause),
            _ => None,
        }
    }

    /// Removes a block that nothing pins; an absent block counts as removed.
    pub(crate) async fn remove_block(&self, cid: &str) -> Result<(), Failure> {
        let what = "remove a block";
        let removed: Removed = self.ask(what, BlockRm { hash: cid }).await?;
        match removed.error {
            Some(cause) if !cause.is_empty() && !cause.contains("could not find") => {
                Err(self.refused(what, printable(&cause)))
            }
            _ => Ok(()),
        }
    }

    async fn ask<T: DeserializeOwned>(&self, what: &'static str, asked: impl ApiRequest) -> Result<T, Failure> {
        let request = self.request(&asked, PATIENCE, ANSWER)?;
        Ok(self.accepted(what, request).await?.json()?)
    }

    fn request<Q: ApiRequest>(&self, asked: &Q, within: Duration, limit: usize) -> Result<Request, Failure> {
        let wrong = |cause: String| self.refused("accept the request", cause);
        let base = BASE.parse().map_err(|_| wrong(format!("{BASE} is not a URL")))?;
        let url = asked.absolute_url(&base).map_err(|error| wrong(error.to_string()))?;
        let path = Path::encoded(url.path(), url.query().unwrap_or_default());
        Ok(self.server.request(Method::POST, &path, within, limit)?)
    }

    /// The answer, if Kubo does not refuse.
    async fn accepted(&self, what: &'static str, request: Request) -> Result<Answer, Failure> {
        let answer = self.client.send(request).await?;
        if answer.is_success() {
            return Ok(answer);
        }
        Err(answer.by_proxy().map_or_else(|| self.refused(what, answer.complaint()), Failure::Http))
    }

    fn refused(&self, what: &'static str, cause: String) -> Failure {
        Failure::Refused { address: self.server.address(), what, cause }
    }
}
