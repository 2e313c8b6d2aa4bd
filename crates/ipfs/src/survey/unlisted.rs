//! Pins that some members list and others do not.
//!
//! A peer that is stopped while it takes in changes can lose some of them for ever (ipfs/go-ds-crdt#279): the others never send
//! them again, and its repair does not find them. If the change was a new pin, the peer lacks it until it is written again. If it
//! was a removal, the peer still lists the pin, and writing that again would undo the removal. So only a pin that more than half
//! of the members list, identically, is written.
//!
//! Lists are read one after another while clients write, so one survey proves nothing: members must differ in surveys that are a
//! minute apart, with all members connected in between. A peer that is still learning of pins needs no help, so all waits begin
//! again whenever one of the pins has become known to all.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use k8s_openapi::jiff::Timestamp;

use crate::ipfs_cluster::Pin;

use super::{
    BATCH,
    judgement::{BATCH_SIZE, Peers},
    result::{Lacking, Relist, Unlisted},
};

/// How long members must differ about a pin before that counts, in seconds. It doubles with each attempt.
const WAIT: i64 = 60;
/// How often a pin is written again.
const MOST_ATTEMPTS: u32 = 5;
/// How many pins are remembered, some 40 bytes each; others are only counted.
const REMEMBERED: usize = 10_000;

/// The members that list a pin, as bits.
#[derive(Clone, Copy, Default)]
pub(super) struct Listed {
    by: u32,
    /// Whether it changed within the last minute, or is about to be removed by all members.
    is_changing: bool,
}

/// The memory of pins that members differ about, by the hashes of their CIDs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doubts {
    keys: RandomState,
    pins: HashMap<u64, Doubt>,
}

#[derive(Clone, Copy, Debug)]
struct Doubt {
    /// When the present wait began.
    since: Timestamp,
    attempts: u32,
}

/// What a survey finds, before it is compared with the memory.
#[derive(Default)]
pub(super) struct Sightings {
    /// The pins that members differ about, with the members that list them.
    found: HashMap<u64, u32>,
    /// Those of which nothing more is kept: how many are listed by more than half of the members, and how many by fewer.
    more: (u64, u64),
    /// Pins that were written again less than a minute ago.
    written: HashSet<u64>,
    /// Whether a member has learned of a pin by itself.
    is_catching_up: bool,
}

/// The pins that members have differed about for long enough, and what is known about them.
pub(super) struct Suspects {
    listed: HashMap<u64, (Kind, u32)>,
    /// At most [`BATCH`] to write, with their texts once they are known.
    due: HashMap<u64, Option<Candidate>>,
    size: usize,
    unlisted: Unlisted,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lost,
    Stuck,
    Doubtful,
}

struct Candidate {
    pin: Pin,
    by: u32,
    is_agreed: bool,
}

impl Unlisted {
    fn of(&mut self, kind: Kind) -> &mut Lacking {
        match kind {
            Kind::Lost => &mut self.lost,
            Kind::Stuck => &mut self.stuck,
            Kind::Doubtful => &mut self.doubtful,
        }
    }
}

impl Lacking {
    fn set_example(&mut self, cid: &str, lacking: Option<&str>) {
        if let Some(peer) = lacking.filter(|_| self.cid.is_empty()) {
            (self.cid, self.peer) = (cid.to_owned(), peer.to_owned());
        }
    }
}

impl Listed {
    /// Adds a member that lists this version of the pin.
    pub(super) fn add(&mut self, member: u32, pin: &Pin, peers: &Peers<'_>) {
        self.by |= member;
        self.is_changing |= peers.is_changing(pin);
    }
}

impl Doubts {
    /// The keys of the hashes: no one else knows them, so CIDs with equal hashes cannot be crafted.
    pub(super) fn keys(&self) -> RandomState {
        self.keys.clone()
    }

    /// All waits begin again.
    pub(super) fn restart(&mut self) {
        for doubt in self.pins.values_mut() {
            doubt.since = Timestamp::MAX;
        }
    }

    /// Records that a pin is written again.
    pub(super) fn note_attempt(&mut self, cid: &str, now: Timestamp) {
        if let Some(doubt) = self.pins.get_mut(&self.keys.hash_one(cid)) {
            *doubt = Doubt { since: now, attempts: doubt.attempts + 1 };
        }
    }

    /// Takes over what a survey has found. Returns the pins that count, unless there are none.
    pub(super) fn update(&mut self, sightings: Sightings, peers: &Peers<'_>) -> Option<Suspects> {
        let Sightings { found, more, written, is_catching_up } = sightings;
        let known = |hash: &u64| self.pins.get(hash).copied().unwrap_or(Doubt { since: peers.now, attempts: 0 });
        let since = |doubt: Doubt| if is_catching_up { peers.now } else { doubt.since.min(peers.now) };
        let waiting = |hash| {
            let doubt = known(hash);
            (*hash, Doubt { since: since(doubt), ..doubt })
        };
        let pins: HashMap<u64, Doubt> =
            found.keys().map(waiting).chain(written.iter().map(|hash| (*hash, known(hash)))).collect();
        self.pins = pins;
        let mut suspects =
            Suspects { listed: HashMap::new(), due: HashMap::new(), size: 0, unlisted: Unlisted::default() };
        for (hash, by) in found {
            if let Some(doubt) = self.pins.get(&hash) {
                suspects.add(hash, by, *doubt, peers);
            }
        }
        for (kind, more) in [(Kind::Lost, more.0), (Kind::Doubtful, more.1)] {
            let lacking = suspects.unlisted.of(kind);
            lacking.count += if lacking.count > 0 { more } else { 0 };
        }
        (!suspects.listed.is_empty()).then_some(suspects)
    }
}

impl Sightings {
    /// Adds the pins of one round.
    pub(super) fn add(&mut self, listed: impl Iterator<Item = (u64, Listed)>, doubts: &Doubts, peers: &Peers<'_>) {
        for (hash, Listed { by, is_changing }) in listed {
            let known = doubts.pins.get(&hash);
            if is_changing {
                if known.is_some_and(|doubt| doubt.attempts > 0) {
                    self.written.insert(hash);
                }
            } else if by == peers.all() {
                self.is_catching_up |= known.is_some_and(|doubt| doubt.attempts == 0);
            } else if by != 0 {
                self.differ(hash, by, known.is_some() || self.found.len() + doubts.pins.len() < REMEMBERED, peers);
            }
        }
    }

    fn differ(&mut self, hash: u64, by: u32, is_kept: bool, peers: &Peers<'_>) {
        if is_kept {
            self.found.insert(hash, by);
        } else if peers.is_majority(by) {
            self.more.0 += 1;
        } else {
            self.more.1 += 1;
        }
    }
}

impl Suspects {
    fn add(&mut self, hash: u64, by: u32, Doubt { since, attempts }: Doubt, peers: &Peers<'_>) {
        let waited = peers.now.as_second() - since.as_second();
        if attempts == 0 && waited < WAIT {
            return;
        }
        let kind = if !peers.is_majority(by) {
            Kind::Doubtful
        } else if attempts >= MOST_ATTEMPTS {
            Kind::Stuck
        } else {
            Kind::Lost
        };
        self.listed.insert(hash, (kind, by));
        self.unlisted.of(kind).count += 1;
        if kind != Kind::Lost || waited < WAIT << attempts {
            return;
        }
        self.unlisted.due += 1;
        // Those found come in another order in each survey, so pins that cannot be written do not block the others forever.
        if self.due.len() < BATCH {
            self.due.insert(hash, None);
        }
    }

    /// Adds a pin that a member lists.
    pub(super) fn name(&mut self, hash: u64, member: u32, pin: Pin, peers: &Peers<'_>) {
        let Some((kind, by)) = self.listed.get(&hash) else { return };
        self.unlisted.of(*kind).set_example(&pin.cid, peers.lacking(*by).next());
        match self.due.get_mut(&hash) {
            Some(Some(candidate)) => {
                candidate.by |= member;
                candidate.is_agreed &= candidate.pin == pin;
            }
            Some(empty) if self.size + pin.size() <= BATCH_SIZE => {
                self.size += pin.size();
                // Peers refuse to change shards.
                *empty = Some(Candidate { by: member, is_agreed: pin.is_data(), pin });
            }
            _ => {}
        }
    }

    /// The result, when all members' pins were added.
    pub(super) fn finish(self, peers: &Peers<'_>) -> (Unlisted, Vec<Relist>) {
        let Self { due, mut unlisted, .. } = self;
        let mut relist = Vec::new();
        for Candidate { pin, by, is_agreed } in due.into_values().flatten() {
            let mut lacking = peers.lacking(by).map(str::to_owned).peekable();
            if !is_agreed {
                unlisted.lost.count -= 1;
                unlisted.due -= 1;
                unlisted.doubtful.count += 1;
                unlisted.doubtful.set_example(&pin.cid, lacking.peek().map(String::as_str));
            } else if peers.is_majority(by) && lacking.peek().is_some() && !peers.is_changing(&pin) {
                relist.push(Relist { pin: Arc::new(pin), lacking: lacking.collect() });
            }
        }
        if unlisted.lost.count == 0 {
            unlisted.lost = Lacking::default();
        }
        (unlisted, relist)
    }
}
