//! What every request must pass, whatever its path: the rate limit, then the redirect to https.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::limit::{Limit, Standing};
use super::listener::Client;

/// What a browser is told of every answer.
const SECURE: [(&str, &str); 6] = [
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("x-xss-protection", "1; mode=block"),
    ("content-security-policy", "default-src 'self'"),
    ("strict-transport-security", "max-age=315360000; includeSubdomains"),
    ("x-download-options", "noopen"),
];

/// The gate.
pub(super) struct Gate {
    limit: Limit,
    dev: bool,
}

impl Gate {
    /// Fifty requests in an hour, unless it is said otherwise.
    pub(super) fn new(limit: &str, dev: bool) -> Result<Self, String> {
        let most = match limit {
            "" => 50,
            limit => limit.parse().map_err(|_| format!("strconv.Atoi: parsing {limit:?}: invalid syntax"))?,
        };
        Ok(Self { limit: Limit::new(if dev { 100_000 } else { most }), dev })
    }

    /// Lets a request in, with headers for its answer, or answers itself.
    pub(super) fn pass(&self, request: &Request) -> Result<HeaderMap, Box<Response>> {
        let connection = request.extensions().get::<ConnectInfo<Client>>().map(|ConnectInfo(client)| *client);
        let client = client(request.headers(), connection.map(|client| client.address));
        let standing = self.limit.count(&client, Instant::now());
        let mut headers = rates(&standing);
        if standing.is_over {
            return Err(Box::new((StatusCode::TOO_MANY_REQUESTS, headers, "Limit exceeded").into_response()));
        }
        if self.dev {
            return Ok(headers);
        }
        headers.extend(SECURE.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))));
        if connection.is_some_and(|client| client.is_encrypted) || is_forwarded(request.headers()) {
            return Ok(headers);
        }
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if let Ok(location) = HeaderValue::from_str(&format!("https://{host}{}", request.uri())) {
            headers.insert(header::LOCATION, location);
        }
        Err(Box::new((StatusCode::MOVED_PERMANENTLY, headers).into_response()))
    }
}

/// What a client says of itself is believed.
fn client(headers: &HeaderMap, connection: Option<SocketAddr>) -> String {
    let first = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?.split(',').next()?.trim();
        Some(value.to_owned()).filter(|value| !value.is_empty())
    };
    let connection = || connection.map(|address| address.ip().to_string()).unwrap_or_default();
    first("X-Forwarded-For").or_else(|| first("X-Real-Ip")).unwrap_or_else(connection)
}

/// Whether a proxy says that it was asked with TLS.
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.get("X-Forwarded-Proto").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"))
}

fn rates(standing: &Standing) -> HeaderMap {
    let reset = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + standing.rest;
    let mut headers = HeaderMap::new();
    headers.insert("X-RateLimit-Limit", standing.most.into());
    headers.insert("X-RateLimit-Remaining", standing.left.into());
    headers.insert("X-RateLimit-Reset", reset.as_secs().into());
    headers
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(headers: &[(&str, &str)], is_encrypted: bool) -> Request {
        let mut request = Request::builder().uri("/v2/systems/check?a=b").header("Host", "api:6767");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client = Client { address: ([10, 0, 0, 1], 5).into(), is_encrypted };
        request.extension(ConnectInfo(client)).body(Body::empty()).unwrap()
    }

    fn gate(limit: &str, dev: bool) -> Gate {
        Gate::new(limit, dev).unwrap()
    }

    fn refused(gate: &Gate, request: &Request) -> (u16, HeaderMap) {
        let response = gate.pass(request).unwrap_err();
        (response.status().as_u16(), response.headers().clone())
    }

    #[test]
    fn plain_http_is_sent_to_https() {
        let (status, headers) = refused(&gate("", false), &request(&[], false));
        assert_eq!((status, headers["Location"].to_str().unwrap()), (301, "https://api:6767/v2/systems/check?a=b"));
    }

    #[test]
    fn tls_forwarded_https_and_dev_mode_are_let_in() {
        assert!(gate("", false).pass(&request(&[], true)).is_ok());
        assert!(gate("", false).pass(&request(&[("X-Forwarded-Proto", "https")], false)).is_ok());
        assert!(gate("", true).pass(&request(&[], false)).is_ok());
        assert!(gate("", false).pass(&request(&[("X-Forwarded-Proto", "http")], false)).is_err());
    }

    #[test]
    fn limit_is_fifty_and_comes_before_the_redirect() {
        let gate = gate("", false);
        for _ in 0..50 {
            assert_eq!(refused(&gate, &request(&[], false)).0, 301);
        }
        assert_eq!(refused(&gate, &request(&[("X-Forwarded-Proto", "https")], false)).0, 429);
        assert_eq!(refused(&gate, &request(&[("X-Forwarded-For", "1.1.1.1, 10.0.0.1")], false)).0, 301);
    }

    #[test]
    fn limit_must_be_a_number() {
        assert!(Gate::new("many", false).is_err());
        assert!(gate("1", false).pass(&request(&[], true)).is_ok());
    }
}
