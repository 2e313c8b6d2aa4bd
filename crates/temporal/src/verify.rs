//! Verification: uses Temporal as its users do: the API and the key server must answer. The pass has read queues and tables.

use std::{net::SocketAddr, time::Duration};

use temporal_stack_common::{
    component::Verdict,
    failure::chain,
    greeting::Greeting,
    http::{Client, Method, Path, Server, Trust},
};
use tokio::{net::TcpStream, time::timeout};

use crate::reason;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer may be, in bytes; a word or two are usual.
const LONGEST: usize = 64 << 10;

/// The servers to verify. It writes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The URL of the API.
    pub(crate) url: String,
    /// Its host, …
    pub(crate) host: String,
    /// … and its address, so that no name server is needed.
    pub(crate) api: SocketAddr,
    /// The only trusted authority for TLS, in PEM. `None`: it is unknown, and any certificate is accepted.
    pub(crate) authority: Option<String>,
    /// The command that prints its log.
    pub(crate) api_logs: String,
    /// The address of the key server, and the command that prints its log.
    pub(crate) krab: SocketAddr,
    pub(crate) krab_logs: String,
}

/// Asks the key server and the API.
pub(crate) async fn verify(probe: &Probe) -> Verdict {
    let failed = |message: String| Verdict::Failed { reason: reason::VERIFICATION_FAILED, message };
    if let Err(failure) = greet(probe.krab).await {
        return failed(format!("key server does not answer: {failure}; see {}", probe.krab_logs));
    }
    match request(probe).await {
        Ok(()) => Verdict::Verified("the API and the key server answer".to_owned()),
        Err(failure) => failed(format!("{} does not answer: {failure}; see {}", probe.url, probe.api_logs)),
    }
}

/// The key server answers every call, but only to a client that has its key; the greeting needs none.
async fn greet(address: SocketAddr) -> Result<(), String> {
    let greeting = async {
        let mut stream = TcpStream::connect(address).await?;
        Greeting::Http2.exchange(&mut stream).await
    };
    let greeted = timeout(PATIENCE, greeting).await.map_err(|_| "no answer in time".to_owned())?;
    greeted.map_err(|error| error.to_string())
}

async fn request(Probe { url, host, api, authority, .. }: &Probe) -> Result<(), String> {
    let server = Server::of_url(url).ok_or_else(|| format!("{url} is not a URL"))?;
    let request = server.request(Method::GET, &Path::fixed("v2/systems/check"), PATIENCE, LONGEST);
    // Without it, and without TLS, every request is redirected.
    let request = request.map_err(|failure| chain(&failure))?.with_header("x-forwarded-proto", "https");
    let trust = authority.as_deref().map_or(Trust::Anybody, Trust::Only);
    let client = Client::trusting(trust, Some((host.as_str(), *api)));
    let answer = client.send(request).await.map_err(|failure| chain(&failure))?;
    match answer.status {
        // Too many requests: it answers.
        200 | 429 => Ok(()),
        _ => Err(chain(&answer.refused())),
    }
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::testkit::refusing_proxy;

    use super::*;

    #[tokio::test]
    async fn key_server_behind_a_refusing_proxy_is_not_verified() {
        let krab = SocketAddr::from(([127, 0, 0, 1], refusing_proxy().await));
        assert_eq!(greet(krab).await, Err("the connection was accepted and closed".to_owned()));
    }
}
