//! Kubo's RPC: as few functions as are used.
//!
//! The requests are those of `ipfs-api-backend-hyper`, and of our own where today's Kubo knows an option that the crate does not. They are
//! sent by [`http::Client`]: the crate's client reads answers of any length for any time.

mod answers;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use ipfs_api_backend_hyper::request::{Add, ApiRequest, BlockRm, Cat, Id as AskId, PinAdd, SwarmPeers};
use serde::de::DeserializeOwned;
use temporal_stack_common::{
    failure::words,
    http::{self, Answer, Client, Method, Path, Request, Server},
};

use answers::{Added, AskRepository, Complaint, Removed, Swarm};
pub(crate) use answers::{Id, Repository};

/// How long Kubo may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long Kubo may take to give content, which it may have to get from others first.
const FETCHING: Duration = Duration::from_secs(60);
/// The longest answer: a Kubo in the public network has a thousand connections, of some 300 bytes each.
const ANSWER: usize = 4 << 20;
/// Content up to this length is one block, which can be removed as a whole.
const CHUNK: &str = "size-256";
/// Where the RPC is. The crate wants a whole URL; its host is not used.
const BASE: &str = "http://kubo/api/v0";
/// What stands between the parts of a form. Content that has it is none of ours.
const BOUNDARY: &str = "temporal-stack-boundary-6f1e";

/// Why Kubo did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// There is no answer that could be used.
    #[error(transparent)]
    Http(#[from] http::Failure),
    /// Kubo does not want to, or cannot.
    #[error("{address} did not {what}: {cause}")]
    Refused {
        /// Host and port.
        address: String,
        /// What was asked.
        what: &'static str,
        /// What Kubo says.
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
    /// Of the Kubo at this address; nothing is sent yet.
    pub(crate) fn new(client: &Client, host: &str, port: u16) -> Self {
        Self { client: client.clone(), server: Server::new(host, port) }
    }

    /// Who this Kubo is, and of which version.
    pub(crate) async fn id(&self) -> Result<Id, Failure> {
        self.ask("say who it is", AskId { peer: None }).await
    }

    /// The ids of the Kubos that it is connected to.
    pub(crate) async fn connected(&self) -> Result<Vec<String>, Failure> {
        let swarm: Swarm = self.ask("list its connections", SwarmPeers {}).await?;
        Ok(swarm.into_ids())
    }

    /// How much it holds, and how much it may. Blocks are not counted: that takes minutes where there are many.
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

    /// The content of a CID, from wherever it is, if it is no longer than `limit`.
    pub(crate) async fn read(&self, cid: &str, limit: usize) -> Result<Vec<u8>, Failure> {
        let what = "give content";
        // One byte more shows that there is more.
        let length = limit.saturating_add(1);
        let cat = Cat { path: cid, offset: Some(0), length: Some(length) };
        let answer = self.accepted(what, self.request(&cat, FETCHING, length)?).await?;
        if answer.body.len() > limit {
            return Err(self.refused(what, format!("{cid} is longer than {limit} bytes")));
        }
        Ok(answer.body)
    }

    /// Pins something, to hear why that is not possible; `None` if it is, or takes its time.
    pub(crate) async fn complaint_about(&self, cid: &str) -> Option<String> {
        let pin = PinAdd { key: cid, recursive: Some(true), progress: false };
        match self.accepted("pin", self.request(&pin, PATIENCE, ANSWER).ok()?).await {
            Err(Failure::Refused { cause, .. }) => Some(cause),
            _ => None,
        }
    }

    /// Removes a block that nothing pins; one that is not there has been removed.
    pub(crate) async fn remove_block(&self, cid: &str) -> Result<(), Failure> {
        let what = "remove a block";
        let removed: Removed = self.ask(what, BlockRm { hash: cid }).await?;
        match removed.error {
            Some(cause) if !cause.is_empty() && !cause.contains("could not find") => {
                Err(self.refused(what, words(&cause)))
            }
            _ => Ok(()),
        }
    }

    async fn ask<T: DeserializeOwned>(&self, what: &'static str, asked: impl ApiRequest) -> Result<T, Failure> {
        let request = self.request(&asked, PATIENCE, ANSWER)?;
        Ok(self.accepted(what, request).await?.json()?)
    }

    fn request<Q: ApiRequest>(&self, asked: &Q, within: Duration, limit: usize) -> Result<Request, Failure> {
        let wrong = |cause: String| self.refused("take the request", cause);
        let base = BASE.parse().map_err(|_| wrong(format!("{BASE} is no URL")))?;
        let url = asked.absolute_url(&base).map_err(|error| wrong(error.to_string()))?;
        let path = Path::encoded(url.path(), url.query().unwrap_or_default());
        Ok(self.server.request(Method::POST, &path, within, limit)?)
    }

    /// The answer, if it is none of refusal.
    async fn accepted(&self, what: &'static str, request: Request) -> Result<Answer, Failure> {
        let answer = self.client.send(request).await?;
        if answer.is_success() {
            return Ok(answer);
        }
        let cause = answer.json().map_or_else(|_| answer.words(), |Complaint { message }| words(&message));
        Err(self.refused(what, cause))
    }

    fn refused(&self, what: &'static str, cause: String) -> Failure {
        Failure::Refused { address: self.server.address(), what, cause }
    }
}
