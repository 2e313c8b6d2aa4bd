//! The HTTP client of all controllers. It is the only one: `clippy.toml` forbids those of the libraries.
//!
//! # Guarantees
//!
//! * **No redirect and no proxy.** A server of one tenant must not direct a controller's requests to another tenant's server.
//! * **No answer without a limit.** Each request limits the bytes of its answer; for a list, those of each line and of all lines.
//!   Answers larger than [`FREE`] share a budget of the whole process, so many large answers at the same time fail, too. The
//!   servers of one namespace never have all of it, however long they take.
//! * **No answer of too many values.** Parsed, `{"":0}` takes a hundred times its length. So the values of an answer are counted
//!   before it is parsed; they are limited, and count against the same budget.
//! * **No request without a deadline.** The deadline covers the whole request, from name resolution to the last byte, so a server
//!   that sends a byte now and then fails like one that sends nothing.
//! * **No name changes the path.** A [`Path`] is built from segments, and the URL is compared with it before it is used.
//! * **Only addresses that a tenant may use**: see [`address`].
//! * Text of an answer that a message quotes is printable and short.

mod answer;
mod failure;
mod headers;
mod lines;
mod path;
mod request;
mod structure;
#[cfg(test)]
mod tests;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use reqwest::{Certificate, Response, redirect::Policy};
use tokio::time::{Instant, timeout, timeout_at};

pub use answer::{Answer, FREE};
pub use failure::Failure;
pub use lines::{Bounds, Lines};
pub use path::{Path, is_segment};
pub use request::{Request, Server};
pub use reqwest::Method;

use crate::{
    address,
    failure::{deepest, printable},
    process::install_crypto,
};

/// How long a connection may take.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
/// The client without anything special. It is shared: it reads the authorities of the system once, and keeps no connection.
static SHARED: std::sync::OnceLock<Client> = std::sync::OnceLock::new();
/// The most headers of an answer; the products send a dozen. The library limits their size to some 400 kB.
const HEADERS: usize = 64;

/// A client that opens a connection for each request; clones share its settings.
#[derive(Clone)]
pub struct Client(Arc<Result<reqwest::Client, String>>);

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

/// The authorities that a client with TLS trusts.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// The authorities of the system.
    System,
    /// This authority alone, in PEM.
    Only(&'a str),
    /// Any certificate: the request only checks that the server answers, and sends nothing.
    Anybody,
}

impl Client {
    /// A client of servers without TLS.
    pub fn new() -> Self {
        Self::trusting(Trust::System, None)
    }

    /// A client that resolves one host to a given address, with this trust.
    pub fn trusting(trust: Trust<'_>, at: Option<(&str, SocketAddr)>) -> Self {
        let make = || Self(Arc::new(build(trust, at).map_err(|error| deepest(&error))));
        match (trust, at) {
            (Trust::System, None) => SHARED.get_or_init(make).clone(),
            _ => make(),
        }
    }

    /// Sends a request, and reads the complete answer. A refusal is an answer, too.
    pub async fn send(&self, request: Request) -> Result<Answer, Failure> {
        let (limit, within) = ((request.limit, request.values), request.within);
        let (address, shown) = (request.address.clone(), request.shown.clone());
        let slow = || Failure::Slow { address: address.clone(), request: shown.clone(), seconds: within.as_secs() };
        timeout(within, async {
            let answer = self.open(request).await?;
            Answer::read(answer, limit, &address, &shown).await
        })
        .await
        .map_err(|_| slow())?
    }

    /// The same where an answer that refuses is a failure.
    pub async fn accepted(&self, request: Request) -> Result<Answer, Failure> {
        let answer = self.send(request).await?;
        if answer.is_success() { Ok(answer) } else { Err(answer.refused()) }
    }

    /// Sends a request whose answer is a list of lines.
    pub async fn lines(&self, request: Request, bounds: Bounds) -> Result<Lines, Failure> {
        let limit = (request.limit, request.values);
        let (address, shown) = (request.address.clone(), request.shown.clone());
        let begun = Instant::now();
        let slow = |time: Duration| {
            let cause = format!("no answer within {} s", time.as_secs());
            Failure::Unreachable { address: address.clone(), cause }
        };
        let begins = timeout_at(begun + bounds.begins_within, async {
            let answer = self.open(request).await?;
            if answer.status().is_success() {
                return Ok(answer);
            }
            Err(Answer::read(answer, limit, &address, &shown).await?.refused())
        });
        let answer = begins.await.map_err(|_| slow(bounds.begins_within))??;
        Ok(Lines::new(answer, bounds, begun + bounds.ends_within, address.clone(), shown.clone()))
    }

    /// The head of the answer, which is not a redirect.
    async fn open(&self, request: Request) -> Result<Response, Failure> {
        let Request { method, url, address, shown, login, content, headers, .. } = request;
        let client = match self.0.as_ref() {
            Ok(client) => client,
            Err(cause) => return Err(Failure::Unreachable { address, cause: cause.clone() }),
        };
        let mut builder = client.request(method, url);
        if let Some((username, password)) = &login {
            builder = builder.basic_auth(username, Some(password));
        }
        for (name, value) in headers {
            let (name, value) = headers::parse(&name, &value)?;
            builder = builder.header(name, value);
        }
        if let Some((kind, content)) = content {
            builder = builder.header(reqwest::header::CONTENT_TYPE, kind).body(content);
        }
        match builder.send().await {
            Ok(answer) if answer.status().is_redirection() => {
                Err(Failure::Redirect { address, request: shown, status: answer.status().as_u16() })
            }
            Ok(answer) => Ok(answer),
            Err(error) => Err(Failure::Unreachable { address, cause: printable(&deepest(&error.without_url())) }),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where a client is made")]
fn build(trust: Trust<'_>, at: Option<(&str, SocketAddr)>) -> reqwest::Result<reqwest::Client> {
    // Whether reqwest has TLS depends on the features of other crates in the program; with TLS it needs a provider.
    install_crypto();
    let mut builder = reqwest::Client::builder()
        // A proxy would see passwords, and could not reach pods.
        .no_proxy()
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECTS_WITHIN)
        // The address of a deleted Service or pod is reused, and an idle connection would still lead to the previous server.
        .pool_max_idle_per_host(0)
        .http1_max_headers(HEADERS)
        .dns_resolver(Resolver);
    if let Some((host, address)) = at {
        builder = builder.resolve(host, address);
    }
    builder = match trust {
        Trust::System => builder,
        Trust::Only(authority) => builder.tls_certs_only([Certificate::from_pem(authority.as_bytes())?]),
        Trust::Anybody => builder.tls_danger_accept_invalid_certs(true),
    };
    builder.build()
}

/// Resolves names to allowed addresses only.
struct Resolver;

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async move {
            // The port of the URL replaces this one.
            let found = address::resolve(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as reqwest::dns::Addrs)
        })
    }
}
