//! When certificates expire. Only public certificates are read.

use k8s_openapi::{
    api::{admissionregistration::v1::WebhookClientConfig, core::v1::Secret},
    jiff::{SignedDuration, Timestamp},
};
use serde::{Deserialize, Serialize};
use x509_parser::pem::Pem;

use crate::names::ISSUER_KEYS;

/// The most bytes of a bundle that are read.
const LONGEST: usize = 256 << 10;
/// The most certificates of a bundle.
const MOST: usize = 32;

/// How long before its end a certificate is reported, at most.
const EARLY: SignedDuration = SignedDuration::from_hours(30 * 24);
/// At most this part of its time before its end: an issuer of cert-manager may be valid for two days, and be renewed in time.
const PART: i32 = 4;

/// When the certificates of a bundle expire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expiry {
    /// When the first of them expires.
    pub(crate) first: Timestamp,
    /// When the last of them expires.
    pub(crate) last: Timestamp,
    /// From when on one of them is reported, because it should have been renewed.
    pub(crate) due: Timestamp,
    /// How many there are.
    pub(crate) count: usize,
}

impl Expiry {
    /// The certificates of a bundle in PEM; `None` if there is none, or one does not parse.
    pub(crate) fn of_bundle(bundle: &[u8]) -> Option<Self> {
        if bundle.len() > LONGEST {
            return None;
        }
        let all: Option<Vec<Self>> =
            Pem::iter_from_buffer(bundle).take(MOST).map(|pem| Self::of_certificate(&pem.ok()?)).collect();
        all?.into_iter().reduce(|one, other| Self { last: one.last.max(other.last), ..one.with(other) })
    }

    /// The certificate of the issuer in its Secret. The key beside it is not read.
    pub(crate) fn of_issuer(secret: &Secret) -> Option<Self> {
        let data = secret.data.as_ref()?;
        let certificate = ISSUER_KEYS.iter().find_map(|key| data.get(*key))?;
        // A chain begins with the issuer itself.
        let pem = Pem::iter_from_buffer(certificate.0.get(..LONGEST).unwrap_or(&certificate.0)).next()?.ok()?;
        Self::of_certificate(&pem)
    }

    fn of_certificate(pem: &Pem) -> Option<Self> {
        let certificate = pem.parse_x509().ok()?;
        let (start, end) = (&certificate.validity().not_before, &certificate.validity().not_after);
        let (start, end) =
            (Timestamp::from_second(start.timestamp()).ok()?, Timestamp::from_second(end.timestamp()).ok()?);
        let early = EARLY.min(end.duration_since(start) / PART);
        Some(Self { first: end, last: end, due: end.checked_sub(early).ok()?, count: 1 })
    }

    /// The same with others that are needed, too.
    fn with(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.min(other.last),
            due: self.due.min(other.due),
            count: self.count + other.count,
        }
    }

    /// The bundles by which the API server trusts the webhooks of a configuration: the first that fails makes it useless.
    pub(crate) fn of_webhooks<'a>(bundles: impl Iterator<Item = &'a WebhookClientConfig>) -> Option<Self> {
        let bundles = bundles.filter_map(|config| Self::of_bundle(&config.ca_bundle.as_ref()?.0));
        bundles.reduce(Self::with)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    const SHORT: &str = include_str!("../../tests/certificates/of-two-days.pem");
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
    fn certificate_of_two_days_is_due_in_its_last_quarter() {
        let due = |bundle: &str| Expiry::of_bundle(bundle.as_bytes()).unwrap().due.to_string();
        assert_eq!(due(SHORTER), "2034-02-01T21:48:58Z");
        assert_eq!(due(SHORT), "2026-12-02T10:20:04Z");
        assert_eq!(due(&format!("{LONGER}{SHORT}")), due(SHORT));
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
