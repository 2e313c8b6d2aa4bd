//! Which request meets which fault.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use temporal_stack_common::process::client::Verb;

/// Of how many requests one meets a fault.
const ONE_OF: u32 = 4;
/// How often the same question may meet a fault: the more often, the longer the client waits before it asks again.
const MOST: u32 = 6;
/// The longest delay of an answer.
const LONGEST: u64 = 400;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is answered.
    None,
    /// It is answered, later.
    Delay(Duration),
    /// It is not carried out, and answered with this status.
    Refuse(u16),
    /// It is not carried out, and the connection is closed.
    CloseBefore,
    /// It is carried out, and the connection is closed instead of an answer.
    CloseAfter,
    /// It is answered as it was answered first.
    Stale,
}

impl Fault {
    /// What it is counted as.
    pub(super) fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::None => return None,
            Self::Delay(_) => "delayed",
            Self::Refuse(409) => "409",
            Self::Refuse(410) => "410",
            Self::Refuse(429) => "429",
            Self::Refuse(503) => "503",
            Self::Refuse(_) => "500",
            Self::CloseBefore => "closed before",
            Self::CloseAfter => "closed after",
            Self::Stale => "stale",
        })
    }
}

/// The faults of a seed. Which question meets one does not depend on what else is asked meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    seed: u64,
}

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        Self { seed }
    }

    /// The dice of one question, asked for the n-th time.
    pub(super) fn dice(self, question: &str, number: u32) -> StdRng {
        let mut hasher = DefaultHasher::new();
        (self.seed, question, number).hash(&mut hasher);
        StdRng::seed_from_u64(hasher.finish())
    }

    /// What becomes of that question when it is asked for the n-th time, counted from 1. A fault that has not happened yet comes
    /// first: a run has few requests, and every class of faults is to be among them.
    pub(super) fn fault(self, verb: Verb, question: &str, number: u32, has_been: impl Fn(&str) -> bool) -> Fault {
        let mut dice = self.dice(question, number);
        if number > MOST || dice.random_range(0..ONE_OF) != 0 {
            return Fault::None;
        }
        let delay = Fault::Delay(Duration::from_millis(dice.random_range(1..=LONGEST)));
        let possible: &[Fault] = match verb {
            Verb::List => {
                &[Fault::Stale, Fault::Stale, Fault::Refuse(500), Fault::Refuse(429), Fault::CloseAfter, delay]
            }
            Verb::Watch => &[Fault::Refuse(410), Fault::Refuse(503), Fault::CloseBefore, delay],
            Verb::Get => &[Fault::Refuse(500), Fault::Refuse(429), Fault::Refuse(503), Fault::CloseBefore, delay],
            _ => &[
                Fault::Refuse(409),
                Fault::Refuse(429),
                Fault::Refuse(500),
                Fault::Refuse(503),
                Fault::CloseBefore,
                Fault::CloseAfter,
                Fault::CloseAfter,
                delay,
            ],
        };
        // There is nothing stale before there was a list.
        let is_possible = |fault: &Fault| *fault != Fault::Stale || number > 1;
        let is_new = |fault: &&Fault| is_possible(fault) && fault.name().is_some_and(|name| !has_been(name));
        let drawn = possible[dice.random_range(0..possible.len())];
        possible.iter().find(is_new).copied().unwrap_or(drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(seed: u64, verb: Verb) -> Vec<Fault> {
        let plan = Plan::of(seed);
        (0..300).map(|question| plan.fault(verb, &format!("question {question}"), 1, |_| true)).collect()
    }

    #[test]
    fn same_seed_gives_the_same_faults() {
        assert_eq!(faults(1, Verb::Patch), faults(1, Verb::Patch));
        assert_ne!(faults(1, Verb::Patch), faults(2, Verb::Patch));
    }

    #[test]
    fn most_requests_are_answered_and_every_fault_happens() {
        let faults = faults(1, Verb::Patch);
        let none = faults.iter().filter(|fault| **fault == Fault::None).count();
        assert!((200..300).contains(&none), "{none}");
        for name in ["409", "429", "500", "503", "closed before", "closed after", "delayed"] {
            assert!(faults.iter().any(|fault| fault.name() == Some(name)), "{name}");
        }
    }

    #[test]
    fn only_lists_are_stale_and_only_writes_conflict() {
        for verb in [Verb::Get, Verb::Watch, Verb::Create, Verb::Delete] {
            assert!(!faults(1, verb).contains(&Fault::Stale));
        }
        for verb in [Verb::Get, Verb::Watch, Verb::List] {
            assert!(!faults(1, verb).contains(&Fault::Refuse(409)));
        }
    }

    #[test]
    fn repeated_request_is_answered_in_the_end() {
        let plan = Plan::of(1);
        let late = |question: u32| plan.fault(Verb::Patch, &format!("question {question}"), MOST + 1, |_| true);
        assert!((0..300).all(|question| late(question) == Fault::None));
    }

    #[test]
    fn fault_that_has_not_happened_comes_first() {
        let plan = Plan::of(1);
        let mut seen = std::collections::BTreeSet::new();
        for question in 0..60 {
            let has_been = |name: &str| seen.contains(name);
            let fault = plan.fault(Verb::Patch, &format!("question {question}"), 1, has_been);
            let count = seen.len();
            seen.extend(fault.name());
            assert!(fault == Fault::None || count == 7 || seen.len() == count + 1, "{fault:?} of {seen:?}");
        }
        assert_eq!(seen.len(), 7, "{seen:?}");
    }
}
