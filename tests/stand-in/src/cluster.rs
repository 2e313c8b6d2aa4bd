//! IPFS Cluster's API as a client of v0.12.1 uses it.

mod answers;

use axum::body::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;

use crate::config::Config;
use crate::http;
use crate::kubo::told;
use crate::stop::Stop;

/// Why a call failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The client says so.
    #[error("{0}")]
    Said(String),
    /// The client itself breaks: the process ends with it.
    #[error("{0}")]
    Panic(String),
}

impl Failure {
    /// The end of a process that cannot go on, which a panic always is.
    pub(crate) fn stop(self, otherwise: impl FnOnce(String) -> Stop) -> Stop {
        match self {
            Self::Said(said) => otherwise(said),
            Self::Panic(said) => Stop::panic(said),
        }
    }
}

/// A connection to a peer of the cluster.
pub(crate) struct Cluster {
    client: Client,
    base: String,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

impl Cluster {
    /// Connects, which asks for all peers.
    pub(crate) async fn connect(config: &Config) -> Result<Self, Failure> {
        let (host, port) = (config.get("IPFSCluster.APIConnection.Host"), config.get("IPFSCluster.APIConnection.Port"));
        let (host, port) = if host.is_empty() || port.is_empty() { ("127.0.0.1", "9094") } else { (host, port) };
        let client = http::client().build();
        let cluster = Self {
            client: client.map_err(|error| Failure::Said(told(&error)))?,
            base: format!("http://{host}:{port}"),
        };
        if let Some((status, answer)) = cluster.call(Method::GET, "/peers").await? {
            answers::peers(&answer).map_err(|failure| with_status(failure, status))?;
        }
        Ok(cluster)
    }

    /// Pins with every peer, and reads the status once. Nobody waits until it is pinned.
    pub(crate) async fn pin(&self, cid: &str) -> Result<Vec<(String, String)>, Failure> {
        let escaped = utf8_percent_encode(cid, NON_ALPHANUMERIC);
        let query = "name=&replication-max=-1&replication-min=-1&shard-size=0&user-allocations=";
        if let Some((status, answer)) = self.call(Method::POST, &format!("/pins/{escaped}?{query}")).await? {
            answers::pin(&answer).map_err(|failure| with_status(failure, status))?;
        }
        match self.call(Method::GET, &format!("/pins/{escaped}?local=true")).await? {
            Some((status, answer)) => answers::status(&answer).map_err(|failure| with_status(failure, status)),
            None => Ok(Vec::new()),
        }
    }

    /// `None`: there is an answer, and nothing in it.
    async fn call(&self, method: Method, path: &str) -> Result<Option<(StatusCode, Bytes)>, Failure> {
        let sent = self.client.request(method, format!("{}{path}", self.base)).send().await;
        let answer = sent.map_err(|error| Failure::Said(format!("{} (0)", told(&error))))?;
        let status = answer.status();
        let body =
            answer.bytes().await.map_err(|error| Failure::Said(format!("{} ({})", told(&error), status.as_u16())))?;
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Ok(None);
        }
        if !(400..600).contains(&status.as_u16()) {
            return Ok(Some((status, body)));
        }
        let said = match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => format!("{} ({})", refusal.message, refusal.code),
            Err(_) => format!("{} ({})", String::from_utf8_lossy(&body), status.as_u16()),
        };
        Err(Failure::Said(said))
    }
}

fn with_status(failure: Failure, status: StatusCode) -> Failure {
    match failure {
        Failure::Said(said) => Failure::Said(format!("{said} ({})", status.as_u16())),
        panic @ Failure::Panic(_) => panic,
    }
}
