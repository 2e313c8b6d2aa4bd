//! The memory of the pins of one object. Listing millions of pins for a number in the status is too expensive for every pass; and
//! IPFS Cluster knows neither why copies were lost, nor how often they were retried. All of it may be lost: a new process finds
//! it out again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use super::{Survey, unlisted::Doubts};

/// The minimum time that a survey is valid.
const GOOD_FOR: Duration = Duration::from_secs(30);
/// A survey is valid for this multiple of its duration, so surveys never take more than this fraction of the time.
const REST: u32 = 50;
/// The same for a survey that found problems.
const SOON: Duration = Duration::from_secs(10);
/// The same multiple for one that found problems: it may have waited for new pins, and users wait for the next one.
const REST_SOON: u32 = 5;
/// How many retried copies are remembered: some 200 bytes each, and at most 350.
const REMEMBERED: usize = 10_000;

/// The memory of the pins of one object.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    survey: Survey,
    /// The lives of the pods that were surveyed.
    incarnations: String,
    until: Option<Instant>,
    /// How often a copy was retried, by the peer's ordinal and the CID.
    attempts: HashMap<(i32, String), u32>,
    /// Why a peer's Kubo could not pin a lost copy.
    causes: HashMap<i32, String>,
    /// The pins that members differ about.
    doubts: Doubts,
}

/// The memory of a lost copy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts {
    /// How often it was retried.
    pub(crate) count: u32,
    /// Why it failed, in Kubo's words.
    pub(crate) cause: Option<String>,
}

impl Memory {
    /// The latest survey, if it is recent and about these pods.
    pub(crate) fn recent_survey(&self, incarnations: &str) -> Option<Survey> {
        let kept = self.kept();
        let is_recent = kept.incarnations == incarnations && kept.until.is_some_and(|until| Instant::now() < until);
        is_recent.then(|| kept.survey.clone())
    }

    /// Whether the latest survey found problems or unfinished changes.
    pub(crate) fn is_in_doubt(&self) -> bool {
        !self.kept().survey.is_settled()
    }

    /// The pins that members differ about. If these are other pods, they may be learning of them.
    pub(crate) fn doubts(&self, incarnations: &str) -> Doubts {
        let kept = self.kept();
        let mut doubts = kept.doubts.clone();
        if kept.incarnations != incarnations {
            doubts.restart();
        }
        doubts
    }

    /// Records that members are not connected, so that they may differ about pins for the moment.
    pub(crate) fn note_disconnection(&self) {
        self.kept().doubts.restart();
    }

    /// Records that a pin is written again.
    pub(crate) fn note_relisting(&self, cid: &str) {
        self.kept().doubts.note_attempt(cid, Timestamp::now());
    }

    /// Keeps a survey, with its duration.
    pub(crate) fn keep(&self, incarnations: String, survey: &Survey, doubts: Doubts, took: Duration) {
        let (least, rest) = if survey.is_settled() { (GOOD_FOR, REST) } else { (SOON, REST_SOON) };
        let mut kept = self.kept();
        kept.until = Some(Instant::now() + least.max(took.saturating_mul(rest)));
        kept.survey = survey.without_lists();
        kept.incarnations = incarnations;
        kept.doubts = doubts;
        if survey.is_healthy() {
            kept.attempts = HashMap::new();
            kept.causes = HashMap::new();
        }
    }

    /// Records that a copy was retried. If there are too many to remember, counting starts again.
    pub(crate) fn note_attempt(&self, ordinal: i32, cid: &str) {
        let attempts = &mut self.kept().attempts;
        if attempts.len() >= REMEMBERED {
            attempts.clear();
        }
        *attempts.entry((ordinal, cid.to_owned())).or_default() += 1;
    }

    /// Records why a peer's Kubo could not pin a lost copy.
    pub(crate) fn note_cause(&self, ordinal: i32, cause: String) {
        self.kept().causes.insert(ordinal, cause);
    }

    /// The memory of a lost copy.
    pub(crate) fn attempts(&self, ordinal: i32, cid: &str) -> Attempts {
        let kept = self.kept();
        let count = kept.attempts.get(&(ordinal, cid.to_owned())).copied().unwrap_or_default();
        Attempts { count, cause: kept.causes.get(&ordinal).cloned() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
