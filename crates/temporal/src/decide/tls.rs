//! How the API serves TLS: with the user's certificate, with a generated one, or not at all.

use std::time::SystemTime;

use k8s_openapi::{api::core::v1::Secret, jiff::Timestamp};
use serde_json::json;
use temporal_stack_common::{api::TemporalSpec, binding::text, component::Stalled, manifest::hash};

use super::certificate::{self, Certificate, Keys};
use crate::{
    names::{CA_CERTIFICATE, CA_KEY, Names, TLS_CERTIFICATE, TLS_KEY},
    observed::Observed,
    reason,
};

/// How the API serves TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// No TLS: the user sets no paths.
    Off,
    /// With the certificate in the user's Secret.
    Users {
        /// The Secret's name.
        secret: String,
        /// A hash of its certificate.
        version: String,
        /// The authority's certificate, if present.
        ca: Option<String>,
    },
    /// With a generated certificate; absent until its keys are generated.
    Generated(Option<Certificate>),
}

/// Decides how the API serves TLS if the user has set paths.
pub(super) fn decide(names: &Names, spec: &TemporalSpec, observed: &Observed) -> Result<Tls, Stalled> {
    if let Some(name) = spec.tls.as_ref().and_then(|tls| tls.secret_name.as_deref()) {
        return check_users(name, observed.named.get(name).and_then(Option::as_ref));
    }
    let keys = observed.secrets.get(&names.certificate_keys);
    let pem = |key| keys.and_then(|keys| text(keys, key));
    // The address is one of the names.
    let (Some(keys), Some(ca), Some(api), Some(ip)) = (keys, pem(CA_KEY), pem(TLS_KEY), observed.api_ip.as_deref())
    else {
        return Ok(Tls::Generated(None));
    };
    let hosts = list_hosts(names, spec, ip);
    let now = SystemTime::from(observed.now);
    let live = observed.secrets.get(&names.certificate);
    if let Some(certificate) = live.and_then(|live| certificate::reuse(live, api, &hosts, now)) {
        return Ok(Tls::Generated(Some(certificate)));
    }
    // A creation time in the future is from a wrong clock.
    let created = keys.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let created = created.max(Timestamp::UNIX_EPOCH).min(observed.now);
    match certificate::issue(&Keys { ca, api, created: created.into() }, &hosts, now) {
        Ok(certificate) => Ok(Tls::Generated(Some(certificate))),
        Err(failure) => {
            let message = format!(
                "Secret/{} cannot be used to issue the API's certificate: {failure}; delete it to generate new keys",
                names.certificate_keys
            );
            Err(Stalled::new(reason::SECRET_INCOMPLETE, message))
        }
    }
}

fn check_users(name: &str, secret: Option<&Secret>) -> Result<Tls, Stalled> {
    let Some(secret) = secret else {
        let message = format!(
            "spec.tls.secretName: Secret/{name} does not exist; create it with the keys tls.crt and tls.key, or remove the field"
        );
        return Err(Stalled::new(reason::SECRET_MISSING, message));
    };
    let (Some(certificate), Some(_)) = (text(secret, TLS_CERTIFICATE), text(secret, TLS_KEY)) else {
        let message =
            format!("Secret/{name}, named in spec.tls.secretName, is incomplete; add the keys tls.crt and tls.key");
        return Err(Stalled::new(reason::SECRET_INCOMPLETE, message));
    };
    Ok(Tls::Users {
        secret: name.to_owned(),
        version: hash(&json!(certificate)),
        ca: text(secret, CA_CERTIFICATE).map(str::to_owned),
    })
}

/// The names and addresses by which clients may call the API.
fn list_hosts(names: &Names, spec: &TemporalSpec, api_ip: &str) -> Vec<String> {
    let (service, namespace) = (&names.api, &names.namespace);
    let within = [
        names.host(service),
        service.clone(),
        format!("{service}.{namespace}"),
        format!("{service}.{namespace}.svc.cluster.local"),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        api_ip.to_owned(),
    ];
    let wanted = spec.tls.iter().flat_map(|tls| tls.names.iter().cloned());
    let outside = spec.ingress.iter().map(|ingress| ingress.host.clone());
    within.into_iter().chain(wanted).chain(outside).collect()
}
