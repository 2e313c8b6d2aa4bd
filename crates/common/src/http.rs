//! The HTTP client of all controllers. There is no other: `clippy.toml` forbids those of the libraries.
//!
//! # Guarantees
//!
//! * **No detour.** Redirects are failures: a server of one tenant must not choose what a controller asks of another's. No proxy.
//! * **No answer without a limit.** Each request says how many bytes its answer may have; of a list, each line, and all of them.
//!   What is larger than [`FREE`] comes out of a budget of the whole process, so many large answers at once are failures, too.
//! * **No request without an end.** The time that a request says is for all of it, from the name to the last byte, so that a server
//!   which sends a byte now and then ends like one that sends none.
//! * **No name becomes another path.** A [`Path`] is made of segments, and the URL is compared with it before it is used.
//! * **No address that is not a tenant's**: see [`address`](crate::address).
//! * What a message repeats of an answer is printable and short.

mod failure;
mod lines;
mod path;
#[cfg(test)]
mod tests;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use reqwest::{Certificate, Response, Url, redirect::Policy};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout, timeout_at},
};

pub use failure::Failure;
pub use lines::{Bounds, Lines};
pub use path::{Path, is_segment};
pub use reqwest::Method;

use crate::{
    address,
    binding::authority,
    failure::{deepest, words},
    process::install_crypto,
};

/// How long a connection may take.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
/// How many headers an answer may have; the products send a dozen. The library bounds their size to some 400 kB.
const HEADERS: usize = 64;
/// What an answer may have without a look at the budget, in bytes: nearly all have less.
pub const FREE: usize = 256 << 10;
/// What all larger answers together may have, in KiB, while they are read: a controller has 128 MiB for everything.
static BUDGET: Semaphore = Semaphore::const_new(24 << 10);
/// How long an answer waits for its share.
const WAITS: Duration = Duration::from_secs(2);
/// What an answer of another size means.
const MISTAKEN: &str = "the product sends none of that length; check the address, and the server behind it";

/// A client that makes a connection for each request; clones share its settings.
#[derive(Clone)]
pub struct Client(Result<reqwest::Client, Arc<str>>);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

/// Whom a client trusts that speaks TLS.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// The machine's authorities.
    Usual,
    /// This authority alone, in PEM.
    Only(&'a str),
    /// Everybody: only whether there is an answer is asked, and nothing is told.
    Anybody,
}

impl Client {
    /// A client of servers without TLS.
    pub fn new() -> Self {
        Self::trusting(Trust::Usual, None)
    }

    /// A client that finds one host at a given address, and trusts servers as said.
    pub fn trusting(trust: Trust<'_>, at: Option<(&str, SocketAddr)>) -> Self {
        Self(build(trust, at).map_err(|error| deepest(&error).into()))
    }

    /// Sends a request, and reads the answer to its end. One that refuses is an answer, too.
    pub async fn send(&self, request: Request) -> Result<Answer, Failure> {
        let (limit, within) = (request.limit, request.within);
        let (address, shown) = (request.address.clone(), request.shown.clone());
        let slow = || Failure::Slow { address: address.clone(), request: shown.clone(), seconds: within.as_secs() };
        timeout(within, async {
            let answer = self.open(request).await?;
            Answer::read(answer, limit, &address, &shown).await
        })
        .await
        .map_err(|_| slow())?
    }

    /// Sends a request whose answer is a list of lines; `Err` within is an answer that refuses.
    pub async fn lines(&self, request: Request, bounds: Bounds) -> Result<Result<Lines, Answer>, Failure> {
        let (limit, address, shown) = (request.limit, request.address.clone(), request.shown.clone());
        let begun = Instant::now();
        let slow = |time: Duration| {
            let cause = format!("it did not begin to answer within {} s", time.as_secs());
            Failure::Unreachable { address: address.clone(), cause }
        };
        let begins = timeout_at(begun + bounds.begins_within, async {
            let answer = self.open(request).await?;
            if answer.status().is_success() {
                return Ok(Ok(answer));
            }
            Answer::read(answer, limit, &address, &shown).await.map(Err)
        });
        let answer = begins.await.map_err(|_| slow(bounds.begins_within))??;
        Ok(answer.map(|answer| Lines::new(answer, bounds, begun + bounds.ends_within, address.clone(), shown.clone())))
    }

    /// The head of the answer, which sends nowhere else.
    async fn open(&self, request: Request) -> Result<Response, Failure> {
        let Request { method, url, address, shown, login, content, header, .. } = request;
        let client = match &self.0 {
            Ok(client) => client,
            Err(cause) => return Err(Failure::Unreachable { address, cause: cause.to_string() }),
        };
        let mut builder = client.request(method, url);
        if let Some((username, password)) = &login {
            builder = builder.basic_auth(username, Some(password));
        }
        if let Some((key, value)) = header {
            builder = builder.header(key, value);
        }
        if let Some((kind, content)) = content {
            builder = builder.header(reqwest::header::CONTENT_TYPE, kind).body(content);
        }
        match builder.send().await {
            Ok(answer) if answer.status().is_redirection() => {
                Err(Failure::Redirect { address, request: shown, status: answer.status().as_u16() })
            }
            Ok(answer) => Ok(answer),
            Err(error) => Err(Failure::Unreachable { address, cause: words(&deepest(&error.without_url())) }),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where a client is made")]
fn build(trust: Trust<'_>, at: Option<(&str, SocketAddr)>) -> reqwest::Result<reqwest::Client> {
    // Whether reqwest speaks TLS is decided by whoever else is built into the program, and then it wants a provider.
    install_crypto();
    let mut builder = reqwest::Client::builder()
        // It would see passwords, and could not reach pods.
        .no_proxy()
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECTS_WITHIN)
        // An address is given to others when its Service or pod has gone, and an open connection would still lead to where it led.
        .pool_max_idle_per_host(0)
        .http1_max_headers(HEADERS)
        .dns_resolver(Resolver);
    if let Some((host, address)) = at {
        builder = builder.resolve(host, address);
    }
    builder = match trust {
        Trust::Usual => builder,
        Trust::Only(authority) => builder.tls_certs_only([Certificate::from_pem(authority.as_bytes())?]),
        Trust::Anybody => builder.tls_danger_accept_invalid_certs(true),
    };
    builder.build()
}

/// Names lead only to addresses that may be connected to.
struct Resolver;

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async move {
            // The port of the URL takes the place of this one.
            let found = address::resolve(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

/// Where a server is, and as whom it is used. `Debug` shows no login.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    scheme: &'static str,
    host: String,
    port: u16,
    login: Option<(String, String)>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address())
    }
}

impl Server {
    /// A server without TLS. Whether the host is one shows when something is asked.
    pub fn new(host: &str, port: u16) -> Self {
        Self { scheme: "http", host: host.to_owned(), port, login: None }
    }

    /// The server of a URL that has no path and no query; `None` if it is no such URL. It may have a login in it.
    pub fn of_url(url: &str) -> Option<Self> {
        let url: Url = url.parse().ok()?;
        let scheme = ["http", "https"].into_iter().find(|scheme| *scheme == url.scheme())?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return None;
        }
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = (!url.username().is_empty())
            .then(|| (decoded(url.username()), decoded(url.password().unwrap_or_default())));
        Some(Self { scheme, host, port: url.port_or_known_default()?, login })
    }

    /// The same, with a login.
    #[must_use]
    pub fn with_login(mut self, username: &str, password: &str) -> Self {
        self.login = Some((username.to_owned(), password.to_owned()));
        self
    }

    /// The login.
    pub fn login(&self) -> Option<(&str, &str)> {
        self.login.as_ref().map(|(username, password)| (username.as_str(), password.as_str()))
    }

    /// Host and port.
    pub fn address(&self) -> String {
        authority(&self.host, self.port)
    }

    /// Whether TLS is spoken.
    pub fn is_secure(&self) -> bool {
        self.scheme == "https"
    }

    /// A request, whose answer must be there `within` this time and have no more than `limit` bytes.
    pub fn request(&self, method: Method, path: &Path, within: Duration, limit: usize) -> Result<Request, Failure> {
        let address = self.address();
        let wrong = |cause: String| Failure::Address { address: address.clone(), cause };
        let host = address::host(&self.host).map_err(wrong)?;
        let base = format!("{}://{}/{}", self.scheme, authority(host, self.port), path.path());
        let mut url: Url = base.parse().map_err(|_| wrong("cannot stand in a URL".to_owned()))?;
        // Whatever else a parser makes of names: it must not be another path.
        if url.path().trim_start_matches('/') != path.path() || url.query().is_some() {
            return Err(Failure::Name { name: path.path().to_owned() });
        }
        url.set_query(Some(path.query()).filter(|query| !query.is_empty()));
        let shown = words(&format!("{method} /{}", path.path()));
        Ok(Request {
            method,
            url,
            address,
            shown,
            login: self.login.clone(),
            content: None,
            header: None,
            within,
            limit,
        })
    }
}

/// Something to be asked or told, with the bounds of its answer.
pub struct Request {
    method: Method,
    url: Url,
    address: String,
    shown: String,
    login: Option<(String, String)>,
    content: Option<(String, Vec<u8>)>,
    header: Option<(&'static str, &'static str)>,
    within: Duration,
    limit: usize,
}

impl Request {
    /// With JSON to tell.
    #[must_use]
    pub fn with_json(self, value: &impl Serialize) -> Self {
        // What a controller tells are its own types, which are JSON.
        self.with_content("application/json", serde_json::to_vec(value).unwrap_or_default())
    }

    /// With something to tell of this media type.
    #[must_use]
    pub fn with_content(mut self, kind: &str, content: Vec<u8>) -> Self {
        self.content = Some((kind.to_owned(), content));
        self
    }

    /// With a header.
    #[must_use]
    pub fn with_header(mut self, key: &'static str, value: &'static str) -> Self {
        self.header = Some((key, value));
        self
    }

    /// Method and path, as messages have them: without options, which may be long.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

/// A whole answer.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its bytes.
    pub body: Vec<u8>,
    address: String,
    request: String,
    /// Given back when the answer is no longer needed.
    _share: Option<SemaphorePermit<'static>>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.status, self.body.len())
    }
}

impl Answer {
    async fn read(mut answer: Response, limit: usize, address: &str, request: &str) -> Result<Self, Failure> {
        let status = answer.status();
        let (address, request) = (address.to_owned(), request.to_owned());
        // A refusal may have more to say than what was asked for.
        let limit = if status.is_success() { limit } else { limit.max(FREE) };
        let mut share: Option<SemaphorePermit<'static>> = None;
        let mut body = Vec::new();
        let is_longer = answer.content_length().is_some_and(|length| length > limit as u64);
        let too_large = |address, request| Failure::TooLarge { address, request, limit, cause: MISTAKEN };
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
            let has = share.as_ref().map_or(0, SemaphorePermit::num_permits);
            let needed = (body.len().saturating_sub(FREE) >> 10).saturating_sub(has);
            if needed > 0 {
                // Not for long: two that hold a part could wait for each other.
                let more = BUDGET.acquire_many(u32::try_from(needed).unwrap_or(u32::MAX));
                let Ok(Ok(more)) = timeout(WAITS, more).await else {
                    return Err(Failure::Busy { address, request });
                };
                match &mut share {
                    Some(share) => share.merge(more),
                    None => share = Some(more),
                }
            }
        }
        Ok(Self { status: status.as_u16(), body, address, request, _share: share })
    }

    /// Whether the server did as it was asked.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What it says, as a few printable words.
    pub fn words(&self) -> String {
        words(&String::from_utf8_lossy(&self.body))
    }

    /// What it says, as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| self.unreadable(&error))
    }

    /// The answer is not what was expected.
    pub fn unreadable(&self, error: &dyn fmt::Display) -> Failure {
        let (address, request) = (self.address.clone(), self.request.clone());
        Failure::Unreadable { address, request, cause: words(&error.to_string()) }
    }
}
