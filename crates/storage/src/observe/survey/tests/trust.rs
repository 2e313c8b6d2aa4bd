//! The authority in a user's Secret, against a server with TLS: from the Secret to the condition.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};
use serde_json::json;
use temporal_stack_common::{component::Waiting, manifest};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{
    decide::decide,
    fixture::{self, defaults, object},
    names::{KEY_ID, KEY_SECRET},
    reason,
};

/// An authority that signs certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self { pem: params.self_signed(&key).unwrap().pem(), issuer: Issuer::new(params, key) }
    }

    /// A certificate for an address, and its key.
    fn issue(&self, address: &str) -> (CertificateDer<'static>, PrivatePkcs8KeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![address.to_owned()]).unwrap().signed_by(&key, &self.issuer);
        (certificate.unwrap().der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()))
    }
}

/// The endpoint of an object storage without buckets, with a certificate of this authority for this address.
async fn storage(authority: &Authority, address: &str) -> String {
    let (certificate, key) = authority.issue(address);
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate], key.into()).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client without trust ends the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer(OK, "<ListAllMyBucketsResult/>").as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    endpoint
}

/// What a pass over an object concludes whose Secret has this endpoint and authority.
async fn concluded(endpoint: &str, authority: Option<&Authority>) -> Option<Waiting> {
    let keys = [("endpoint", endpoint), (KEY_ID, ID), (KEY_SECRET, SECRET)];
    let keys: Vec<(&str, &str)> =
        keys.into_iter().chain(authority.map(|authority| ("ca.crt", authority.pem.as_str()))).collect();
    let secret = manifest::secret("theirs".to_owned(), &keys);
    let store = access::read("theirs", Some(&secret)).read.unwrap();
    let survey = external(&store, &BTreeMap::new()).await;
    let observed = fixture::external(Some(keys.as_slice()), survey);
    let object = object(&json!({"provider": {"external": {"secretName": "theirs"}}}));
    decide(&object, &observed, &defaults()).intent.unwrap().waiting
}

#[tokio::test]
async fn only_the_authority_of_the_secret_is_trusted() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let endpoint = storage(&ours, "127.0.0.1").await;
    assert_eq!(concluded(&endpoint, Some(&ours)).await, None, "the right authority");
    for (case, authority) in [("another authority", Some(&other)), ("the authorities of the system", None)] {
        let Waiting { reason, message } = concluded(&endpoint, authority).await.expect(case);
        assert_eq!(reason, reason::STORAGE_UNREACHABLE, "{case}");
        for part in [&endpoint["https://".len()..], "certificate", "ca.crt", "spec.provider.external"] {
            assert!(message.contains(part), "{case}: {part}: {message}");
        }
    }
}

#[tokio::test]
async fn certificate_of_another_host_is_not_trusted() {
    let ours = Authority::new("ours");
    let endpoint = storage(&ours, "127.0.0.2").await;
    let Waiting { reason, message } = concluded(&endpoint, Some(&ours)).await.expect("another host");
    assert_eq!(reason, reason::STORAGE_UNREACHABLE);
    assert!(message.contains("certificate"), "{message}");
}
