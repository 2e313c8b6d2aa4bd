//! When certificates expire. Only public certificates are read.

use k8s_openapi::{
    api::{admissionregistration::v1::WebhookClientConfig, core::v1::Secret},
    jiff::Timestamp,
};
use serde::{Deserialize, Serialize};
use x509_parser::pem::Pem;

use crate::names::ISSUER_KEYS;

/// The most bytes of a bundle that are read.
const LONGEST: usize = 256 << 10;
/// The most certificates of a bundle.
const MOST: usize = 32;

/// When the certificates of a bundle expire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expiry {
    /// When the first of them expires.
    pub(crate) first: Timestamp,
    /// When the last of them expires.
    pub(crate) last: Timestamp,
    /// How many there are.
    pub(crate) count: usize,
}

impl Expiry {
    /// The certificates of a bundle in PEM; `None` if there is none, or one does not parse.
    pub(crate) fn of_bundle(bundle: &[u8]) -> Option<Self> {
        if bundle.len() > LONGEST {
            return None;
        }
        let ends: Option<Vec<Timestamp>> = Pem::iter_from_buffer(bundle)
            .take(MOST)
            .map(|pem| {
                let pem = pem.ok()?;
                let certificate = pem.parse_x509().ok()?;
                Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
            })
            .collect();
        let ends = ends?;
        Some(Self { first: ends.iter().min().copied()?, last: ends.iter().max().copied()?, count: ends.len() })
    }

    /// The certificate of the issuer in its Secret. The key beside it is not read.
    pub(crate) fn of_issuer(secret: &Secret) -> Option<Self> {
        let data = secret.data.as_ref()?;
        let certificate = ISSUER_KEYS.iter().find_map(|key| data.get(*key))?;
        // A chain begins with the issuer itself.
        let end = Pem::iter_from_buffer(certificate.0.get(..LONGEST).unwrap_or(&certificate.0)).next()?.ok()?;
        let not_after = end.parse_x509().ok()?.validity().not_after.timestamp();
        let end = Timestamp::from_second(not_after).ok()?;
        Some(Self { first: end, last: end, count: 1 })
    }

    /// The bundles by which the API server trusts the webhooks of a configuration: the first that fails makes it useless.
    pub(crate) fn of_webhooks<'a>(bundles: impl Iterator<Item = &'a WebhookClientConfig>) -> Option<Self> {
        let bundles = bundles.filter_map(|config| Self::of_bundle(&config.ca_bundle.as_ref()?.0));
        bundles.reduce(|one, other| Self {
            first: one.first.min(other.first),
            last: one.last.min(other.last),
            count: one.count + other.count,
        })
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    const SHORTER: &str = include_str!("../../tests/certificates/until-2034.pem");
    const LONGER: &str = include_str!("../../tests/certificates/until-2035.pem");
    const FIRST: &str = "2034-03-03T21:48:58Z";
    const LAST: &str = "2035-03-03T21:48:59Z";

    fn ends(expiry: Expiry) -> [String; 2] {
        [expiry.first.to_string(), expiry.last.to_string()]
    }

    fn webhook(bundle: &str) -> WebhookClientConfig {
        WebhookClientConfig { ca_bundle: Some(ByteString(bundle.as_bytes().to_vec())), ..Default::default() }
    }

    #[test]
    fn bundle_has_a_first_and_a_last_end() {
        let bundle = Expiry::of_bundle(format!("{LONGER}{SHORTER}").as_bytes()).unwrap();
        assert_eq!((ends(bundle), bundle.count), ([FIRST, LAST].map(str::to_owned), 2));
        assert_eq!(Expiry::of_bundle(b"nonsense"), None);
    }

    #[test]
    fn configuration_ends_with_the_first_of_its_webhooks() {
        let both = [webhook(LONGER), webhook(SHORTER)];
        assert_eq!(ends(Expiry::of_webhooks(both.iter()).unwrap()), [FIRST, FIRST]);
        // A bundle with the next certificate, too, is of use until that one ends.
        let both = [webhook(LONGER), webhook(&format!("{SHORTER}{LONGER}"))];
        assert_eq!(ends(Expiry::of_webhooks(both.iter()).unwrap()), [FIRST, LAST]);
        let without = [WebhookClientConfig::default(), webhook("nonsense")];
        assert_eq!(Expiry::of_webhooks(without.iter()), None);
    }
}
