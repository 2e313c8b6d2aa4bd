//! What is remembered between passes: how actions and verifications ended. All of it may be lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What is remembered of an object.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) refusals: Refusals,
    pub(crate) loose: Loose,
    pub(crate) lasting: Lasting,
}

/// An answer about a bucket that lasts as long as the bucket, or as the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lasts {
    /// It was created without object lock.
    WithoutLock,
    /// The engine does not let objects expire.
    WithoutExpiration,
}

/// Such answers, for some minutes: a pass over an engine comes every half minute, and asks about each bucket.
#[derive(Debug, Default)]
pub(crate) struct Lasting(Mutex<BTreeMap<(String, Lasts), Instant>>);

/// How long they are not asked for again.
const LASTS: Duration = Duration::from_secs(300);

impl Lasting {
    /// Records an answer.
    pub(crate) fn record(&self, bucket: &str, answer: Lasts) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((bucket.to_owned(), answer), Instant::now());
    }

    /// Whether it was the answer a short time ago.
    pub(crate) fn holds(&self, bucket: &str, answer: Lasts) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(bucket.to_owned(), answer)).is_some_and(|at| at.elapsed() < LASTS)
    }

    /// Forgets those of other buckets.
    pub(crate) fn retain(&self, is_kept: impl Fn(&str) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(bucket, _), _| is_kept(bucket));
    }
}

/// The buckets whose keys could use another bucket when they were verified. Each is restricted again, and then verified before that
/// is repeated: what opens it may be something that the controller does not set.
#[derive(Debug, Default)]
pub(crate) struct Loose(Mutex<BTreeMap<String, Option<Instant>>>);

impl Loose {
    /// Records what a verification found about the key of a bucket.
    pub(crate) fn verified(&self, bucket: &str, is_loose: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(bucket) {
            _ if !is_loose => drop(all.remove(bucket)),
            Some(Some(at)) if at.elapsed() < PAUSE => {}
            _ => drop(all.insert(bucket.to_owned(), None)),
        }
    }

    /// Records that the keys of a bucket were restricted.
    pub(crate) fn restricted(&self, bucket: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = all.get_mut(bucket) {
            *at = Some(Instant::now());
        }
    }

    /// Forgets those of other buckets.
    pub(crate) fn retain(&self, is_kept: impl Fn(&str) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|bucket, _| is_kept(bucket));
    }

    /// Those that must be restricted now.
    pub(crate) fn due(&self) -> BTreeSet<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|(_, at)| at.is_none()).map(|(bucket, _)| bucket.clone()).collect()
    }
}

/// The actions that the object storage refused: they are not repeated at once, and other buckets do not wait for them.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<String, (Instant, String)>>);

/// A refused action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What the object storage said.
    pub(crate) cause: String,
    /// Whether it may be repeated.
    pub(crate) is_due: bool,
}

/// How long a refused action is not repeated.
const PAUSE: Duration = Duration::from_secs(60);
/// The most refusals that are remembered: eight changes of each of 64 buckets. With more, all are forgotten, and tried again.
const MOST_REFUSALS: usize = 512;

impl Refusals {
    /// Records how an action ended: by a refusal, or well.
    pub(crate) fn record(&self, action: String, refused: Option<String>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match refused {
            Some(cause) => {
                if all.len() >= MOST_REFUSALS && !all.contains_key(&action) {
                    all.clear();
                }
                all.insert(action, (Instant::now(), cause));
            }
            None => drop(all.remove(&action)),
        }
    }

    /// Forgets those of other buckets, by their names in the object storage: an action ends with its bucket.
    pub(crate) fn retain(&self, is_kept: impl Fn(&str) -> bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|action, _| action.rsplit_once(' ').is_some_and(|(_, bucket)| is_kept(bucket)));
    }

    /// All of them, by the action.
    pub(crate) fn all(&self) -> BTreeMap<String, Refusal> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let refusal = |at: &Instant, cause: &String| Refusal { cause: cause.clone(), is_due: at.elapsed() >= PAUSE };
        all.iter().map(|(action, (at, cause))| (action.clone(), refusal(at, cause))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(buckets: usize) -> Refusals {
        let refusals = Refusals::default();
        for number in 0..buckets {
            refusals.record(format!("remove bucket b{number}"), Some("no".to_owned()));
        }
        refusals
    }

    #[test]
    fn loose_key_is_restricted_once_per_verification() {
        let loose = Loose::default();
        loose.restricted("b0");
        assert!(loose.due().is_empty(), "nothing was found");
        loose.verified("b0", true);
        loose.verified("b1", true);
        assert_eq!(loose.due().len(), 2);
        loose.restricted("b0");
        loose.verified("b0", true);
        assert_eq!(loose.due().into_iter().collect::<Vec<_>>(), ["b1"], "it was restricted a moment ago");
        loose.verified("b1", false);
        assert!(loose.due().is_empty());
    }

    #[test]
    fn refusals_of_other_buckets_are_forgotten() {
        let refusals = refused(20);
        refusals.retain(|bucket| bucket == "b1");
        assert_eq!(refusals.all().keys().collect::<Vec<_>>(), ["remove bucket b1"]);
    }

    #[test]
    fn refusals_are_limited_and_repeated_ones_add_none() {
        let refusals = refused(MOST_REFUSALS);
        refusals.record("remove bucket b0".to_owned(), Some("still".to_owned()));
        assert_eq!(refusals.all().len(), 512);
        refusals.record("remove bucket another".to_owned(), Some("no".to_owned()));
        assert_eq!(refusals.all().len(), 1);
    }
}
