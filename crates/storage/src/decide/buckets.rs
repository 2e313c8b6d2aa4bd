//! What must change so that each bucket of the spec is as it should be, and why it cannot be.

use temporal_stack_common::{
    api::{self, LockMode},
    condition::Reason,
    login::Login,
    manifest,
    message::kubectl,
    s3::{Lock, Locking, Mode, Versioning},
};

use super::{
    origin,
    ownership::Ownership,
    view::{Bucket, Keys, View},
};
use crate::{
    access,
    act::Change,
    engine::{Fact, Grant},
    names,
    observed::{Facts, Found},
    reason,
};

/// Why a bucket is not as it should be, so that the user must act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The reason.
    pub(crate) reason: Reason,
    /// The bucket, the cause and the remedy.
    pub(crate) message: String,
}

/// What must change about a bucket of the spec, in order.
pub(super) fn changes(view: &View<'_>, bucket: &Bucket<'_>, wanted: &api::Bucket) -> Vec<Change> {
    let mut changes = match bucket.found {
        // A complete binding proves that the bucket existed: an application that has it would take an empty one for the loss of
        // all objects.
        Some(Found::Absent) if bucket.bound.is_some() || !origin::may_create(view, bucket) => return Vec::new(),
        Some(Found::Absent) => vec![Change::Create { has_lock: wanted.object_lock.is_some() }],
        _ => match bucket.usable() {
            Some(facts) => settings(wanted, facts),
            None => return Vec::new(),
        },
    };
    changes.extend(logins(view, bucket));
    changes
}

/// The settings that differ. What the object storage does not have is left alone.
fn settings(wanted: &api::Bucket, facts: &Facts) -> Vec<Change> {
    let mut changes = Vec::new();
    match facts.versioning {
        Fact::Is(Versioning::Off | Versioning::Suspended) if wanted.versioning => {
            changes.push(Change::SetVersioning(true));
        }
        // Object lock needs versions.
        Fact::Is(Versioning::Enabled) if !wanted.versioning && !is_lockable(facts) => {
            changes.push(Change::SetVersioning(false));
        }
        _ => {}
    }
    if let (Some(lock), Fact::Is(Locking::On(has))) = (wanted.object_lock.map(lock), facts.lock)
        && has != Some(lock)
    {
        changes.push(Change::SetLock(lock));
    }
    if let Fact::Is(has) = facts.expiration
        && has != wanted.expiration_days
    {
        changes.push(Change::SetExpiration(wanted.expiration_days));
    }
    if let Fact::Is(has) = facts.quota
        && has != quota(wanted)
    {
        changes.push(Change::SetQuota(quota(wanted)));
    }
    changes
}

fn is_lockable(facts: &Facts) -> bool {
    matches!(facts.lock, Fact::Is(Locking::On(_)))
}

fn lock(wanted: api::ObjectLock) -> Lock {
    let mode = match wanted.mode {
        LockMode::Governance => Mode::Governance,
        LockMode::Compliance => Mode::Compliance,
    };
    Lock { mode, days: wanted.days }
}

fn quota(wanted: &api::Bucket) -> Option<u64> {
    manifest::bytes(wanted.quota.as_deref()?)
}

/// The logins to create or correct, and those that are outlived. Where a key could use another bucket, each one that stays is
/// corrected: that gives its user this bucket's policy alone.
fn logins(view: &View<'_>, bucket: &Bucket<'_>) -> Vec<Change> {
    let Keys::Own { logins, rotation } = &bucket.keys else { return Vec::new() };
    let outlived: Vec<u32> = rotation.outlived().map(|login| login.number).collect();
    let is_valid = |login: &&Login| rotation.is_present(login) && rotation.to_set() != Some(*login);
    let grant = |number: u32| {
        let stays = logins.iter().filter(|other| other.number != number && !outlived.contains(&other.number));
        let others = stays.filter(is_valid).map(access::key).collect();
        let login = logins.iter().find(|login| login.number == number)?;
        Some(Grant { bucket: bucket.remote_name().to_owned(), key: access::key(login), others })
    };
    let to_set = rotation.to_set().map(|login| login.number);
    let is_corrected = |login: &&Login| view.is_loose(bucket) && is_valid(login) && !outlived.contains(&login.number);
    let corrected = logins.iter().filter(is_corrected).map(|login| login.number);
    let set = to_set.into_iter().chain(corrected).filter_map(grant).map(Change::SetLogin);
    let removed = outlived.iter().filter_map(|number| grant(*number)).map(Change::RemoveLogin);
    set.chain(removed).collect()
}

/// Why a bucket of the spec cannot be as it should be.
pub(super) fn problem(view: &View<'_>, bucket: &Bucket<'_>, wanted: &api::Bucket) -> Option<Problem> {
    let name = bucket.name;
    if let Some(Ownership::Strange(why)) = bucket.ownership {
        let adopt = origin::adoption(view, bucket);
        return Some(Problem {
            reason: reason::BUCKET_TAKEN,
            message: format!(
                "bucket {name} exists and may belong to another owner: {why}; list another name in spec.buckets, or {adopt}"
            ),
        });
    }
    match bucket.found? {
        Found::Absent if bucket.bound.is_some() => {
            let accept = format!("delete secret {}", names::bucket_binding(&view.names, name));
            Some(Problem {
                reason: reason::BUCKET_REPLACED,
                message: format!(
                    "bucket {name} no longer exists, but its binding still refers to it; restore a backup, or accept an empty bucket: {}",
                    kubectl(&view.names.namespace, &accept)
                ),
            })
        }
        Found::Foreign => Some(Problem {
            reason: reason::BUCKET_TAKEN,
            message: format!(
                "bucket {name} belongs to another owner, or the key may not use it; give the bucket another name, or grant the access"
            ),
        }),
        Found::Failed(failure) => Some(Problem {
            reason: reason::BUCKET_FAILED,
            message: format!(
                "bucket {name} cannot be inspected: {failure}; correct the bucket, or the permissions of the key"
            ),
        }),
        Found::Usable(Facts { lock: Fact::Is(Locking::Off), .. }) if wanted.object_lock.is_some() => Some(Problem {
            reason: reason::OBJECT_LOCK_MISSING,
            message: format!(
                "bucket {name} exists without object lock, which only a new bucket can get; remove objectLock, or give the bucket another name"
            ),
        }),
        Found::Usable(_) | Found::Absent => view.refusal(bucket, &changes(view, bucket, wanted)).map(|cause| Problem {
            reason: reason::BUCKET_FAILED,
            message: format!(
                "bucket {name} cannot be configured as specified: {cause}; correct its entry in spec.buckets"
            ),
        }),
    }
}

/// Whether a bucket can be used, and has all settings of its entry in the spec.
pub(super) fn is_as_specified(bucket: &Bucket<'_>, wanted: &api::Bucket) -> bool {
    let has_settings = bucket.usable().is_some_and(|facts| settings(wanted, facts).is_empty());
    has_settings && is_prepared(bucket)
}

/// Whether a bucket of the spec can be used: it exists, and its binding has a key that works.
pub(super) fn is_prepared(bucket: &Bucket<'_>) -> bool {
    let has_key = match &bucket.keys {
        Keys::Own { rotation, .. } => rotation.active().is_some(),
        Keys::Given(access) => access.is_some(),
    };
    has_key && bucket.bound.is_some() && bucket.usable().is_some()
}
