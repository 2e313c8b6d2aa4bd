//! What follows from the claims of buckets that Rook creates: access, and why there is none.

mod pending;

use std::collections::BTreeMap;

use kube::ResourceExt;
use temporal_stack_common::{
    api::ObjectStorage,
    component::{Stalled, Waiting},
    login::Bound,
    message::kubectl,
    s3::Code,
};

use crate::{
    access::{Access, Store},
    names::{self, LISTED, Names},
    observed::Survey,
    reason,
    rook::{Claimed, Granted, ObjectBucketClaim, Observed, Unusable},
};

/// The field that names the class.
const FIELD: &str = "spec.provider.rook.storageClassName";

/// The claims of an object.
pub(crate) struct View<'a> {
    pub(crate) observed: &'a Observed,
    /// The class that the spec names.
    pub(crate) class: &'a str,
    object: &'a ObjectStorage,
    /// The content of each bucket's binding.
    bound: &'a BTreeMap<String, Bound>,
}

impl<'a> View<'a> {
    pub(super) fn new(object: &'a ObjectStorage, bound: &'a BTreeMap<String, Bound>, observed: &'a Observed) -> Self {
        let rook = object.spec.provider.rook.as_ref();
        Self { observed, class: rook.map_or("", |rook| rook.storage_class_name.as_str()), object, bound }
    }

    /// The claim of a bucket, if it exists.
    pub(crate) fn claim(&self, bucket: &str) -> Option<&'a ObjectBucketClaim> {
        self.claimed(bucket).map(|claimed| &claimed.claim)
    }

    /// How an application uses a bucket, once its claim is bound. Ceph refuses the key in other buckets.
    pub(super) fn access(&self, bucket: &str) -> Option<Access> {
        let Granted { address, bucket, key } = self.granted(bucket)?.clone();
        Some(Access { address, key, bucket, is_restricted: true })
    }

    /// The object store as the owner of a bucket.
    pub(super) fn store(&self, bucket: &str) -> Option<Store> {
        let Granted { address, key, .. } = self.granted(bucket)?.clone();
        Some(Store { administration: address.clone(), address, key, account: None })
    }

    /// What the buckets wait for, or what the user or an administrator must change first.
    pub(super) fn find_waiting(&self) -> Result<Option<Waiting>, Stalled> {
        self.check()?;
        Ok(self.waiting().or_else(|| self.silence()))
    }

    /// Why the object store does not answer.
    fn silence(&self) -> Option<Waiting> {
        let Survey::Silent(failure) = &self.observed.survey else { return None };
        let is_refusal = [Code::InvalidAccessKeyId, Code::SignatureDoesNotMatch, Code::AccessDenied]
            .iter()
            .any(|code| failure.is(code));
        Some(if is_refusal {
            let message = format!(
                "{failure}; the Secret of the ObjectBucketClaim has another key than the object store: restore the Secret"
            );
            Waiting::new(reason::LOGIN_REFUSED, message)
        } else {
            let message =
                format!("{failure}; check the CephObjectStore, and the network between its gateway and the controller");
            Waiting::new(reason::STORAGE_UNREACHABLE, message)
        })
    }

    /// What the user or an administrator must change before anything is applied.
    fn check(&self) -> Result<(), Stalled> {
        if !self.observed.is_installed {
            return Err(Stalled::new(
                reason::ROOK_MISSING,
                "CustomResourceDefinition/objectbucketclaims.objectbucket.io is missing; install Rook, or use another provider",
            ));
        }
        let buckets = &self.object.spec.buckets;
        if let Some(changed) = buckets.iter().find_map(|bucket| self.changed_class(&bucket.name)) {
            return Err(Stalled::new(reason::INVALID_SPEC, changed));
        }
        // A claim that exists is explained by itself, and one that is bound needs its class no more.
        let is_unclaimed = buckets.iter().any(|bucket| self.claim(&bucket.name).is_none());
        match pending::wrong_with_class(self.class, &self.observed.around).filter(|_| is_unclaimed) {
            Some(wrong) => Err(Stalled::new(reason::STORAGE_CLASS_MISSING, wrong)),
            None => buckets.iter().find_map(|bucket| self.replaced(&bucket.name)).map_or(Ok(()), Err),
        }
    }

    /// The claim of a bucket has another class than the spec.
    fn changed_class(&self, bucket: &str) -> Option<String> {
        let claim = self.claim(bucket)?;
        let has = claim.spec.storage_class_name.as_deref().filter(|has| *has != self.class)?;
        Some(format!(
            "{FIELD} is {}, but ObjectBucketClaim/{} has {has}, which cannot change; set the field back to {has}, or create another ObjectStorage and copy the buckets",
            self.class,
            claim.name_any()
        ))
    }

    /// A claim that was deleted and recreated has an empty bucket: the binding still leads to the one that is lost.
    fn replaced(&self, bucket: &str) -> Option<Stalled> {
        let (granted, bound) = (self.granted(bucket)?, self.bound.get(bucket)?);
        if granted.bucket == bound.scope {
            return None;
        }
        let namespace = self.object.namespace().unwrap_or_default();
        let binding = names::bucket_binding(&Names::new(self.object), bucket);
        Some(Stalled::new(
            reason::BUCKET_REPLACED,
            format!(
                "bucket {bucket} is not the one in its binding: its claim was deleted and recreated without the data; restore a backup, or accept the new bucket: {}",
                kubectl(&namespace, &format!("delete secret {binding}"))
            ),
        ))
    }

    /// What buckets wait for: claims that are not bound, or whose result cannot be used, or that are being deleted.
    fn waiting(&self) -> Option<Waiting> {
        let causes: Vec<String> = self.observed.claims.iter().filter_map(|claimed| self.cause(claimed)).collect();
        if causes.is_empty() {
            return None;
        }
        let mut message = causes.iter().take(LISTED).cloned().collect::<Vec<_>>().join(". ");
        if let Some(more) = causes.len().checked_sub(LISTED).filter(|more| *more > 0) {
            message = format!("{message}. {more} more claims are not bound");
        }
        Some(Waiting::new(reason::CLAIM_PENDING, message))
    }

    /// Why a bucket is not there, by its claim.
    fn cause(&self, claimed: &Claimed) -> Option<String> {
        let (name, claim) = (claimed.claim.name_any(), &claimed.claim);
        if claim.metadata.deletion_timestamp.is_some() {
            return Some(format!(
                "ObjectBucketClaim/{name} is being deleted: Rook's operator removes its bucket first; if that takes long, check that the CephObjectStore answers"
            ));
        }
        let is_wanted = self.object.spec.buckets.iter().any(|bucket| bucket.name == claimed.bucket);
        match &claimed.granted {
            _ if !is_wanted => None,
            None => Some(pending::pending(claim, self.class, &self.observed.around)),
            Some(Err(Unusable(problem))) => {
                Some(format!("ObjectBucketClaim/{name} is bound, but its result cannot be used: {problem}"))
            }
            Some(Ok(_)) => None,
        }
    }

    fn granted(&self, bucket: &str) -> Option<&'a Granted> {
        self.claimed(bucket)?.granted.as_ref()?.as_ref().ok()
    }

    fn claimed(&self, bucket: &str) -> Option<&'a Claimed> {
        self.observed.claims.iter().find(|claimed| claimed.bucket == bucket)
    }
}

#[cfg(test)]
mod tests;
