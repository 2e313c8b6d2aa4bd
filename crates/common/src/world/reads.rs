//! Answers of the API server that are remembered between passes, within a budget.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use super::{RESYNC, RETRY};
use crate::quota::{Quota, Share};

/// The longest answer that is remembered, in bytes.
const LONGEST_KEPT: usize = 64 << 10;
/// The text of an object that does not exist.
pub(super) const NOTHING: &str = "null";

/// The total size of remembered answers, and of those for one namespace, in bytes.
const MOST_KEPT: usize = 16 << 20;
const MOST_OF_NAMESPACE: usize = 12 << 20;

static BUDGET: Quota = Quota::new(MOST_KEPT, MOST_OF_NAMESPACE);

/// Named reads that are remembered for one object.
pub(crate) struct Reads {
    all: Mutex<Vec<Read>>,
    budget: &'static Quota,
}

impl Default for Reads {
    fn default() -> Self {
        Self { all: Mutex::default(), budget: &BUDGET }
    }
}

/// The answer, as JSON text: it is small, and parsed by the pass that needs it.
struct Read {
    what: Box<str>,
    at: Instant,
    /// The resource version, if that decides how long it is valid.
    version: Option<Box<str>>,
    /// Whether a watch has seen it since: when the watch loses it, it was deleted, or lost its label.
    is_watched: bool,
    found: Kept,
}

impl Read {
    /// Whether it is the version that a watch has seen, or a newer one that was read a moment ago.
    fn is_of(&self, seen: &str) -> bool {
        let Some(version) = self.version.as_deref() else { return false };
        let is_newer = || matches!((version.parse::<u64>(), seen.parse::<u64>()), (Ok(read), Ok(seen)) if read > seen);
        version == seen || (self.at.elapsed() < RETRY && is_newer())
    }
}

/// A text that counts against the budget.
struct Kept {
    text: Box<str>,
    _share: Share,
}

impl Kept {
    /// `None` if it is too long, or exceeds the budget.
    fn new(text: Box<str>, mut share: Share) -> Option<Self> {
        (text.len() <= LONGEST_KEPT && share.extend(text.len())).then_some(Self { text, _share: share })
    }
}

impl std::fmt::Debug for Reads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The answers may contain Secrets.
        f.debug_struct("Reads").finish_non_exhaustive()
    }
}

impl Reads {
    /// Forgets all reads, so that the next pass reads again.
    pub(crate) fn forget(&self) {
        *self.all() = Vec::new();
    }

    pub(super) fn recall(&self, what: &str, max_age: Duration) -> Option<Box<str>> {
        let all = self.all();
        let read = all.iter().find(|read| &*read.what == what && !read.is_watched && read.at.elapsed() < max_age);
        read.map(|read| read.found.text.clone())
    }

    /// The answer for the version that a watch has seen.
    pub(super) fn recall_version(&self, what: &str, seen: &str) -> Option<Box<str>> {
        let mut all = self.all();
        let read = all.iter_mut().find(|read| &*read.what == what && read.is_of(seen))?;
        read.is_watched = true;
        Some(read.found.text.clone())
    }

    pub(super) fn keep(&self, what: &str, version: Option<Box<str>>, found: Box<str>, is_watched: bool) {
        let mut all = self.all();
        // The previous answer is outdated, and so are those that no pass may use any more: their objects may be gone.
        all.retain(|read| &*read.what != what && (read.is_watched || read.at.elapsed() < RESYNC));
        if let Some(found) = Kept::new(found, self.budget.share()) {
            all.push(Read { what: what.into(), at: Instant::now(), version, is_watched, found });
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Read>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads of the cluster that are remembered for all objects of the process. One pass reads, and the others wait for it.
#[derive(Default)]
pub(crate) struct ClusterReads(tokio::sync::Mutex<Vec<Read>>);

impl ClusterReads {
    /// Keeps only reads younger than this; `true` if any was older.
    pub(crate) async fn doubt(&self, age: Duration) -> bool {
        let mut all = self.0.lock().await;
        let before = all.len();
        all.retain(|read| read.at.elapsed() < age);
        all.len() < before
    }

    pub(super) async fn remembered(
        &self,
        what: &str,
        read: impl Future<Output = kube::Result<Box<str>>>,
    ) -> kube::Result<Box<str>> {
        let mut all = self.0.lock().await;
        if let Some(read) = all.iter().find(|read| &*read.what == what && read.at.elapsed() < RESYNC) {
            return Ok(read.found.text.clone());
        }
        let found = read.await?;
        all.retain(|read| &*read.what != what);
        if let Some(kept) = Kept::new(found.clone(), BUDGET.common_share()) {
            all.push(Read { what: what.into(), at: Instant::now(), version: None, is_watched: false, found: kept });
        }
        Ok(found)
    }
}

pub(super) fn text(found: &impl Serialize) -> kube::Result<Box<str>> {
    serde_json::to_string(found).map(String::into_boxed_str).map_err(kube::Error::SerdeError)
}

pub(super) fn parsed<T: DeserializeOwned>(text: &str) -> kube::Result<T> {
    serde_json::from_str(text).map_err(kube::Error::SerdeError)
}

#[cfg(test)]
mod tests;
