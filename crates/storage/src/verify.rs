//! Verification: uses every bucket as an application does, with the key and the address of its binding.
//!
//! An object is put, listed, read, compared and deleted, and the key is tried on another bucket. All objects of verification have one
//! prefix, which is emptied each time. Where a bucket locks its objects, ours ask for a minute only, and go in the next verification.

mod diagnosis;

use futures::{StreamExt as _, stream};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use temporal_stack_common::{
    component::Verdict,
    condition::Reason,
    message::counted,
    s3::{Attributes, Client, Code, Failure, Locking, Versioning},
};

use crate::{
    access::Access,
    engine::Fact,
    names::PROBE,
    observed::{Facts, Memory},
    reason,
};

pub(crate) use self::diagnosis::{Diagnosis, ManagedBy, diagnose};

/// How many buckets are verified at the same time.
const AT_ONCE: usize = 4;
/// How many objects of earlier verifications are deleted by one.
const LEFT: u16 = 100;
/// For how many seconds an object is locked in a bucket that locks its objects: clocks may differ by less.
const LOCKED: i64 = 60;

/// The buckets to verify.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The buckets.
    pub(crate) targets: Vec<Target>,
    /// Why a bucket of the spec cannot be verified.
    pub(crate) obstacle: Option<Obstacle>,
    /// Who can correct the object storage.
    pub(crate) managed_by: ManagedBy,
    /// The bucket that a key is tried on if there is no other: it does not exist, and its name is unpredictable.
    pub(crate) nowhere: String,
    /// Whether nothing may be written.
    pub(crate) is_inspection: bool,
}

/// A bucket to verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its name in the spec.
    pub(crate) name: String,
    /// The access of an application.
    pub(crate) access: Access,
    /// What the keys of the objects begin with that verification writes: another object's verification may use the same bucket.
    pub(crate) prefix: String,
    /// Whether it keeps, or has kept, versions.
    pub(crate) has_versions: bool,
    /// Whether it locks new objects.
    pub(crate) is_locked: bool,
}

/// Why a bucket of the spec cannot be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// The reason.
    pub(crate) reason: Reason,
    /// The bucket, the cause and the remedy.
    pub(crate) message: String,
    /// Whether only the user can remove it.
    pub(crate) is_for_user: bool,
}

/// Why a bucket does not work.
enum Wrong {
    /// A call failed.
    Failed(Failure),
    /// The object that was read is another than the one that was put, or is not listed.
    Different(&'static str),
    /// The key can use this other bucket.
    Loose(String),
}

impl From<Failure> for Wrong {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Target {
    /// A bucket with these settings.
    pub(crate) fn new(name: &str, access: Access, facts: &Facts, prefix: &str) -> Self {
        Self {
            name: name.to_owned(),
            access,
            prefix: prefix.to_owned(),
            has_versions: matches!(facts.versioning, Fact::Is(Versioning::Enabled | Versioning::Suspended)),
            is_locked: matches!(facts.lock, Fact::Is(Locking::On(Some(_)))),
        }
    }
}

/// Uses every bucket; an inspection only lists. `memory` records the keys that can use another bucket.
pub(crate) async fn verify(probe: &Probe, memory: &Memory) -> Verdict {
    if let Some(Obstacle { reason, message, is_for_user }) = probe.obstacle.clone() {
        return if is_for_user { Verdict::Stalled { reason, message } } else { Verdict::Failed { reason, message } };
    }
    let targets = &probe.targets;
    let used: Vec<_> =
        targets.iter().enumerate().map(|(index, target)| use_beside(targets, index, target, probe)).collect();
    let results: Vec<_> = stream::iter(used).buffered(AT_ONCE).collect().await;
    if probe.managed_by == ManagedBy::Controller {
        remember(memory, &results);
    }
    let wrong = results.into_iter().find_map(|(target, result)| Some((target, result.err()?)));
    match wrong {
        None => Verdict::Verified(verified(probe)),
        Some((target, wrong)) => verdict(target, &wrong, probe.managed_by),
    }
}

/// Remembers the buckets whose keys can use another one, and those others: either may be the one with the wrong policy.
fn remember(memory: &Memory, results: &[(&Target, Result<(), Wrong>)]) {
    let is_opened = |target: &Target| {
        results.iter().any(|(_, result)| matches!(result, Err(Wrong::Loose(other)) if *other == target.access.bucket))
    };
    for (target, result) in results {
        match result {
            Err(Wrong::Loose(_)) => memory.loose.verified(&target.name, true),
            _ if is_opened(target) => memory.loose.verified(&target.name, true),
            Ok(()) => memory.loose.verified(&target.name, false),
            Err(_) => {}
        }
    }
}

/// Uses a bucket, and tries its key on the next one.
async fn use_beside<'a>(
    targets: &[Target],
    index: usize,
    target: &'a Target,
    probe: &Probe,
) -> (&'a Target, Result<(), Wrong>) {
    let next = targets.get(index + 1).or(targets.first()).map_or("", |next| &next.access.bucket);
    let other = if next == target.access.bucket { &probe.nowhere } else { next };
    (target, use_bucket(target, other, probe.is_inspection).await)
}

fn verified(probe: &Probe) -> String {
    match (probe.targets.len(), probe.is_inspection) {
        (0, _) => "the object storage answers; no bucket is specified".to_owned(),
        (count, true) => format!("lists the objects of {}", counted(count, "bucket")),
        (count, false) => {
            format!("stores and returns objects in {} with the keys of their bindings", counted(count, "bucket"))
        }
    }
}

fn verdict(target: &Target, wrong: &Wrong, managed_by: ManagedBy) -> Verdict {
    let name = &target.name;
    match wrong {
        Wrong::Failed(failure) => {
            let Diagnosis { reason, message, needs_user } = diagnose(failure, managed_by);
            let message = format!("bucket {name}: {message}");
            if needs_user { Verdict::Stalled { reason, message } } else { Verdict::Failed { reason, message } }
        }
        Wrong::Different(what) => Verdict::Failed {
            reason: reason::VERIFICATION_FAILED,
            message: format!("bucket {name}: {what}; check the object storage"),
        },
        Wrong::Loose(other) => Verdict::Failed {
            reason: reason::KEY_NOT_RESTRICTED,
            message: format!("bucket {name}: its key can use bucket {other}, too; {}", loosened(managed_by, other)),
        },
    }
}

/// Who closes a bucket that a key of another one can use.
fn loosened(managed_by: ManagedBy, other: &str) -> String {
    let by_hand =
        format!("remove what else grants it more: the policy of bucket {other}, and groups of the key's user");
    match managed_by {
        ManagedBy::Controller => format!("its user gets its own policy alone again; if that is not enough, {by_hand}"),
        ManagedBy::Rook | ManagedBy::User => by_hand,
    }
}

async fn use_bucket(target: &Target, other: &str, is_inspection: bool) -> Result<(), Wrong> {
    let Access { address, key, bucket, is_restricted } = &target.access;
    let client = Client::new(address, key)?;
    if is_inspection {
        client.list(bucket, &target.prefix, None, 1).await?;
    } else {
        clean(&client, target).await?;
        store(&client, target).await?;
        clean(&client, target).await?;
    }
    if *is_restricted { try_elsewhere(&client, other, is_inspection).await } else { Ok(()) }
}

/// Puts an object, lists it, reads it and compares it.
async fn store(client: &Client, target: &Target) -> Result<(), Wrong> {
    let bucket = &target.access.bucket;
    let now = Timestamp::now();
    let name = format!("{}{}", target.prefix, now.as_millisecond());
    let content = format!("stored by the storage controller at {now}").into_bytes();
    let mut attributes = Attributes::new();
    if target.is_locked {
        let until = now + SignedDuration::from_secs(LOCKED);
        attributes.insert("x-amz-object-lock-mode".to_owned(), "GOVERNANCE".to_owned());
        attributes
            .insert("x-amz-object-lock-retain-until-date".to_owned(), until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    }
    client.put_with(bucket, &name, content.clone(), &attributes).await?;
    let page = client.list(bucket, &name, None, 1).await?;
    if page.objects.iter().all(|object| object.key != name) {
        return Err(Wrong::Different("the object that was put is not listed"));
    }
    let read = client.get(bucket, &name, 2 * content.len()).await?;
    if read == content { Ok(()) } else { Err(Wrong::Different("the object that was read is not the one that was put")) }
}

/// Deletes the objects of verifications. In a bucket that locks its objects, those of the last minute remain.
async fn clean(client: &Client, target: &Target) -> Result<(), Wrong> {
    let bucket = &target.access.bucket;
    if !target.has_versions {
        for object in client.list(bucket, &target.prefix, None, LEFT).await?.objects {
            client.delete(bucket, &object.key).await?;
        }
        return Ok(());
    }
    for version in client.list_versions(bucket, &target.prefix, None, LEFT).await?.versions {
        match client.delete_version(bucket, &version.key, &version.version).await {
            Err(failure) if target.is_locked && is_locked(&failure) => {}
            deleted => deleted?,
        }
    }
    Ok(())
}

/// Whether a deletion was refused because the object is locked: engines have different codes for it.
fn is_locked(failure: &Failure) -> bool {
    [Code::AccessDenied, Code::InvalidRequest].iter().any(|code| failure.is(code))
}

/// Whether the key is refused in another bucket, as it must be.
async fn try_elsewhere(client: &Client, other: &str, is_inspection: bool) -> Result<(), Wrong> {
    refused(other, client.list(other, PROBE, None, 1).await)?;
    if is_inspection {
        return Ok(());
    }
    let name = format!("{PROBE}stranger");
    let put = client.put(other, &name, b"stranger".to_vec()).await;
    if put.is_ok() {
        client.delete(other, &name).await?;
    }
    refused(other, put)
}

fn refused<T>(bucket: &str, answer: Result<T, Failure>) -> Result<(), Wrong> {
    match answer {
        Ok(_) => Err(Wrong::Loose(bucket.to_owned())),
        Err(failure) if failure.is(&Code::AccessDenied) || failure.is(&Code::NoSuchBucket) => Ok(()),
        Err(failure) => Err(failure.into()),
    }
}

#[cfg(test)]
mod tests;
