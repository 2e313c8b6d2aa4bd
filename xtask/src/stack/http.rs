//! HTTP as the demo speaks it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::blocking::{Client, ClientBuilder, RequestBuilder};
use reqwest::redirect::Policy;
use reqwest::{Certificate, StatusCode};
use serde_json::Value;

use super::access::Reached;

/// An upload is answered when Kubo has it.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// A client, and what its URLs begin with. A certificate is checked against `ca`, and against nothing else, where there is one.
pub(super) fn client(at: &Reached, ca: Option<&[u8]>) -> Result<(Client, String)> {
    // The one of common is not blocking.
    temporal_stack_common::process::install_crypto();
    let mut builder: ClientBuilder = Client::builder().timeout(ANSWERS_WITHIN).no_proxy().redirect(Policy::none());
    if let (Some(address), Some(host)) = (at.address, at.url.host_str()) {
        builder = builder.resolve(host, address);
    }
    if let Some(ca) = ca {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(ca).context("the CA of the binding is no PEM")?);
    }
    let client = builder.build().context("could not make an HTTP client")?;
    Ok((client, at.url.as_str().trim_end_matches('/').to_owned()))
}

/// The status and the JSON of an answer; text that is none stands for itself.
pub(super) fn answer(request: RequestBuilder) -> Result<(StatusCode, Value)> {
    let answer = request.send()?;
    let status = answer.status();
    let text = answer.text()?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
}
