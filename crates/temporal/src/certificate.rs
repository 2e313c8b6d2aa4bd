//! The certificate of the API where the user has none: an RSA one, because with TLS 1.2 the API offers no other cipher.
//!
//! Two keys are drawn once and kept. The authority's certificate follows from its key and the time it was drawn, so clients that
//! trust it need not be told of another; the API's is made anew when a third of its time is left, or its names change.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, SanType, SerialNumber,
};
use rsa::{
    RsaPrivateKey,
    pkcs8::{EncodePrivateKey, LineEnding},
};
use temporal_stack_common::manifest::Draw;
use time::OffsetDateTime;

/// Keys of the Secret with what is drawn.
pub(crate) const CA_KEY: &str = "ca.key";
/// See [`CA_KEY`].
pub(crate) const TLS_KEY: &str = "tls.key";
/// What is drawn.
pub(crate) const DRAWN: [Draw; 2] = [Draw::Bytes(CA_KEY, key_of), Draw::Bytes(TLS_KEY, key_of)];

const BITS: usize = 2048;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long the API's certificate is valid.
const VALID: Duration = DAY.saturating_mul(365);
/// When it is made again.
pub(crate) const RENEWED_AFTER: Duration = DAY.saturating_mul(240);
/// How long the authority is valid.
const CA_VALID: Duration = DAY.saturating_mul(20 * 365);

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A key or a name is none.
    #[error(transparent)]
    Unusable(#[from] rcgen::Error),
}

/// The keys that were drawn, as PEM, and when.
pub(crate) struct Keys<'a> {
    /// The authority's.
    pub(crate) ca: &'a str,
    /// The API's.
    pub(crate) api: &'a str,
    /// When they were drawn.
    pub(crate) drawn: SystemTime,
}

/// A certificate with its authority, as PEM. `Debug` shows no key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Made {
    /// The API's key.
    pub(crate) key: String,
    /// The authority's certificate.
    pub(crate) ca: String,
    /// The API's.
    pub(crate) certificate: String,
    /// When it is to be made anew, in seconds since 1970.
    pub(crate) renewal: u64,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Made").field("renewal", &self.renewal).finish_non_exhaustive()
    }
}

/// A key of random bytes, as PEM. It draws nothing itself.
fn key_of(bytes: &[u8; 32]) -> String {
    let mut stream = ChaCha20Rng::from_seed(*bytes);
    // It fails only for sizes that are too small.
    let key = RsaPrivateKey::new(&mut stream, BITS).ok().and_then(|key| key.to_pkcs8_pem(LineEnding::LF).ok());
    key.map(|pem| pem.to_string()).unwrap_or_default()
}

/// Makes the API's certificate for these names and addresses.
pub(crate) fn make(keys: &Keys<'_>, names: &[String], now: SystemTime) -> Result<Made, Failure> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name = named("Temporal Kubernetes Stack");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.serial_number = Some(SerialNumber::from(1));
    authority.not_before = OffsetDateTime::from(keys.drawn - DAY);
    authority.not_after = OffsetDateTime::from(keys.drawn + CA_VALID);
    let ca_key = KeyPair::from_pem_and_sign_algo(keys.ca, &PKCS_RSA_SHA256)?;
    let ca = authority.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(authority, ca_key);

    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut params = CertificateParams::default();
    params.distinguished_name = named(names.first().map_or("temporal", String::as_str));
    params.subject_alt_names = names.iter().map(|name| alternative(name)).collect::<Result<_, _>>()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from(since_1970));
    params.not_before = OffsetDateTime::from(now - DAY);
    params.not_after = OffsetDateTime::from(now + VALID);
    let key = KeyPair::from_pem_and_sign_algo(keys.api, &PKCS_RSA_SHA256)?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok(Made { key: keys.api.to_owned(), ca, certificate, renewal: since_1970 + RENEWED_AFTER.as_secs() })
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    // Longer ones are refused by some clients; the alternative names count anyway.
    distinguished.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    distinguished
}

fn alternative(name: &str) -> Result<SanType, rcgen::Error> {
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => Ok(SanType::DnsName(name.try_into()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_make_the_same_key_and_the_authority_stays_when_the_certificate_is_made_anew() {
        let (ca, api) = (key_of(&[1; 32]), key_of(&[2; 32]));
        assert_eq!(ca, key_of(&[1; 32]));
        assert!(ca.starts_with("-----BEGIN PRIVATE KEY-----") && ca != api);
        let drawn = SystemTime::UNIX_EPOCH + DAY.saturating_mul(20_000);
        let keys = Keys { ca: &ca, api: &api, drawn };
        let names = ["temporal-temporal-api.default.svc".to_owned(), "10.96.0.7".to_owned()];
        let first = make(&keys, &names, drawn).unwrap();
        let second = make(&keys, &names, drawn + RENEWED_AFTER).unwrap();
        assert_eq!(first.ca, second.ca);
        assert_ne!(first.certificate, second.certificate);
    }
}
