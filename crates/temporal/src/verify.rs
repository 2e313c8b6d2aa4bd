//! Using Temporal as its users do: the API is asked, and the key server answers. Queues and tables were looked at in the pass.

use std::{net::SocketAddr, time::Duration};

use reqwest::{Certificate, Client, StatusCode};
use temporal_stack_common::{
    api::Temporal, binding::authority, component::Verdict, condition::reason, failure::chain, http,
};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    names::{self, API, KRAB},
    observe::{Observed, Tls},
    progress,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the API and the key server.
pub(crate) async fn verify(object: &Temporal, observed: &Observed) -> Verdict {
    let failed = |message: String| Verdict::Failed { reason: reason::VERIFICATION_FAILED, message };
    if let Err(failure) = key_server(observed).await {
        let name = names::krab(object);
        return failed(format!("the key server does not answer: {failure}; see kubectl logs statefulset/{name}"));
    }
    match api(object, observed).await {
        Ok(()) => Verdict::Verified("the API and the key server answer".to_owned()),
        Err(failure) => failed(format!(
            "{} does not answer: {failure}; see kubectl logs deployment/{}",
            progress::url(object, observed),
            names::api(object)
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
    let url = format!("{}/v2/systems/check", progress::url(object, observed));
    let client = client(object, observed).map_err(|error| chain(&error))?;
    // Without it, and without TLS, every request is sent elsewhere.
    let asking = client.get(url).header("X-Forwarded-Proto", "https").send();
    let answer = asking.await.map_err(|error| chain(&error.without_url()))?;
    match answer.status() {
        // It answers, and has been asked often.
        StatusCode::OK | StatusCode::TOO_MANY_REQUESTS => Ok(()),
        status => Err(format!("it says {status}")),
    }
}

/// A client that finds the API at its Service's address, and knows its authority where the controller is that.
fn client(object: &Temporal, observed: &Observed) -> reqwest::Result<Client> {
    let mut builder = http::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
    if let Some(ip) = observed.api_ip.as_deref().and_then(|ip| ip.parse().ok()) {
        builder = builder.resolve(&names::host(object, &names::api(object)), SocketAddr::new(ip, API));
    }
    builder = match &observed.tls {
        Tls::Made(Some(made)) => builder.tls_certs_only([Certificate::from_pem(made.ca.as_bytes())?]),
        // Whom the user trusts is not known here, and only whether it answers is asked.
        Tls::Users { .. } => builder.tls_danger_accept_invalid_certs(true),
        Tls::Off | Tls::Made(None) | Tls::Unusable(_) => builder,
    };
    builder.build()
}
