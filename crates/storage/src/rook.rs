//! Rook's side of a bucket: the kinds of others that it consists of, and what its provisioner writes.
//!
//! ```text
//!   StorageClass ──parameters──▶ CephObjectStore          both are the administrator's
//!        ▲
//!   ObjectBucketClaim ──▶ provisioner ──▶ ConfigMap (place) and Secret (key), with the name of the claim
//! ```
//!
//! # Caveats
//!
//! * The provisioner writes `bucketName` and `objectBucketName` into the *spec* of the claim: they are read here and never written.
//! * It overwrites a ConfigMap or Secret that has the name of the claim, so the names of claims are unpredictable.
//! * A claim whose bucket cannot be created has the phase `Pending`, without a reason, a condition or an event.

mod granted;
mod kinds;
mod observed;

pub(crate) use self::{
    granted::{Granted, Unusable, granted},
    kinds::{
        ALLOWED_FIELDS, CephObjectStore, Certificate, EXISTING_BUCKET, MAX_SIZE, OPERATOR_SETTINGS, ObjectBucketClaim,
        ObjectBucketClaimSpec, PROVISIONER, STORE, STORE_NAMESPACE, condition_text,
    },
    observed::{Around, Claimed, Class, Observed},
};
#[cfg(test)]
pub(crate) use kinds::CephObjectStoreSpec;
