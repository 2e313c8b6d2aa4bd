//! One bucket: prepared, copied, checked.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use temporal_stack_common::s3::{Client, Code, Existence, Failure, Versioning};
use tokio::{sync::Semaphore, time::sleep};

use super::{
    Error, check,
    content::CopyError,
    object::{self, Buckets, Outcome},
    tally::Tally,
    walk::{Entry, Walk},
};

/// How many objects are copied at a time.
const PARALLEL: usize = 8;
/// Objects of more bytes are copied one after another, so that few are held at a time.
const SMALL: u64 = 512 << 10;
/// How often an object is tried.
const TRIES: u32 = 4;
/// After how many versions a line is printed.
const LINE: u64 = 1000;

/// Copies a bucket, and compares both sides.
pub(super) async fn copy(from: &Client, source: &str, to: &Client, target: &str) -> Result<Tally, Error> {
    let has_versions = prepare(from, source, to, target).await?;
    let buckets = Buckets { source: (from, source), target: (to, target), has_versions };
    let mut tally = Tally::default();
    objects(buckets, &mut tally).await?;
    if !tally.is_hopeless() {
        let (ours, theirs) = (Walk::new(from, source, has_versions), Walk::new(to, target, has_versions));
        let difference = check::compare(ours, theirs).await.map_err(|(side, failure)| {
            let bucket = if side == "source" { source } else { target };
            failed(bucket, "listed")(failure)
        })?;
        tally.compared(difference);
    }
    Ok(tally)
}

/// Makes the target ready; whether versions are copied.
async fn prepare(from: &Client, source: &str, to: &Client, target: &str) -> Result<bool, Error> {
    let state = |side, bucket: &str, state| Error::Bucket { side, bucket: bucket.to_owned(), state };
    if from.exists(source).await.map_err(failed(source, "read"))? != Existence::Usable {
        return Err(state("--from", source, "does not exist, or the key may not use it; correct the Secret"));
    }
    let versioning = match from.versioning(source).await {
        // An engine without versions has none.
        Err(failure) if failure.status() == Some(501) => Ok(Versioning::Off),
        versioning => versioning,
    };
    let has_versions = versioning.map_err(failed(source, "read"))? != Versioning::Off;
    match to.exists(target).await.map_err(failed(target, "read"))? {
        Existence::Usable => {}
        Existence::Foreign => return Err(state("--to", target, "is owned by another account; name another bucket")),
        Existence::Absent => create(from, source, to, target, has_versions).await?,
    }
    if has_versions && to.versioning(target).await.map_err(failed(target, "read"))? != Versioning::Enabled {
        let why = "does not keep versions, and the source has some; set versioning: true in its ObjectStorage";
        return Err(state("--to", target, why));
    }
    Ok(has_versions)
}

async fn create(from: &Client, source: &str, to: &Client, target: &str, has_versions: bool) -> Result<(), Error> {
    let lock = match from.lock(source).await {
        // Who may not read the setting sees it in the objects.
        Err(failure) if failure.is(&Code::AccessDenied) || failure.status() == Some(501) => Ok(None),
        lock => lock,
    };
    let lock = lock.map_err(failed(source, "read"))?;
    let create = async {
        to.create(target, lock.is_some()).await?;
        if has_versions {
            to.set_versioning(target, true).await?;
        }
        if let Some(lock) = &lock {
            to.set_lock(target, lock).await?;
        }
        Ok(())
    };
    create.await.map_err(failed(target, "created"))
}

/// Copies all objects that are missing.
async fn objects(buckets: Buckets<'_>, tally: &mut Tally) -> Result<(), Error> {
    let (client, bucket) = buckets.source;
    let (large, walk) = (Semaphore::new(1), Walk::new(client, bucket, buckets.has_versions));
    let entries = stream::unfold(walk, async |mut walk| match walk.next().await {
        Ok(entry) => entry.map(|entry| (Ok(entry), walk)),
        Err(failure) => Some((Err(failure), walk)),
    });
    let copies = entries.map(async |entry| {
        let entry: Entry = entry?;
        let result = copy_entry(buckets, &entry, &large).await;
        Ok::<_, Failure>((entry.key, result))
    });
    let mut copies = std::pin::pin!(copies.buffer_unordered(PARALLEL));
    let mut printed = 0;
    while let Some(copied) = copies.next().await {
        let (key, result) = copied.map_err(failed(bucket, "listed"))?;
        tally.add(&key, result);
        if tally.is_hopeless() {
            break;
        }
        if tally.done() / LINE > printed {
            printed = tally.done() / LINE;
            println!("bucket {bucket}: {} versions", tally.done());
        }
    }
    Ok(())
}

/// Copies an object; what may pass is tried again. A repetition begins with what the target has then.
async fn copy_entry(buckets: Buckets<'_>, entry: &Entry, large: &Semaphore) -> Result<Outcome, CopyError> {
    let is_large = entry.versions.iter().any(|version| version.size > SMALL);
    // It is never closed.
    let _permit = if is_large { large.acquire().await.ok() } else { None };
    let mut tries = 1;
    loop {
        match object::copy(buckets, entry).await {
            Err(trouble) if trouble.is_passing() && tries < TRIES => sleep(Duration::from_secs(1 << tries)).await,
            result => return result,
        }
        tries += 1;
    }
}

fn failed(bucket: &str, step: &'static str) -> impl FnOnce(Failure) -> Error + use<> {
    let bucket = bucket.to_owned();
    move |source| Error::Storage { bucket, step, source }
}
