//! What is said to Kubo's RPC: as few functions as are used.
//!
//! The crate's own answers for `id`, `swarm peers` and `stats repo` are of Kubos that are years old: today's says no
//! `ProtocolVersion`, and of a neighbour neither latency nor muxer unless asked; and `stats repo` counts all blocks, which
//! takes minutes where there are many. So these three are asked for with requests and answers of our own, through the
//! crate's client.

mod answers;
#[cfg(test)]
mod tests;

use std::{fmt, future::Future, io::Cursor, time::Duration};

use futures::TryStreamExt;
use ipfs_api_backend_hyper::{
    IpfsApi, IpfsClient, TryFromUri,
    request::{Add, ApiRequest},
};
use serde::de::DeserializeOwned;
use temporal_stack_common::{binding::authority, failure::deepest};
use tokio::time::timeout;

use answers::{AskId, AskRepository, AskSwarm, Swarm};
pub(crate) use answers::{Id, Repository};

/// How long Kubo may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long Kubo may take to give content, which it may have to get from others first.
const FETCHING: Duration = Duration::from_secs(60);
/// Content up to this length is one block, which can be removed as a whole.
const CHUNK: &str = "size-256";

/// Why Kubo did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The address is none.
    #[error("{address} is no address: {cause}")]
    Address {
        /// Host and port.
        address: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Nobody answers at the address.
    #[error("{address} does not answer: {cause}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What happened instead.
        cause: String,
    },
    /// It took too long.
    #[error("{address} did not {what} within {} s", limit.as_secs())]
    Slow {
        /// Host and port.
        address: String,
        /// What was asked.
        what: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// Kubo does not want to, cannot, or says something that is not understood.
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
    client: IpfsClient,
    address: String,
}

impl fmt::Debug for Kubo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kubo at {}", self.address)
    }
}

impl Kubo {
    /// Of the Kubo at this address; nothing is sent yet.
    pub(crate) fn new(host: &str, port: u16) -> Result<Self, Failure> {
        let address = authority(host, port);
        match IpfsClient::from_str(&format!("http://{address}")) {
            Ok(client) => Ok(Self { client, address }),
            Err(error) => Err(Failure::Address { address, cause: error.to_string() }),
        }
    }

    /// Who this Kubo is, and of which version.
    pub(crate) async fn id(&self) -> Result<Id, Failure> {
        self.ask("say who it is", AskId {}).await
    }

    /// The ids of the Kubos that it is connected to.
    pub(crate) async fn connected(&self) -> Result<Vec<String>, Failure> {
        let swarm: Swarm = self.ask("list its connections", AskSwarm {}).await?;
        Ok(swarm.into_ids())
    }

    /// How much it holds, and how much it may.
    pub(crate) async fn repository(&self) -> Result<Repository, Failure> {
        self.ask("measure its repository", AskRepository { size_only: true }).await
    }

    /// Adds content without pinning it, and returns its CID.
    pub(crate) async fn add(&self, content: Vec<u8>) -> Result<String, Failure> {
        let options = Add {
            pin: Some(false),
            raw_leaves: Some(true),
            cid_version: Some(1),
            chunker: Some(CHUNK),
            ..Add::default()
        };
        let adding = self.client.add_with_options(Cursor::new(content), options);
        Ok(self.within(PATIENCE, "add content", adding).await?.hash)
    }

    /// The content of a CID, from wherever it is, if it is no longer than `limit`.
    pub(crate) async fn read(&self, cid: &str, limit: usize) -> Result<Vec<u8>, Failure> {
        let what = "give content";
        // One byte more shows that there is more.
        let mut pieces = self.client.cat_range(cid, 0, limit.saturating_add(1));
        let reading = async {
            let mut content = Vec::new();
            while content.len() <= limit
                && let Some(piece) = pieces.try_next().await?
            {
                content.extend_from_slice(&piece);
            }
            Ok(content)
        };
        let content = self.within(FETCHING, what, reading).await?;
        if content.len() > limit {
            return Err(self.refused(what, format!("{cid} is longer than {limit} bytes")));
        }
        Ok(content)
    }

    /// Pins something, to hear why that is not possible; `None` if it is, or takes its time.
    pub(crate) async fn complaint_about(&self, cid: &str) -> Option<String> {
        let pinned = tokio::time::timeout(PATIENCE, self.client.pin_add(cid, true)).await.ok()?;
        pinned.err().map(|error| error.to_string())
    }

    /// Removes a block that nothing pins; one that is not there has been removed.
    pub(crate) async fn remove_block(&self, cid: &str) -> Result<(), Failure> {
        let what = "remove a block";
        let removed = self.within(PATIENCE, what, self.client.block_rm(cid)).await?;
        match removed.error {
            Some(cause) if !cause.is_empty() && !cause.contains("could not find") => Err(self.refused(what, cause)),
            _ => Ok(()),
        }
    }

    async fn ask<Q, A>(&self, what: &'static str, request: Q) -> Result<A, Failure>
    where
        Q: ApiRequest,
        A: DeserializeOwned + Send + 'static,
    {
        self.within(PATIENCE, what, send(&self.client, request)).await
    }

    async fn within<T>(
        &self,
        limit: Duration,
        what: &'static str,
        asked: impl Future<Output = Result<T, ipfs_api_backend_hyper::Error>>,
    ) -> Result<T, Failure> {
        use ipfs_api_backend_hyper::Error;
        let address = self.address.clone();
        match timeout(limit, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Error::Client(error))) => Err(Failure::Unreachable { address, cause: deepest(&error) }),
            Ok(Err(Error::Api(error))) => Err(self.refused(what, error.message)),
            Ok(Err(error)) => Err(self.refused(what, error.to_string())),
            Err(_) => Err(Failure::Slow { address, what, limit }),
        }
    }

    fn refused(&self, what: &'static str, cause: String) -> Failure {
        Failure::Refused { address: self.address.clone(), what, cause }
    }
}

/// The crate keeps its trait with this method to itself; through the bound it can be called.
async fn send<C: IpfsApi + Sync, Q, A>(client: &C, request: Q) -> Result<A, C::Error>
where
    Q: ApiRequest,
    A: DeserializeOwned + Send + 'static,
{
    client.request(request, None).await
}
