//! Buckets that have left the spec. Under Retain the bucket stays as it is; under Delete it goes when it is empty, and with objects
//! only if the user confirms it. Its logins and its binding go with it, or at once if it stays.

use temporal_stack_common::{
    api::{DeletionPolicy, annotation::DELETE_BUCKET},
    login::Login,
    s3::Versioning,
};

use super::{
    buckets::Problem,
    confirmation, origin,
    ownership::Ownership,
    view::{Bucket, Keys, View},
};
use crate::{
    access,
    act::Change,
    engine::{Fact, Grant},
    observed::{Facts, Found},
    reason,
};

/// What must change about a bucket that is leaving, in order.
pub(super) fn changes(view: &View<'_>, bucket: &Bucket<'_>) -> Vec<Change> {
    if is_released(bucket) {
        return removals(bucket);
    }
    if bucket.is_elsewhere() {
        return Vec::new();
    }
    let Some(facts) = bucket.usable().filter(|_| bucket.ownership == Some(Ownership::Ours)) else { return Vec::new() };
    match facts.is_empty {
        Some(true) => vec![Change::Remove { has_versions: has_versions(facts) }],
        Some(false) if is_confirmed(view, bucket) => vec![Change::Empty { has_versions: has_versions(facts) }],
        _ => Vec::new(),
    }
}

/// The logins to remove.
fn removals(bucket: &Bucket<'_>) -> Vec<Change> {
    let Keys::Own { logins, rotation } = &bucket.keys else { return Vec::new() };
    let present: Vec<&Login> = logins.iter().filter(|login| rotation.is_present(login)).collect();
    let removal = |(index, login): (usize, &&Login)| {
        let others = present.iter().skip(index + 1).map(|login| access::key(login)).collect();
        Change::RemoveLogin(Grant { bucket: bucket.remote_name().to_owned(), key: access::key(login), others })
    };
    present.iter().enumerate().map(removal).collect()
}

/// Whether the bucket itself needs no more work, so that its logins and its binding can go.
pub(crate) fn is_released(bucket: &Bucket<'_>) -> bool {
    match bucket.policy {
        DeletionPolicy::Retain => true,
        DeletionPolicy::Delete => {
            let is_of_others = matches!(bucket.ownership, Some(Ownership::Strange(_)));
            !bucket.is_elsewhere() && (is_of_others || matches!(bucket.found, Some(Found::Absent | Found::Foreign)))
        }
    }
}

/// Whether nothing is left to do about the bucket.
pub(crate) fn is_gone(bucket: &Bucket<'_>) -> bool {
    let is_without_logins = match &bucket.keys {
        Keys::Own { logins, rotation } => rotation.is_known() && !logins.iter().any(|login| rotation.is_present(login)),
        Keys::Given(_) => true,
    };
    is_released(bucket) && is_without_logins
}

/// Whether the user has confirmed that the bucket goes with its objects, since it left the spec.
fn is_confirmed(view: &View<'_>, bucket: &Bucket<'_>) -> bool {
    confirmation::is_confirmed(view.object, DELETE_BUCKET, bucket.name)
}

fn has_versions(facts: &Facts) -> bool {
    matches!(facts.versioning, Fact::Is(Versioning::Enabled | Versioning::Suspended))
}

/// The buckets that should go and do not.
pub(super) fn problems(view: &View<'_>) -> Vec<Problem> {
    let leaving = view.buckets.iter().filter(|bucket| bucket.wanted.is_none());
    leaving.filter_map(|bucket| problem(view, bucket)).collect()
}

fn problem(view: &View<'_>, bucket: &Bucket<'_>) -> Option<Problem> {
    let name = bucket.name;
    let failed = |cause: &str| Problem {
        reason: reason::BUCKET_FAILED,
        message: format!(
            "bucket {name} has left the spec and cannot be removed: {cause}; list it in spec.buckets again, or remove it by hand"
        ),
    };
    if let Some(cause) = view.refusal(bucket, &changes(view, bucket)) {
        return Some(failed(&cause));
    }
    let found = bucket.found.filter(|_| bucket.policy == DeletionPolicy::Delete)?;
    if bucket.is_elsewhere() {
        return Some(failed(
            "its binding has a different endpoint than the Secret, so the bucket is in another object storage",
        ));
    }
    if bucket.ownership == Some(Ownership::Used) {
        let message = format!(
            "bucket {name} has left the spec and stays: nothing shows that this object created it; list it in spec.buckets again, remove it by hand, or {}",
            origin::adoption(view, bucket)
        );
        return Some(Problem { reason: reason::BUCKET_FAILED, message });
    }
    match found {
        _ if bucket.usable().is_none() && bucket.ownership.is_some() => None,
        Found::Failed(failure) => Some(failed(&failure.to_string())),
        Found::Usable(Facts { is_empty: Some(false), .. }) if !is_confirmed(view, bucket) => Some(Problem {
            reason: reason::BUCKET_NOT_EMPTY,
            message: format!(
                "bucket {name} has left the spec and has objects, so it stays; list it in spec.buckets again, or delete it with all of its objects: {}",
                confirmation::command(view.object, DELETE_BUCKET, name)
            ),
        }),
        Found::Usable(Facts { is_empty: None, .. }) => {
            Some(failed("contents unknown: the key has no permission to read the versioning status"))
        }
        Found::Usable(_) | Found::Absent | Found::Foreign => None,
    }
}
