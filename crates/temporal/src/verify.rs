//! Using Temporal as its users do: the API is asked, and the key server answers. Queues and tables were looked at in the pass.

use std::{net::SocketAddr, time::Duration};

use kube::ResourceExt;
use temporal_stack_common::{
    api::Temporal,
    binding::authority,
    component::Verdict,
    condition::reason,
    failure::chain,
    http::{Client, Method, Path, Server, Trust},
    message::logs,
};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    names::{self, API, KRAB},
    observe::{Observed, Tls},
    progress,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an answer may be; a word or two are usual. In bytes.
const ANSWER: usize = 64 << 10;

/// Asks the API and the key server.
pub(crate) async fn verify(object: &Temporal, observed: &Observed) -> Verdict {
    let namespace = object.namespace().unwrap_or_default();
    let failed = |message: String| Verdict::Failed { reason: reason::VERIFICATION_FAILED, message };
    if let Err(failure) = key_server(observed).await {
        let name = names::krab(object);
        let see = logs(&namespace, &format!("statefulset/{name}"), "krab");
        return failed(format!("the key server does not answer: {failure}; see {see}"));
    }
    match api(object, observed).await {
        Ok(()) => Verdict::Verified("the API and the key server answer".to_owned()),
        Err(failure) => failed(format!(
            "{} does not answer: {failure}; see {}",
            progress::url(object, observed),
            logs(&namespace, &format!("deployment/{}", names::api(object)), "api")
        )),
    }
}

async fn key_server(observed: &Observed) -> Result<(), String> {
    let ip = observed.krab_ip.as_deref().ok_or("its Service has no address")?;
    let connecting = TcpStream::connect(authority(ip, KRAB));
    let connected = timeout(PATIENCE, connecting).await.map_err(|_| "no answer in time".to_owned())?;
    connected.map(drop).map_err(|error| error.to_string())
}

async fn api(object: &Temporal, observed: &Observed) -> Result<(), String> {
    let url = progress::url(object, observed);
    let server = Server::of_url(&url).ok_or_else(|| format!("{url} is no URL"))?;
    let asking = server.request(Method::GET, &Path::fixed("v2/systems/check"), PATIENCE, ANSWER);
    // Without it, and without TLS, every request is sent elsewhere.
    let asking = asking.map_err(|failure| chain(&failure))?.with_header("x-forwarded-proto", "https");
    let answer = client(object, observed).send(asking).await.map_err(|failure| chain(&failure))?;
    match answer.status {
        // It answers, and has been asked often.
        200 | 429 => Ok(()),
        status => Err(format!("it answers with status {status}")),
    }
}

/// A client that finds the API at its Service's address, and knows its authority where the controller is that.
fn client(object: &Temporal, observed: &Observed) -> Client {
    let host = names::host(object, &names::api(object));
    let ip = observed.api_ip.as_deref().and_then(|ip| ip.parse().ok());
    let trust = match &observed.tls {
        Tls::Made(Some(made)) => Trust::Only(&made.ca),
        // Whom the user trusts is not known here, and only whether it answers is asked.
        Tls::Users { .. } => Trust::Anybody,
        Tls::Off | Tls::Made(None) | Tls::Unusable(_) => Trust::Usual,
    };
    Client::trusting(trust, ip.map(|ip| (host.as_str(), SocketAddr::new(ip, API))))
}
