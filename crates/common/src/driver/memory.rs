//! The driver's memory of an object between passes. All of it may be lost: a new process reads again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::RngExt;
use tokio::time::Instant;

use super::{
    basis::Basis,
    events::Recorded,
    hold::Templates,
    plan::{Answers, NameConflict},
};
use crate::{component::Verdict, condition::Reason, memo::Memos, world::Reads};

const MAX_BACKOFF: Duration = Duration::from_secs(300);

/// The memory of one object.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Named reads.
    pub(super) reads: Reads,
    /// The component's memory.
    pub(super) memos: Memos,
    /// The newest events.
    pub(super) events: Recorded,
    /// The state that changes from pass to pass.
    pub(super) state: Mutex<State>,
}

/// The state that changes from pass to pass.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Consecutive failures, each after the backoff of the previous one.
    pub(super) failures: u32,
    /// When the newest failure is retried, unless an event calls for a pass before.
    retry_at: Option<Instant>,
    /// Consecutive passes that waited for the same reason.
    pub(super) waits: u32,
    /// That reason.
    pub(super) awaited: Option<Reason>,
    /// Consecutive passes that changed something.
    pub(super) changes: u32,
    /// The work of the latest of them, as hashes.
    pub(super) done: VecDeque<String>,
    /// How many of these repeated the work of an earlier one.
    pub(super) futile: u32,
    /// How often the object has let others go first.
    pub(super) yields: u32,
    /// The generation of the newest pass.
    pub(super) generation: Option<i64>,
    /// A name that belonged to another owner, and when.
    pub(super) taken: Option<(Instant, NameConflict)>,
    /// The answers of the API server to our intents.
    pub(super) answers: Answers,
    /// The deferred pod templates.
    pub(super) templates: Templates,
    /// The newest verdict, and the state that it describes.
    pub(super) verdict: Option<Judged>,
    /// The newest written status, as JSON, and its resource version, until the watch has shown it.
    pub(super) written: Option<(u64, Box<str>)>,
    /// The generation of an unparsable object that has been reported.
    pub(super) reported_unparsable: Option<i64>,
    /// The stage that the pass is in, or that the newest one ended in.
    pub(super) stage: Stage,
    /// Whether the newest pass was slow.
    pub(super) slow: bool,
}

/// The stage of a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Observe,
    Decide,
    CarryOut,
    Settle,
    Verify,
    Report,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Observe => "observe",
            Self::Decide => "decide",
            Self::CarryOut => "carry out",
            Self::Settle => "settle",
            Self::Verify => "verify",
            Self::Report => "report",
        })
    }
}

/// A verdict, its time, and the state that it describes.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) at: Instant,
    pub(super) about: Basis,
    /// Whether it is from an inspection, because the object was paused.
    pub(super) is_inspection: bool,
    pub(super) verdict: Verdict,
}

impl Memory {
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Records that the pass enters a stage.
    pub(super) fn enter(&self, stage: Stage) {
        self.with(|state| state.stage = stage);
    }
}

impl State {
    /// Counts a failure, and returns how long to wait. A failure before the end of the previous wait is not counted again: events
    /// trigger passes, too, and a burst of them must not lead to the longest wait.
    pub(super) fn back_off(&mut self, now: Instant) -> Duration {
        if self.failures == 0 || self.retry_at.is_none_or(|at| now >= at) {
            self.failures = self.failures.saturating_add(1);
        }
        let wait = backoff(self.failures);
        self.retry_at = Some(now + wait);
        wait
    }
}

/// The memories of all objects, by UID.
#[derive(Debug, Default)]
pub(super) struct Memories(Mutex<HashMap<String, Arc<Memory>>>);

impl Memories {
    /// The memory of an object.
    pub(super) fn get_or_create(&self, uid: &str) -> Arc<Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(uid.to_owned()).or_default().clone()
    }

    /// The number of objects with a memory.
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Forgets a deleted object.
    pub(super) fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// 2ⁿ seconds, at most five minutes, of which a random fifth is taken off so that failures do not come in step.
pub(super) fn backoff(failures: u32) -> Duration {
    let full = Duration::from_secs(1 << failures.min(9)).min(MAX_BACKOFF);
    jittered(full)
}

/// A random fifth of `full` is taken off.
pub(super) fn jittered(full: Duration) -> Duration {
    full.mul_f64(rand::rng().random_range(0.8..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_of_failures_counts_once() {
        let (mut state, start) = (State::default(), Instant::now());
        for millis in 0..100 {
            assert!(state.back_off(start + Duration::from_millis(millis)) <= Duration::from_secs(2));
        }
        assert_eq!(state.failures, 1);
        let wait = state.back_off(start + Duration::from_secs(3));
        assert!(state.failures == 2 && wait > Duration::from_secs(3), "{wait:?}");
    }

    #[test]
    fn backoff_doubles_up_to_its_cap() {
        for (failures, seconds) in [(0, 1), (1, 2), (5, 32), (8, 256), (9, 300), (40, 300)] {
            let backoff = backoff(failures);
            assert!(backoff <= Duration::from_secs(seconds), "{failures}: {backoff:?}");
            assert!(backoff >= Duration::from_secs(seconds).mul_f64(0.8), "{failures}: {backoff:?}");
        }
    }
}
