//! How the API speaks TLS: with the user's certificate, with one that the controller makes, or not at all.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde_json::json;
use temporal_stack_common::{
    api::Temporal, binding::text, component::Progress, condition::reason, manifest::hash, world::World,
};

use super::{made, read};
use crate::{
    Error,
    certificate::{self, CA_KEY, Keys, Made, TLS_KEY},
    desire::{FOR_NAMES, RENEWAL},
    names,
    settings::Settings,
};

/// How the API speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// Not at all: the user names no paths.
    Off,
    /// With the Secret of this name; the text changes with its content.
    Users {
        /// Its name.
        secret: String,
        /// A hash of its certificate.
        version: String,
        /// The authority's certificate, if it is in there.
        ca: Option<String>,
    },
    /// With a certificate that the controller makes; absent until its keys are drawn.
    Made(Option<Made>),
    /// The user's Secret is not usable.
    Unusable(Progress),
}

pub(super) async fn tls(
    object: &Temporal,
    settings: &Settings,
    api_ip: Option<&str>,
    world: &World<'_>,
) -> Result<Tls, Error> {
    if settings.certificate().is_none() {
        return Ok(Tls::Off);
    }
    if let Some(name) = object.spec.tls.as_ref().and_then(|tls| tls.secret_name.as_deref()) {
        let secret = world.secret(name).await.map_err(read(format!("Secret/{name}")))?;
        return Ok(users(name, secret.as_ref()));
    }
    let keys = world.children.find::<Secret>(&names::certificate_keys(object));
    let Some(drawn) = keys.as_ref() else { return Ok(Tls::Made(None)) };
    let (Some(ca), Some(api)) = (text(drawn, CA_KEY), text(drawn, TLS_KEY)) else { return Ok(Tls::Made(None)) };
    // Its address is one of its names.
    let Some(api_ip) = api_ip else { return Ok(Tls::Made(None)) };
    let names = callings(object, api_ip);
    let now = SystemTime::now();
    let live = world.children.find::<Secret>(&names::certificate(object));
    if let Some(made) = live.as_ref().and_then(|live| still_good(live, api, &names, now)) {
        return Ok(Tls::Made(Some(made)));
    }
    let keys = Keys { ca, api, drawn: made(&drawn.metadata) };
    if let Some(wrong) = names.iter().find(|name| !name.is_ascii()) {
        let message = format!(
            "{wrong} in spec.tls.names or spec.ingress.host is no name that a certificate can have; write it in letters of ASCII (xn--…)"
        );
        return Ok(Tls::Unusable(Progress::Stalled { reason: reason::INVALID_SPEC, message }));
    }
    Ok(Tls::Made(Some(certificate::make(&keys, &names, now)?)))
}

fn users(name: &str, secret: Option<&Secret>) -> Tls {
    let unusable = |reason, message: String| Tls::Unusable(Progress::Stalled { reason, message });
    let Some(secret) = secret else {
        let message = format!(
            "spec.tls.secretName: there is no Secret/{name}; make it with the keys tls.crt and tls.key, or leave the field out"
        );
        return unusable(reason::SECRET_MISSING, message);
    };
    let (Some(certificate), Some(_)) = (text(secret, "tls.crt"), text(secret, "tls.key")) else {
        let message = format!("Secret/{name}, named in spec.tls.secretName: it must have the keys tls.crt and tls.key");
        return unusable(reason::SECRET_INCOMPLETE, message);
    };
    Tls::Users {
        secret: name.to_owned(),
        version: hash(&json!(certificate)),
        ca: text(secret, "ca.crt").map(str::to_owned),
    }
}

/// What clients may call the API.
fn callings(object: &Temporal, api_ip: &str) -> Vec<String> {
    let (service, namespace) = (names::api(object), object.namespace().unwrap_or_default());
    let within = [
        names::host(object, &service),
        service.clone(),
        format!("{service}.{namespace}"),
        format!("{service}.{namespace}.svc.cluster.local"),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        api_ip.to_owned(),
    ];
    let asked = object.spec.tls.iter().flat_map(|tls| tls.names.iter().cloned());
    let outside = object.spec.ingress.iter().map(|ingress| ingress.host.clone());
    within.into_iter().chain(asked).chain(outside).collect()
}

/// What a certificate says of its names and of itself: where that changes, it is made anew.
pub(crate) fn for_names(object: &Temporal, api_ip: &str, made: &Made) -> String {
    mark(&callings(object, api_ip), &made.ca, &made.certificate)
}

fn mark(names: &[String], ca: &str, certificate: &str) -> String {
    hash(&json!([names, ca, certificate]))
}

fn still_good(live: &Secret, key: &str, names: &[String], now: SystemTime) -> Option<Made> {
    let renewal: u64 = live.annotations().get(RENEWAL)?.parse().ok()?;
    let part = |key| text(live, key).map(str::to_owned);
    let is_for_these = live.annotations().get(FOR_NAMES)? == &mark(names, &part("ca.crt")?, &part("tls.crt")?);
    // Anybody may edit the annotation: a time that no certificate of ours has is not believed.
    let renewed_at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(renewal))?;
    let is_young = now < renewed_at && renewed_at <= now.checked_add(certificate::RENEWED_AFTER)?;
    let is_of_key = text(live, "tls.key") == Some(key);
    (is_for_these && is_young && is_of_key).then_some(())?;
    Some(Made { key: key.to_owned(), ca: part("ca.crt")?, certificate: part("tls.crt")?, renewal })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(renewal: &str) -> Secret {
        let data = ["ca.crt", "tls.crt", "tls.key"].map(|key| (key.to_owned(), json!("YQ==")));
        let annotations = json!({RENEWAL: renewal, FOR_NAMES: mark(&[], "a", "a")});
        let data = serde_json::Map::from_iter(data);
        serde_json::from_value(json!({"metadata": {"annotations": annotations}, "data": data})).unwrap()
    }

    #[test]
    fn a_renewal_that_no_certificate_has_is_not_believed() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let is_good = |renewal: &str| still_good(&live(renewal), "a", &[], now).is_some();
        assert!(is_good("1800000001"));
        for renewal in ["1800000000", "1900000000", "9223372036854775807", "18446744073709551615", "-1", ""] {
            assert!(!is_good(renewal), "{renewal}");
        }
    }
}
