//! Servers, and requests to them.

use std::{fmt, net::IpAddr, time::Duration};

use reqwest::{Method, Url};
use serde::Serialize;

use super::{failure::Failure, path::Path};
use crate::{address, binding::authority, failure::printable};

/// The most values of an answer, unless the request says otherwise.
pub(super) const VALUES: usize = 160_000;

/// The address of a server, and the login. `Debug` shows no login.
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
    /// A server without TLS. The host is validated when a request is built.
    pub fn new(host: &str, port: u16) -> Self {
        Self { scheme: "http", host: host.to_owned(), port, login: None }
    }

    /// The server of a URL that has no path and no query; `None` if it is no such URL. It may contain a login.
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

    /// The server of the same port whose name is below this one's.
    pub(crate) fn below(&self, label: &str) -> Self {
        Self { host: format!("{label}.{}", self.host), ..self.clone() }
    }

    /// Whether the host is an IP address.
    pub(crate) fn is_numeric(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    /// Whether it uses TLS.
    pub fn is_secure(&self) -> bool {
        self.scheme == "https"
    }

    /// A request, whose answer must arrive `within` this time and have at most `limit` bytes.
    pub fn request(&self, method: Method, path: &Path, within: Duration, limit: usize) -> Result<Request, Failure> {
        let address = self.address();
        let wrong = |cause: String| Failure::Address { address: address.clone(), cause };
        let host = address::host(&self.host).map_err(wrong)?;
        let base = format!("{}://{}/{}", self.scheme, authority(host, self.port), path.path());
        let mut url: Url = base.parse().map_err(|_| wrong("cannot be part of a URL".to_owned()))?;
        // However a parser treats names, the path must not change.
        if url.path().strip_prefix('/') != Some(path.path()) || url.query().is_some() {
            return Err(Failure::Name { name: path.path().to_owned() });
        }
        url.set_query(Some(path.query()).filter(|query| !query.is_empty()));
        let shown = printable(&format!("{method} /{}", path.path()));
        Ok(Request {
            method,
            url,
            address,
            shown,
            login: self.login.clone(),
            content: None,
            headers: Vec::new(),
            within,
            limit,
            values: VALUES,
        })
    }
}

/// A request, with the limits of its answer.
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) address: String,
    pub(super) shown: String,
    pub(super) login: Option<(String, String)>,
    pub(super) content: Option<(String, Vec<u8>)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) within: Duration,
    pub(super) limit: usize,
    pub(super) values: usize,
}

impl Request {
    /// The value of a header.
    #[cfg(test)]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// With a JSON body.
    #[must_use]
    pub fn with_json(self, value: &impl Serialize) -> Self {
        // The types of controllers always serialise.
        self.with_content("application/json", serde_json::to_vec(value).unwrap_or_default())
    }

    /// With a body of this media type.
    #[must_use]
    pub fn with_content(mut self, kind: &str, content: Vec<u8>) -> Self {
        self.content = Some((kind.to_owned(), content));
        self
    }

    /// With another limit for the values of the answer: at least one.
    #[must_use]
    pub fn with_values(mut self, most: usize) -> Self {
        self.values = most.max(1);
        self
    }

    /// With a further header. A value that HTTP cannot carry fails when the request is sent.
    #[must_use]
    pub fn with_header(mut self, key: &str, value: &str) -> Self {
        self.headers.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The value of the header `host`: the port is left out where it is the usual one.
    pub(crate) fn host(&self) -> &str {
        self.url.authority()
    }

    /// Path and query as they are sent.
    pub(crate) fn target(&self) -> (&str, &str) {
        (self.url.path(), self.url.query().unwrap_or_default())
    }

    /// Method and path, for messages: without the query, which may be long.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}
