//! When certificates expire. Only public certificates are read.

use k8s_openapi::{api::core::v1::Secret, jiff::Timestamp};
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
        Some(Self { first: ends.iter().min().copied()?, count: ends.len() })
    }

    /// The certificate of the issuer in its Secret. The key beside it is not read.
    pub(crate) fn of_issuer(secret: &Secret) -> Option<Self> {
        let data = secret.data.as_ref()?;
        let certificate = ISSUER_KEYS.iter().find_map(|key| data.get(*key))?;
        // A chain begins with the issuer itself.
        let end = Pem::iter_from_buffer(certificate.0.get(..LONGEST).unwrap_or(&certificate.0)).next()?.ok()?;
        let not_after = end.parse_x509().ok()?.validity().not_after.timestamp();
        Some(Self { first: Timestamp::from_second(not_after).ok()?, count: 1 })
    }
}
