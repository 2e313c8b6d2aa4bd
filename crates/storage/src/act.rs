//! Writes to the object storage, as data and as calls.

use std::{fmt, time::Duration};

use temporal_stack_common::{
    s3::{Client, Code, Failure, Item, Lock, Marker},
    world::ReadError,
};
use tokio::time::Instant;

use crate::{
    access::Store,
    engine::{Engine as _, Grant, Kind, is_silence},
    names::OWNER_TAG,
    observed::Memory,
};

/// How long one action may delete objects; the next pass continues with the rest.
const TURN: Duration = Duration::from_secs(20);
/// How many objects are deleted by a request: a page is held in memory, and the keys may be long.
const AT_ONCE: u16 = 250;

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not answer a read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The object storage did not answer.
    #[error("the object storage did not answer")]
    Storage(#[source] Box<Failure>),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Storage(Box::new(failure))
    }
}

/// One write to the object storage.
#[derive(Clone, Debug)]
pub struct Action {
    /// The object storage as administrator.
    pub(crate) store: Store,
    /// The engine, if the controller runs it.
    pub(crate) kind: Option<Kind>,
    /// The name of the bucket in the object storage.
    pub(crate) bucket: String,
    /// The change.
    pub(crate) change: Change,
    /// The owner that its tag must still name when it is emptied or removed; absent: the tag is no evidence.
    pub(crate) owner: Option<String>,
}

/// A change of a bucket, or of a login of it. `Debug` shows no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Create the bucket.
    Create {
        /// Whether it can lock objects.
        has_lock: bool,
    },
    /// Begin or suspend versioning.
    SetVersioning(bool),
    /// Set how new objects are locked.
    SetLock(Lock),
    /// Set or remove the expiration, in days.
    SetExpiration(Option<u32>),
    /// Set or remove the limit, in bytes.
    SetQuota(Option<u64>),
    /// Set the tag that names the owner.
    SetOwner(String),
    /// Create or correct a login.
    SetLogin(Grant),
    /// Remove a login.
    RemoveLogin(Grant),
    /// Delete all objects and versions.
    Empty {
        /// Whether the bucket keeps, or has kept, versions.
        has_versions: bool,
    },
    /// Remove the empty bucket.
    Remove {
        /// Whether the bucket keeps, or has kept, versions.
        has_versions: bool,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.change.to_bucket(&self.bucket))
    }
}

impl Change {
    /// The change of a bucket in words, without a key.
    pub(crate) fn to_bucket(&self, bucket: &str) -> String {
        let words = match self {
            Self::Create { .. } => "create",
            Self::SetVersioning(true) => "begin versioning of",
            Self::SetVersioning(false) => "suspend versioning of",
            Self::SetLock(_) => "set the object lock of",
            Self::SetExpiration(_) => "set the expiration of",
            Self::SetQuota(_) => "set the quota of",
            Self::SetOwner(_) => "set the owner of",
            Self::SetLogin(_) => "set a login on",
            Self::RemoveLogin(_) => "remove a login from",
            Self::Empty { .. } => "delete the objects of",
            Self::Remove { .. } => "remove",
        };
        format!("{words} bucket {bucket}")
    }
}

/// Carries out the action. `memory` records how it ended; a refusal does not fail the pass, because other buckets have nothing to do
/// with it.
pub(crate) async fn act(action: &Action, memory: &Memory) -> Result<(), Failure> {
    let refused = match carry_out(action).await {
        Ok(()) => None,
        Err(Undone::Failed(failure)) if is_silence(&failure) => return Err(failure),
        Err(Undone::Failed(failure)) => Some(failure.to_string()),
        Err(Undone::Remains(cause)) => Some(cause),
    };
    if matches!(action.change, Change::SetLogin(_)) && refused.is_none() {
        memory.loose.restricted(&action.bucket);
    }
    // Whatever was changed is asked for again.
    memory.lasting.retain(|bucket| bucket != action.bucket);
    memory.refusals.record(action.to_string(), refused);
    Ok(())
}

/// Why an action was not carried out.
enum Undone {
    /// A call failed.
    Failed(Failure),
    /// Objects could not be deleted.
    Remains(String),
}

impl From<Failure> for Undone {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

async fn carry_out(action: &Action) -> Result<(), Undone> {
    let Action { store, kind, bucket, change, .. } = action;
    let client = store.client()?;
    if let (Some(owner), Change::Empty { .. } | Change::Remove { .. }) = (&action.owner, change) {
        check_owner(&client, bucket, owner).await?;
    }
    match (change, kind) {
        (Change::Empty { has_versions }, _) => return empty(action, &client, *has_versions).await,
        (Change::Create { has_lock }, _) => client.create(bucket, *has_lock).await,
        (Change::SetVersioning(is_on), _) => client.set_versioning(bucket, *is_on).await,
        (Change::SetLock(lock), _) => client.set_lock(bucket, lock).await,
        (Change::SetExpiration(days), _) => client.set_expiration(bucket, *days).await,
        (Change::SetOwner(owner), _) => set_owner(&client, bucket, owner).await,
        (Change::SetQuota(bytes), Some(kind)) => kind.set_quota(store, bucket, *bytes).await,
        (Change::SetLogin(grant), Some(kind)) => kind.ensure_login(store, grant).await,
        (Change::RemoveLogin(grant), Some(kind)) => kind.remove_login(store, grant).await,
        (Change::Remove { has_versions }, _) => return remove(&client, bucket, *has_versions).await,
        // Decided only for engines that the controller runs.
        (Change::SetQuota(_) | Change::SetLogin(_) | Change::RemoveLogin(_), None) => Ok(()),
    }?;
    Ok(())
}

/// Sets the tag beside those of others.
async fn set_owner(client: &Client, bucket: &str, owner: &str) -> Result<(), Failure> {
    let mut tags = client.bucket_tags(bucket).await?;
    tags.insert(OWNER_TAG.to_owned(), owner.to_owned());
    client.set_bucket_tags(bucket, &tags).await
}

/// Whether the tag still names this owner: another object may have taken the bucket over a moment ago.
async fn check_owner(client: &Client, bucket: &str, owner: &str) -> Result<(), Undone> {
    match client.bucket_tags(bucket).await {
        Ok(tags) if tags.get(OWNER_TAG).is_some_and(|found| found == owner) => Ok(()),
        Ok(_) => Err(Undone::Remains(format!("its tag {OWNER_TAG} does not name this object any more"))),
        Err(failure) if failure.is(&Code::NoSuchBucket) => Ok(()),
        Err(failure) => Err(failure.into()),
    }
}

/// Removes the bucket if it is still empty: not every server refuses to remove one with objects.
async fn remove(client: &Client, bucket: &str, has_versions: bool) -> Result<(), Undone> {
    match page(client, bucket, has_versions, None).await {
        Ok((items, _)) if !items.is_empty() => {
            return Err(Undone::Remains("the bucket is no longer empty".to_owned()));
        }
        Err(failure) if failure.is(&Code::NoSuchBucket) => return Ok(()),
        listed => listed?,
    };
    Ok(client.remove(bucket).await?)
}

/// Deletes what is in the bucket, within a turn. Each page begins behind the one before, so what cannot be deleted holds nothing up.
async fn empty(action: &Action, client: &Client, has_versions: bool) -> Result<(), Undone> {
    let (bucket, until) = (&action.bucket, Instant::now() + TURN);
    let mut after: Option<Marker> = None;
    let mut remaining: Option<(String, Code)> = None;
    while Instant::now() < until {
        let (items, next) = page(client, bucket, has_versions, after.as_ref()).await?;
        if !items.is_empty() {
            let undeleted = client.delete_many(bucket, &items).await?;
            remaining = remaining.or(undeleted.into_iter().next().map(|one| (one.key, one.code)));
        }
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let Some((key, code)) = remaining else { return Ok(()) };
    let key: String = key.chars().filter(|c| !c.is_control()).take(64).collect();
    Err(Undone::Remains(format!("objects remain, for instance {key:?} ({code}); they may be locked until their time")))
}

/// A page of what is in the bucket, and what to list after for the next one.
async fn page(
    client: &Client,
    bucket: &str,
    has_versions: bool,
    after: Option<&Marker>,
) -> Result<(Vec<Item>, Option<Marker>), Failure> {
    if has_versions {
        let page = client.list_versions(bucket, "", after, AT_ONCE).await?;
        let item =
            |version: temporal_stack_common::s3::Version| Item { key: version.key, version: Some(version.version) };
        return Ok((page.versions.into_iter().map(item).collect(), page.next));
    }
    let page = client.list(bucket, "", after.map(|after| after.key.as_str()), AT_ONCE).await?;
    let items = page.objects.into_iter().map(|object| Item { key: object.key, version: None }).collect();
    Ok((items, page.next.map(|key| Marker { key, version: None })))
}

#[cfg(test)]
mod tests;
