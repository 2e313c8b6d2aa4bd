//! Certificates as `linkerd install` makes them: a trust anchor that is the issuer, and the webhook's own.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use sha2::{Digest as _, Sha256};

/// The common name of what identifies pods.
const NAME: &str = "identity.linkerd.cluster.local";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate with its key, both as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// An authority: it signs, and is trusted by itself.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate and key.
    pub pair: Pair,
}

impl Authority {
    /// One that is valid for so many days from now on; a negative number is that of the days since it expired.
    pub fn valid_for(days: i32) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, NAME);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let end = end(days);
        params.not_before = (end - 400 * DAY).into();
        params.not_after = end.into();
        let certificate = params.self_signed(&key)?.pem();
        let pair = Pair { certificate, key: key.serialize_pem() };
        Ok(Self { issuer: Issuer::new(params, key), pair })
    }

    /// A certificate of a server with these names or addresses, for a day.
    pub fn server(&self, names: &[String]) -> Result<Pair> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = (SystemTime::now() - DAY).into();
        params.not_after = end(1).into();
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Pair { certificate, key: key.serialize_pem() })
    }
}

/// What is on injected pods about a bundle of trust anchors: it changes with them.
pub fn fingerprint(bundle: &str) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    Sha256::digest(bundle.as_bytes()).iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn end(days: i32) -> SystemTime {
    let distance = DAY * days.unsigned_abs();
    // An hour more: a test that waits for "29 days" must not see 28 because it is a second late.
    let now = SystemTime::now() + Duration::from_secs(60 * 60);
    if days < 0 { now - distance } else { now + distance }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_the_hash_of_the_bundle() {
        assert_eq!(fingerprint(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn expired_authority_still_has_a_certificate() {
        let pair = Authority::valid_for(-1).unwrap().pair;
        assert!(pair.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(Authority::valid_for(3).unwrap().server(&["127.0.0.1".to_owned()]).is_ok());
    }
}
