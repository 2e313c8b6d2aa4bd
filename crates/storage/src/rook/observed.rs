//! What is known of Rook: the claims of an object, and what their provisioner depends on. Plain data.

use std::collections::{BTreeMap, BTreeSet};

use temporal_stack_common::world::Elsewhere;

use super::{
    granted::{Granted, Unusable},
    kinds::{CephObjectStore, ObjectBucketClaim, STORE, STORE_NAMESPACE},
};
use crate::observed::Survey;

/// Buckets of a Ceph cluster that Rook runs.
#[derive(Default)]
pub(crate) struct Observed {
    /// Whether the cluster has the kind of the claims.
    pub(crate) is_installed: bool,
    /// What the claims depend on.
    pub(crate) around: Around,
    /// The claims of this object, and those retained from an earlier object of its name.
    pub(crate) claims: Vec<Claimed>,
    /// The buckets of bound claims, by their names in the spec.
    pub(crate) survey: Survey,
}

/// The claim of a bucket.
#[derive(Debug)]
pub(crate) struct Claimed {
    /// The name of the bucket in the spec.
    pub(crate) bucket: String,
    /// The claim.
    pub(crate) claim: ObjectBucketClaim,
    /// Where the bucket is, and its owner's key, once the claim is bound.
    pub(crate) granted: Option<Result<Granted, Unusable>>,
}

/// What the provisioner of the claims depends on, as far as the controller may read it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Around {
    /// The class that the spec names.
    pub(crate) class: Class,
    /// The object store that the class names.
    pub(crate) store: Elsewhere<CephObjectStore>,
    /// The authority that signed the store's certificate, in PEM.
    pub(crate) authority: Option<String>,
    /// The additional settings that Rook's operator permits.
    pub(crate) allowed: Option<BTreeSet<String>>,
}

/// The `StorageClass` that the spec names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Class {
    /// The controller may not list classes.
    #[default]
    Unknown,
    /// It does not exist; these classes are for buckets.
    Missing { suitable: Vec<String> },
    /// It exists.
    Found {
        /// Who creates the buckets of its claims.
        provisioner: String,
        /// Its parameters.
        parameters: BTreeMap<String, String>,
        /// The classes for buckets.
        suitable: Vec<String>,
    },
}

impl Around {
    /// Namespace and name of the object store that the class names.
    pub(crate) fn store_name(&self) -> Option<(&str, &str)> {
        match &self.class {
            Class::Found { parameters, .. } => Some((parameters.get(STORE_NAMESPACE)?, parameters.get(STORE)?)),
            Class::Unknown | Class::Missing { .. } => None,
        }
    }

    /// The port at which the store speaks TLS.
    pub(crate) fn secure_port(&self) -> Option<u16> {
        match &self.store {
            Elsewhere::There(store) => store.spec.gateway.secure_port,
            Elsewhere::Missing | Elsewhere::Unknown => None,
        }
    }
}
