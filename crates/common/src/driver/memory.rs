//! What the driver remembers of an object between passes. All of it may be lost: a new process looks again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::RngExt;
use tokio::time::Instant;

use super::{
    basis::Basis,
    events::Recorded,
    hold::Templates,
    plan::{Answers, Taken},
};
use crate::{component::Verdict, condition::Reason, world::Reads};

const MAX_BACKOFF: Duration = Duration::from_secs(300);

/// What is remembered of one object.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Named reads.
    pub(super) reads: Reads,
    /// What changes from pass to pass.
    pub(super) state: Mutex<State>,
}

/// What changes from pass to pass.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Passes that failed one after the other, each after the wait of the one before.
    pub(super) failures: u32,
    /// When the newest failure is retried, unless an event calls for a pass before.
    retry_at: Option<Instant>,
    /// Passes that had to wait one after the other, for the same.
    pub(super) waits: u32,
    /// For what they had to.
    pub(super) awaited: Option<Reason>,
    /// Passes that changed something one after the other.
    pub(super) changes: u32,
    /// What these did, as hashes.
    pub(super) done: Vec<String>,
    /// How many of these did what one before had done.
    pub(super) futile: u32,
    /// How often the object has let others go first.
    pub(super) yields: u32,
    /// The generation that the newest pass was about.
    pub(super) generation: Option<i64>,
    /// A name that was somebody else's, and when.
    pub(super) taken: Option<(Instant, Taken)>,
    /// What the API server made of our intents.
    pub(super) answers: Answers,
    /// The pod templates that wait.
    pub(super) templates: Templates,
    /// The newest verdict, and what it was about.
    pub(super) verdict: Option<Judged>,
    /// The newest status that was written, as JSON, and the resource version that has it; until the watch has shown it.
    pub(super) written: Option<(u64, Box<str>)>,
    /// The newest events.
    pub(super) recorded: Vec<Recorded>,
    /// The generation of an unparsable object that has been reported.
    pub(super) reported_unparsable: Option<i64>,
    /// The stage that the pass is in, or that the newest one ended in.
    pub(super) stage: Stage,
    /// Whether the newest pass was slow.
    pub(super) slow: bool,
}

/// What a pass is doing.
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

/// A verdict, when it was reached, and what it was about.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) at: Instant,
    pub(super) about: Basis,
    /// Whether the component was only looked at, because the object was paused.
    pub(super) is_inspection: bool,
    pub(super) verdict: Verdict,
}

impl Memory {
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that the pass enters a stage.
    pub(super) fn enter(&self, stage: Stage) {
        self.with(|state| state.stage = stage);
    }
}

impl State {
    /// Counts a failure, and returns how long to wait. A failure before the wait is over counts together with the one before: events
    /// call for passes, too, and a burst of them must not lead to the longest wait.
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
    pub(super) fn of(&self, uid: &str) -> Arc<Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(uid.to_owned()).or_default().clone()
    }

    /// How many objects there have been passes over.
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Forgets an object that has gone.
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
    fn a_burst_of_failures_counts_once() {
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
