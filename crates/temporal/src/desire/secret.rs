//! Secrets: generated keys, environments, the certificate, and the binding.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use temporal_stack_common::{binding::Binding, manifest::secret};

use crate::{
    decide::{certificate::Certificate, tls::Tls, view::View},
    names::{API, CA_CERTIFICATE, FINGERPRINT, Names, RENEWAL, TLS_CERTIFICATE, TLS_KEY},
};

/// Variables that pods read.
pub(super) fn environment(name: &str, variables: BTreeMap<&'static str, String>) -> Secret {
    let data = variables.into_iter().map(|(name, value)| (name.to_owned(), ByteString(value.into_bytes())));
    Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        data: Some(data.collect()),
        ..Secret::default()
    }
}

/// The certificate of the API with its key and its authority.
pub(super) fn certificate(names: &Names, issued: &Certificate) -> Secret {
    let Certificate { key, ca, chain: certificate, renewal, fingerprint } = issued;
    let keys = [(TLS_CERTIFICATE, certificate.as_str()), (TLS_KEY, key), (CA_CERTIFICATE, ca)];
    let mut secret = secret(names.certificate.clone(), &keys);
    secret.type_ = Some("kubernetes.io/tls".to_owned());
    secret.metadata.annotations = Some(BTreeMap::from([
        (RENEWAL.to_owned(), renewal.to_string()),
        (FINGERPRINT.to_owned(), fingerprint.clone()),
    ]));
    secret
}

/// The binding for clients of the API.
pub(super) fn binding(view: &View<'_>) -> Secret {
    let authority = match &view.tls {
        Ok(Tls::Generated(Some(certificate))) => certificate.ca.clone(),
        Ok(Tls::Users { ca: Some(ca), .. }) => ca.clone(),
        _ => String::new(),
    };
    let binding = Binding {
        type_: "temporal".to_owned(),
        provider: "temporal".to_owned(),
        host: view.names.host(&view.names.api),
        port: API,
        uri: view.url(),
        more: BTreeMap::from([(CA_CERTIFICATE, authority)]),
        ..Binding::default()
    };
    binding.secret(&view.names.binding)
}
