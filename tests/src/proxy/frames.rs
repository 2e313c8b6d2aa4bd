//! What becomes of the events of a watch, one a line.

use std::time::Duration;

use bytes::Bytes;
use rand::{RngExt as _, rngs::StdRng};
use serde_json::json;

/// The longest delay of an event: other watches go on meanwhile, so events of different kinds change places.
const LONGEST: u64 = 600;
/// How often a watch of the same address may be ended by a fault: each time the client waits longer before it begins again.
const MOST: u32 = 3;

/// A step of the disturbed watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Disturbed {
    /// A line is sent on.
    Line(Bytes),
    /// The line before is sent once more.
    Again(Bytes),
    /// Nothing is sent for a while.
    Wait(Duration),
    /// The API server has forgotten the version that is watched.
    Expired(Bytes),
    /// The connection is closed: what has not been sent comes when the watch is begun again.
    Close,
}

impl Disturbed {
    /// What it is counted as.
    pub(super) fn name(&self) -> Option<&'static str> {
        match self {
            Self::Line(_) => None,
            Self::Again(_) => Some("event repeated"),
            Self::Wait(_) => Some("event delayed"),
            Self::Expired(_) => Some("watch expired"),
            Self::Close => Some("watch closed"),
        }
    }
}

/// The events of one watch.
pub(super) struct Frames {
    dice: StdRng,
    is_faulty: bool,
    may_end: bool,
}

impl Frames {
    /// Of the n-th watch of an address, counted from 1.
    pub(super) fn of(dice: StdRng, is_faulty: bool, number: u32) -> Self {
        Self { dice, is_faulty, may_end: number <= MOST }
    }

    /// What becomes of a line.
    pub(super) fn disturb(&mut self, line: &Bytes) -> Vec<Disturbed> {
        let sent = Disturbed::Line(line.clone());
        // A bookmark says that all before it was sent, which it was.
        if !self.is_faulty || line.starts_with(br#"{"type":"BOOKMARK""#) {
            return vec![sent];
        }
        match self.dice.random_range(0..20) {
            0..4 => vec![Disturbed::Wait(Duration::from_millis(self.dice.random_range(1..=LONGEST))), sent],
            4..6 => vec![sent, Disturbed::Again(line.clone())],
            6 if self.may_end => vec![Disturbed::Close],
            7 if self.may_end => vec![Disturbed::Expired(expired()), Disturbed::Close],
            _ => vec![sent],
        }
    }
}

fn expired() -> Bytes {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version", "reason": "Expired", "code": 410,
    });
    format!("{}\n", json!({"type": "ERROR", "object": status})).into()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn disturbed(seed: u64, is_faulty: bool, number: u32) -> Vec<Disturbed> {
        let mut frames = Frames::of(StdRng::seed_from_u64(seed), is_faulty, number);
        let lines = (0..200).map(|number| Bytes::from(format!("{{\"type\":\"MODIFIED\",\"object\":{number}}}\n")));
        lines.flat_map(|line| frames.disturb(&line)).collect()
    }

    /// The lines until the watch ends, in order and without those that were repeated.
    fn lines(all: &[Disturbed]) -> Vec<&Bytes> {
        let open = all.iter().take_while(|step| **step != Disturbed::Close);
        open.filter_map(|step| if let Disturbed::Line(line) = step { Some(line) } else { None }).collect()
    }

    #[test]
    fn events_of_a_watch_keep_their_order_and_are_complete() {
        for seed in 0..20 {
            let all = disturbed(seed, true, 1);
            for (number, line) in lines(&all).into_iter().enumerate() {
                assert_eq!(*line, format!("{{\"type\":\"MODIFIED\",\"object\":{number}}}\n"));
            }
        }
    }

    #[test]
    fn often_restarted_watch_goes_on() {
        assert!(disturbed(1, true, MOST).contains(&Disturbed::Close));
        assert!(!disturbed(1, true, MOST + 1).contains(&Disturbed::Close));
    }

    #[test]
    fn bookmarks_and_absent_faults_change_nothing() {
        assert!(disturbed(1, false, 1).iter().all(|step| step.name().is_none()));
        let mut frames = Frames::of(StdRng::seed_from_u64(1), true, 1);
        let bookmark = Bytes::from_static(b"{\"type\":\"BOOKMARK\",\"object\":{}}\n");
        assert!((0..200).all(|_| frames.disturb(&bookmark) == [Disturbed::Line(bookmark.clone())]));
    }

    #[test]
    fn every_fault_of_a_watch_happens() {
        let all: Vec<_> = (0..20).flat_map(|seed| disturbed(seed, true, 1)).collect();
        for name in ["event delayed", "event repeated", "watch closed", "watch expired"] {
            assert!(all.iter().any(|step| step.name() == Some(name)), "{name}");
        }
    }
}
