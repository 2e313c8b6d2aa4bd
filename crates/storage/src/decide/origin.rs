//! How a bucket of an object storage elsewhere comes to belong to an object: what is recorded, what is marked, what the user confirms.

use temporal_stack_common::api::{BucketOrigin, annotation::ADOPT_BUCKET};

use super::{
    confirmation,
    ownership::Ownership,
    view::{Bucket, View},
};
use crate::{act::Change, engine::Fact, observed::Found};

/// How the bucket came to belong to the object, to be recorded.
pub(crate) fn origin(view: &View<'_>, bucket: &Bucket<'_>) -> Option<BucketOrigin> {
    if !view.has_strangers() {
        return None;
    }
    let facts = match bucket.found {
        // Only what is recorded is created.
        Some(Found::Absent) if bucket.bound.is_none() && bucket.wanted.is_some() => {
            return Some(BucketOrigin::Creating);
        }
        Some(Found::Usable(facts)) => facts,
        // Somebody else was faster.
        Some(Found::Foreign) if bucket.origin == Some(BucketOrigin::Creating) => return None,
        _ => return bucket.origin,
    };
    let owner = facts.evidence.as_ref().map(|evidence| &evidence.owner);
    match (bucket.ownership, bucket.origin) {
        (Some(Ownership::Ours), None) if !matches!(owner, Some(Fact::Is(Some(_)))) => Some(BucketOrigin::Adopted),
        (Some(Ownership::Ours), None) if confirmation::is_confirmed(view.object, ADOPT_BUCKET, bucket.name) => {
            Some(BucketOrigin::Adopted)
        }
        // The tag alone is left of an earlier status; or the bucket is there, and needs the mark of its creation no more.
        (Some(Ownership::Ours), None) => Some(BucketOrigin::Created),
        (Some(Ownership::Ours), Some(BucketOrigin::Creating)) if !matches!(owner, Some(Fact::Is(None))) => {
            Some(BucketOrigin::Created)
        }
        (_, origin) => origin,
    }
}

/// Whether the bucket, which is absent, may be created: an interruption must not leave one that nobody knows.
pub(super) fn may_create(view: &View<'_>, bucket: &Bucket<'_>) -> bool {
    !view.has_strangers() || bucket.origin == Some(BucketOrigin::Creating)
}

/// The tag that is missing. A storage without tags, or a key that may not set them, is no obstacle: the record is there.
pub(super) fn mark(view: &View<'_>, bucket: &Bucket<'_>) -> Option<Change> {
    let evidence = bucket.usable()?.evidence.as_ref()?;
    let Fact::Is(owner) = &evidence.owner else { return None };
    let is_ours = bucket.ownership == Some(Ownership::Ours);
    let uid = view.object.metadata.uid.as_ref().filter(|uid| is_ours && owner.as_ref() != Some(uid))?;
    Some(Change::SetOwner(uid.clone()))
}

/// The tag without which the bucket must not be emptied or removed, if it has one.
pub(super) fn marked(bucket: &Bucket<'_>) -> Option<String> {
    match &bucket.usable()?.evidence.as_ref()?.owner {
        Fact::Is(owner) => owner.clone(),
        Fact::Unsupported | Fact::Refused => None,
    }
}

/// The words that ask the user to confirm that the object takes the bucket over.
pub(super) fn adoption(view: &View<'_>, bucket: &Bucket<'_>) -> String {
    format!("take it over: {}", confirmation::command(view.object, ADOPT_BUCKET, bucket.name))
}
