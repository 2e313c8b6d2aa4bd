//! The complete answer to a request, within its limits and the budget of all answers.

use std::{collections::BTreeMap, fmt, time::Duration};

use reqwest::Response;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{failure::Failure, headers, structure::Structure};
use crate::{
    failure::{deepest, printable},
    mesh,
    quota::{Quota, Share},
};

/// The size up to which an answer is outside the budget, in bytes: nearly all are smaller.
pub const FREE: usize = 256 << 10;
/// The budget of all larger answers while they are read, in bytes: a controller has 128 MiB in total.
pub(super) static BUDGET: Quota = Quota::new(24 << 20, OF_ONE_NAMESPACE);
/// How much of it one namespace may have: the rest suffices for the usual answers of others.
pub(super) const OF_ONE_NAMESPACE: usize = 20 << 20;
/// How long an answer waits for its share of the budget.
const WAITS: Duration = Duration::from_secs(2);
/// The explanation of an answer of too many values.
const CROWDED: &str = "check the address and the server behind it, or reduce what it lists";
/// The explanation of an answer that is too long.
pub(super) const MISTAKEN: &str = "no product sends that much; check the address and the server behind it";

/// A complete answer.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its bytes.
    pub body: Vec<u8>,
    headers: BTreeMap<String, String>,
    address: String,
    request: String,
    /// Why the proxy of a mesh answered, if it says so.
    proxy_error: Option<String>,
    /// Its share of the budget, released on drop.
    pub(super) _share: Share,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.status, self.body.len())
    }
}

impl Answer {
    /// Reads an answer of at most so many bytes and values.
    pub(super) async fn read(
        mut answer: Response,
        (limit, values): (usize, usize),
        address: &str,
        request: &str,
    ) -> Result<Self, Failure> {
        let status = answer.status();
        let (address, request) = (address.to_owned(), request.to_owned());
        let proxy_error =
            answer.headers().get(mesh::MARK).map(|error| printable(&String::from_utf8_lossy(error.as_bytes())));
        // A refusal may be longer than the expected answer.
        let limit = if status.is_success() { limit } else { limit.max(FREE) };
        let mut share = BUDGET.share();
        let mut structure = Structure::default();
        let mut body = Vec::new();
        let is_longer = answer.content_length().is_some_and(|length| length > limit as u64);
        let too_large = |address, request| Failure::TooLarge { address, request, limit, cause: MISTAKEN };
        let headers = headers::kept(answer.headers());
        if is_longer {
            return Err(too_large(address, request));
        }
        loop {
            let chunk = match answer.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => return Err(Failure::Cut { address, request, cause: deepest(&error.without_url()) }),
            };
            if body.len() + chunk.len() > limit {
                return Err(too_large(address, request));
            }
            body.extend_from_slice(&chunk);
            structure.follow(&chunk);
            if structure.values > values {
                return Err(Failure::TooManyValues { address, request, limit: values, cause: CROWDED });
            }
            // An answer with the most values takes all that its namespace may have. It may need twice that: one entry of a map
            // takes a node of 632 bytes.
            let size = body.len().max(structure.values * (OF_ONE_NAMESPACE / values));
            let needed = size.saturating_sub(FREE);
            // With a timeout: two answers that each hold a part could wait for each other.
            if needed > share.amount() && !share.extend_until(needed, Instant::now() + WAITS).await {
                return Err(Failure::Busy { address, request });
            }
        }
        Ok(Self { status: status.as_u16(), body, headers, address, request, proxy_error, _share: share })
    }

    /// Whether the status is a success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The value of a header that object storages send; others are not kept.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The headers that object storages send, by their names in lower case.
    pub fn headers(&self) -> &BTreeMap<String, String> {
        &self.headers
    }

    /// The server and the request, for messages.
    pub(crate) fn origin(&self) -> (String, String) {
        (self.address.clone(), self.request.clone())
    }

    /// Its text, shortened and printable.
    pub fn printable(&self) -> String {
        printable(&String::from_utf8_lossy(&self.body))
    }

    /// Why it refuses: its message where it is JSON that has one, else all of its words.
    pub fn complaint(&self) -> String {
        #[derive(serde::Deserialize)]
        struct Refusal {
            #[serde(alias = "Message")]
            message: String,
        }
        serde_json::from_slice(&self.body).map_or_else(|_| self.printable(), |Refusal { message }| printable(&message))
    }

    /// The failure, if the proxy of a mesh answered in the server's place.
    pub fn by_proxy(&self) -> Option<Failure> {
        let (address, request) = (self.address.clone(), self.request.clone());
        Some(match mesh::Answer::read(self.status, self.proxy_error.is_some(), self.body.is_empty())? {
            mesh::Answer::Starting => Failure::Starting { address, request, status: self.status },
            mesh::Answer::Refused => Failure::RefusedByMesh { address, request },
        })
    }

    /// The server does not do as it was asked, or the proxy of a mesh answered in its place.
    pub fn refused(&self) -> Failure {
        self.by_proxy().unwrap_or_else(|| {
            let (address, request) = (self.address.clone(), self.request.clone());
            let cause = self.proxy_error.clone().filter(|_| self.body.is_empty());
            let cause = cause.unwrap_or_else(|| self.complaint());
            Failure::Refused { address, request, status: self.status, cause }
        })
    }

    /// Its body, parsed as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| self.unreadable(&error))
    }

    /// The failure for an answer that is not as expected.
    pub fn unreadable(&self, error: &dyn fmt::Display) -> Failure {
        let (address, request) = (self.address.clone(), self.request.clone());
        Failure::Unreadable { address, request, cause: printable(&error.to_string()) }
    }
}
