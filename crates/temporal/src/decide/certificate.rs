//! The certificate of the API if the user has none: with an RSA key, because with TLS 1.2 the API offers no other cipher.
//!
//! Two keys are generated once and kept. The authority's certificate follows from its key and the time it was generated, so
//! clients can keep trusting it; the API's is renewed when a third of its lifetime is left, or its names change. All of it is
//! pure: the time is an argument, and RSA signatures of this kind have no randomness.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, SanType, SerialNumber,
};
use rsa::{
    RsaPrivateKey,
    pkcs8::{EncodePrivateKey, LineEnding},
};
use serde_json::json;
use temporal_stack_common::{
    binding::text,
    manifest::{Draw, hash},
};
use time::OffsetDateTime;

use crate::names::{CA_CERTIFICATE, CA_KEY, FINGERPRINT, RENEWAL, TLS_CERTIFICATE, TLS_KEY};

/// The random values.
pub(crate) const GENERATED: [Draw; 2] = [Draw::Bytes(CA_KEY, generate_key), Draw::Bytes(TLS_KEY, generate_key)];

const BITS: usize = 2048;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long the API's certificate is valid.
const VALID: Duration = DAY.saturating_mul(365);
/// When it is renewed.
const RENEWED_AFTER: Duration = DAY.saturating_mul(240);
/// How long the authority is valid.
const CA_VALID: Duration = DAY.saturating_mul(20 * 365);

/// The generated keys, as PEM, and when they were generated.
pub(crate) struct Keys<'a> {
    /// The authority's.
    pub(crate) ca: &'a str,
    /// The API's.
    pub(crate) api: &'a str,
    /// When they were generated.
    pub(crate) created: SystemTime,
}

/// A certificate with its authority, as PEM. `Debug` shows no key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// The API's key.
    pub(crate) key: String,
    /// The authority's certificate.
    pub(crate) ca: String,
    /// The API's.
    pub(crate) chain: String,
    /// When it is renewed, in seconds since 1970.
    pub(crate) renewal: u64,
    /// A hash of its names and of itself: if it differs, the Secret was edited, or the names have changed.
    pub(crate) fingerprint: String,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("renewal", &self.renewal).finish_non_exhaustive()
    }
}

/// A key from random bytes, as PEM.
fn generate_key(bytes: &[u8; 32]) -> String {
    let mut stream = ChaCha20Rng::from_seed(*bytes);
    // It fails only for sizes that are too small.
    let key = RsaPrivateKey::new(&mut stream, BITS).ok().and_then(|key| key.to_pkcs8_pem(LineEnding::LF).ok());
    key.map(|pem| pem.to_string()).unwrap_or_default()
}

/// The certificate of this Secret, if it has this key and these names, and is not due for renewal.
pub(crate) fn reuse(live: &Secret, key: &str, names: &[String], now: SystemTime) -> Option<Certificate> {
    let renewal: u64 = live.annotations().get(RENEWAL)?.parse().ok()?;
    let part = |key| text(live, key).map(str::to_owned);
    let (ca, certificate) = (part(CA_CERTIFICATE)?, part(TLS_CERTIFICATE)?);
    let fingerprint = fingerprint(names, &ca, &certificate);
    // Anyone may edit the annotation: a time that no certificate of ours can have is ignored.
    let renewed_at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(renewal))?;
    let is_young = now < renewed_at && renewed_at <= now.checked_add(RENEWED_AFTER)?;
    let is_as_issued = live.annotations().get(FINGERPRINT) == Some(&fingerprint) && text(live, TLS_KEY) == Some(key);
    (is_young && is_as_issued).then(|| Certificate {
        key: key.to_owned(),
        ca,
        chain: certificate,
        renewal,
        fingerprint,
    })
}

/// Issues the API's certificate for these names and addresses.
pub(crate) fn issue(keys: &Keys<'_>, names: &[String], now: SystemTime) -> Result<Certificate, rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name = distinguish("Temporal Kubernetes Stack");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.serial_number = Some(SerialNumber::from(1));
    authority.not_before = OffsetDateTime::from(keys.created - DAY);
    authority.not_after = OffsetDateTime::from(keys.created + CA_VALID);
    let ca_key = KeyPair::from_pem_and_sign_algo(keys.ca, &PKCS_RSA_SHA256)?;
    let ca = authority.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(authority, ca_key);

    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguish(names.first().map_or("temporal", String::as_str));
    params.subject_alt_names = names.iter().map(|name| parse_name(name)).collect::<Result<_, _>>()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from(since_1970));
    params.not_before = OffsetDateTime::from(now - DAY);
    params.not_after = OffsetDateTime::from(now + VALID);
    let key = KeyPair::from_pem_and_sign_algo(keys.api, &PKCS_RSA_SHA256)?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok(Certificate {
        key: keys.api.to_owned(),
        fingerprint: fingerprint(names, &ca, &certificate),
        ca,
        chain: certificate,
        renewal: since_1970 + RENEWED_AFTER.as_secs(),
    })
}

fn fingerprint(names: &[String], ca: &str, certificate: &str) -> String {
    hash(&json!([names, ca, certificate]))
}

fn distinguish(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    // Some clients refuse longer ones; only the alternative names count.
    distinguished.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    distinguished
}

fn parse_name(name: &str) -> Result<SanType, rcgen::Error> {
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => Ok(SanType::DnsName(name.try_into()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(renewal: &str) -> Secret {
        let data = [CA_CERTIFICATE, TLS_CERTIFICATE, TLS_KEY].map(|key| (key.to_owned(), json!("YQ==")));
        let annotations = json!({RENEWAL: renewal, FINGERPRINT: fingerprint(&[], "a", "a")});
        let data = serde_json::Map::from_iter(data);
        serde_json::from_value(json!({"metadata": {"annotations": annotations}, "data": data})).unwrap()
    }

    #[test]
    fn edited_renewal_time_is_ignored() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let is_reused = |renewal: &str| reuse(&live(renewal), "a", &[], now).is_some();
        assert!(is_reused("1800000001"));
        for renewal in ["1800000000", "1900000000", "9223372036854775807", "18446744073709551615", "-1", ""] {
            assert!(!is_reused(renewal), "{renewal}");
        }
    }

    #[test]
    fn renewed_certificate_keeps_its_authority() {
        // The same bytes give the same key.
        let [ca, again, api] = [1, 1, 2].map(|byte| generate_key(&[byte; 32]));
        assert!(ca == again && ca != api && ca.starts_with("-----BEGIN PRIVATE KEY-----"));
        let created = SystemTime::UNIX_EPOCH + DAY.saturating_mul(20_000);
        let keys = Keys { ca: &ca, api: &api, created };
        let names = ["temporal-temporal-api.default.svc".to_owned(), "10.96.0.7".to_owned()];
        let first = issue(&keys, &names, created).unwrap();
        let second = issue(&keys, &names, created + RENEWED_AFTER).unwrap();
        assert_eq!(first.ca, second.ca);
        assert_ne!(first.chain, second.chain);
    }
}
