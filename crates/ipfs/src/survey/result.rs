//! The result of a survey.

use std::sync::Arc;

use crate::ipfs_cluster::Pin;

/// How many CIDs are named as examples.
const EXAMPLES: usize = 3;

/// The result of a survey of all pins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// Their number.
    pub(crate) pins: u64,
    /// Pins with too few copies on the staying peers, without fresh ones.
    pub(crate) short: ShortPins,
    /// Pins that were created within the last minute, are being copied, and have a copy on a staying peer.
    pub(crate) fresh: u64,
    /// Short pins that will stay short: they require more peers than stay.
    pub(crate) impossible: Impossible,
    /// At most [`BATCH`](super::BATCH) of the pins that are allocated to too few staying peers.
    pub(crate) raise: Vec<Raise>,
    /// Their total number.
    pub(crate) to_raise: u64,
    /// At most [`BATCH`](super::BATCH) of the pins that were raised, or are allocated to peers that are no members. They must not be
    /// restored while a member is about to leave, which would undo what was raised for it.
    pub(crate) restore: Vec<Arc<Pin>>,
    /// Their total number.
    pub(crate) to_restore: u64,
    /// Pins that some members do not know of.
    pub(crate) unlisted: Unlisted,
    /// At most [`BATCH`](super::BATCH) of them, to be written again.
    pub(crate) relist: Vec<Relist>,
}

/// Pins with too few copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShortPins {
    /// How many.
    pub(crate) count: u64,
    /// Some of them.
    pub(crate) examples: Vec<String>,
}

/// Pins that require more copies than there are peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Impossible {
    /// How many.
    pub(crate) count: u64,
    /// Some of them.
    pub(crate) examples: Vec<String>,
    /// The highest number of copies that any of them requires.
    pub(crate) highest: u64,
}

/// A pin that additional peers must hold before others leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raise {
    /// The current pin.
    pub(crate) pin: Arc<Pin>,
    /// How many peers should hold it meanwhile, including those that leave: its `min` and `max`.
    pub(crate) copies: i64,
    /// The staying peers to which it is not allocated yet.
    pub(crate) user_allocations: Vec<String>,
}

/// Pins that some members have lacked for more than a minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unlisted {
    /// More than half of the members list them: they are written again.
    pub(crate) lost: Lacking,
    /// How many of them are to be written now.
    pub(crate) due: u64,
    /// They were written again several times, in vain.
    pub(crate) stuck: Lacking,
    /// They may have been removed: at most half of the members list them, or not identically.
    pub(crate) doubtful: Lacking,
}

/// How many pins, and one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lacking {
    /// How many.
    pub(crate) count: u64,
    /// The CID of one of them.
    pub(crate) cid: String,
    /// The id of a member that lacks it.
    pub(crate) peer: String,
}

/// A pin that is written again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relist {
    /// The pin.
    pub(crate) pin: Arc<Pin>,
    /// The ids of the members that lack it.
    pub(crate) lacking: Vec<String>,
}

impl Survey {
    /// Whether every pin has its copies and its own options, and is known to all members.
    pub(crate) fn is_healthy(&self) -> bool {
        self.short.count == 0 && self.to_restore == 0 && self.unlisted.count() == 0
    }

    /// The same, and no pin is still being copied.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_healthy() && self.fresh == 0
    }

    /// The numbers without the pins to write.
    pub(crate) fn without_lists(&self) -> Self {
        Self {
            short: self.short.clone(),
            impossible: self.impossible.clone(),
            raise: Vec::new(),
            restore: Vec::new(),
            unlisted: self.unlisted.clone(),
            relist: Vec::new(),
            ..*self
        }
    }
}

impl Unlisted {
    /// How many they are.
    pub(crate) fn count(&self) -> u64 {
        self.lost.count + self.stuck.count + self.doubtful.count
    }
}

impl ShortPins {
    pub(super) fn add(&mut self, cid: &str) {
        self.count += 1;
        add_example(&mut self.examples, cid);
    }
}

/// Names an example, if there are not enough yet.
pub(super) fn add_example(examples: &mut Vec<String>, cid: &str) {
    if examples.len() < EXAMPLES {
        examples.push(cid.to_owned());
    }
}
