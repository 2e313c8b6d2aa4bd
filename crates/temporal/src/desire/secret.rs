//! Secrets: keys that are drawn, environments, the certificate, and the binding.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use temporal_stack_common::{api::Temporal, binding::Binding, login::secret, manifest::Draw};

use crate::{
    certificate::Made,
    names::{self, API},
    observe::{Observed, Tls},
    progress,
};

/// Keys of the Secret with what is drawn: with which the API signs tokens, …
pub(crate) const JWT: &str = "jwt-key";
/// … which the key server wants to hear, …
pub(crate) const KRAB: &str = "krab-auth-key";
/// … and with which its store is encrypted.
pub(crate) const KEYSTORE: &str = "krab-keystore-password";
/// What is drawn.
pub(super) const DRAWN: [Draw; 3] = [Draw::Letters(JWT), Draw::Letters(KRAB), Draw::Letters(KEYSTORE)];
/// Annotation of the certificate: when it is to be made anew, in seconds since 1970.
pub(crate) const RENEWAL: &str = "temporal-stack.dev/renewal";
/// Annotation of the certificate: a hash of its names, and of itself.
pub(crate) const FOR_NAMES: &str = "temporal-stack.dev/names";

/// The keys of Temporal; they are drawn when it is made.
pub(super) fn keys(object: &Temporal) -> Secret {
    secret(names::keys(object), &[])
}

/// The keys of the certificates; they are drawn when it is made.
pub(super) fn certificate_keys(object: &Temporal) -> Secret {
    secret(names::certificate_keys(object), &[])
}

/// What pods read as variables.
pub(super) fn environment(name: String, variables: BTreeMap<&'static str, String>) -> Secret {
    let data = variables.into_iter().map(|(name, value)| (name.to_owned(), ByteString(value.into_bytes())));
    Secret {
        metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
        data: Some(data.collect()),
        ..Secret::default()
    }
}

/// The certificate of the API with its key and its authority.
pub(super) fn certificate(object: &Temporal, observed: &Observed, made: Option<&Made>) -> Option<Secret> {
    let (made, ip) = (made?, observed.api_ip.as_deref()?);
    let parts = [("tls.crt", &made.certificate), ("tls.key", &made.key), ("ca.crt", &made.ca)];
    let annotations = BTreeMap::from([
        (RENEWAL.to_owned(), made.renewal.to_string()),
        (FOR_NAMES.to_owned(), crate::observe::for_names(object, ip, made)),
    ]);
    let mut made = secret(names::certificate(object), &parts.map(|(key, value)| (key, value.as_str())));
    made.type_ = Some("kubernetes.io/tls".to_owned());
    made.metadata.annotations = Some(annotations);
    Some(made)
}

/// What a client needs to use the API.
pub(super) fn binding(object: &Temporal, observed: &Observed) -> Secret {
    let authority = match &observed.tls {
        Tls::Made(Some(made)) => made.ca.clone(),
        Tls::Users { ca, .. } => ca.clone().unwrap_or_default(),
        Tls::Off | Tls::Made(None) | Tls::Unusable(_) => String::new(),
    };
    let binding = Binding {
        type_: "temporal".to_owned(),
        provider: "temporal".to_owned(),
        host: names::host(object, &names::api(object)),
        port: API,
        uri: progress::url(object, observed),
        more: BTreeMap::from([("ca.crt", authority)]),
        ..Binding::default()
    };
    binding.secret(&names::binding(object))
}
