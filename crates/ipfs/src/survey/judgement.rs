//! What one pin adds to a survey.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
};

use k8s_openapi::jiff::Timestamp;

use crate::{
    ipfs_cluster::Pin,
    names::{PROBE, PROVEN},
};

use super::{BATCH, wishes::Original};

/// How long a pin may take to have its copies before it counts as short, in seconds.
const FRESH: i64 = 60;
/// How many CIDs are named as examples.
const EXAMPLES: usize = 3;

/// What became of a look at all pins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// How many there are.
    pub(crate) pins: u64,
    /// Those that too few of the staying peers hold, without those that are fresh.
    pub(crate) short: Short,
    /// Those that were made within the last minute, are on their way, and are held by somebody who stays.
    pub(crate) fresh: u64,
    /// Those of the short that will be short for good: they want more peers than stay.
    pub(crate) impossible: Impossible,
    /// [`BATCH`] of the pins that too few of the staying peers are to hold.
    pub(crate) raise: Vec<Raise>,
    /// How many such there are.
    pub(crate) to_raise: u64,
    /// [`BATCH`] of the pins that were raised, or are allocated to peers that are no members. Only to be restored when no
    /// member is about to leave, or what was raised for its sake is undone.
    pub(crate) restore: Vec<Pin>,
    /// How many such there are.
    pub(crate) to_restore: u64,
}

/// Pins with too few copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Short {
    /// How many.
    pub(crate) count: u64,
    /// Some of them.
    pub(crate) examples: Vec<String>,
}

/// Pins that want more copies than there are peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Impossible {
    /// How many.
    pub(crate) count: u64,
    /// Some of them.
    pub(crate) examples: Vec<String>,
    /// How many copies the most demanding of them wants.
    pub(crate) highest: u64,
}

/// A pin that further peers are to hold before others leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raise {
    /// As it is.
    pub(crate) pin: Pin,
    /// How many peers are to hold it meanwhile, those that leave among them: its `min` and `max`.
    pub(crate) copies: i64,
    /// The staying peers that are not yet to hold it.
    pub(crate) user_allocations: Vec<String>,
}

/// The members of the cluster, and the time, by which pins are judged.
pub(super) struct Peers<'a> {
    members: BTreeSet<&'a str>,
    others: &'a [String],
    staying: BTreeSet<&'a str>,
    now: Timestamp,
    /// Chooses those that are written first.
    dice: RandomState,
}

impl<'a> Peers<'a> {
    /// Of ids, each with whether it stays, and of those that live beside them.
    pub(super) fn new(
        peers: impl Iterator<Item = (&'a str, bool)> + Clone,
        others: &'a [String],
        now: Timestamp,
    ) -> Self {
        Self {
            members: peers.clone().map(|(id, _)| id).collect(),
            others,
            staying: peers.filter(|(_, stays)| *stays).map(|(id, _)| id).collect(),
            now,
            dice: RandomState::new(),
        }
    }

    /// How many staying peers must hold the pin. What was raised has the floor that it had before; what is to be everywhere
    /// has one even if nobody stays.
    fn floor(&self, pin: &Pin) -> u64 {
        match Original::of(pin) {
            Original { min, .. } if min > 0 => min.unsigned_abs(),
            _ => self.stay().max(1),
        }
    }

    fn all_stay(&self) -> bool {
        self.staying.len() == self.members.len()
    }

    fn stay(&self) -> u64 {
        self.staying.len() as u64
    }

    /// The wish for more copies, if too few of the staying peers are to hold the pin.
    fn raise(&self, pin: &Pin, floor: u64) -> Option<Raise> {
        let is_allocated = |peer: &&&str| pin.allocations.iter().any(|allocation| allocation == **peer);
        // What is everywhere is allocated to nobody.
        if Original::of(pin).is_everywhere() || pin.allocations.is_empty() {
            return None;
        }
        let missing = floor.saturating_sub(self.staying.iter().filter(is_allocated).count() as u64);
        let copies = i64::try_from(self.members.iter().filter(is_allocated).count() as u64 + missing).ok()?;
        let user_allocations = self.staying.iter().filter(|peer| !is_allocated(peer)).map(|&peer| peer.to_owned());
        (missing > 0).then(|| Raise { pin: pin.clone(), copies, user_allocations: user_allocations.collect() })
    }

    /// Whether a pin was made so lately that it need not have its copies yet. By two clocks, so the future counts, too.
    fn is_fresh(&self, pin: &Pin) -> bool {
        let age = pin.timestamp.map(|made| self.now.as_second() - made.as_second());
        age.is_some_and(|age| age.abs() < FRESH) && !Original::is_noted(pin)
    }

    /// Whether a pin was raised, or is allocated to somebody who is not known, and peers can be told something about it.
    pub(super) fn is_to_restore(&self, pin: &Pin) -> bool {
        let is_known = |peer: &String| self.members.contains(peer.as_str()) || self.others.contains(peer);
        let can_be = self.floor(pin) <= self.stay() && pin.is_data() && !pin.is_expired(self.now);
        can_be && (Original::is_noted(pin) || !pin.allocations.iter().all(is_known))
    }
}

impl Survey {
    /// Whether nothing is amiss, and nothing to be done.
    pub(crate) fn is_well(&self) -> bool {
        self.short.count == 0 && self.to_restore == 0
    }

    /// The same, and nothing is on its way either.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_well() && self.fresh == 0
    }

    /// The numbers without the pins that must be written.
    pub(crate) fn without_lists(&self) -> Self {
        Self {
            short: self.short.clone(),
            impossible: self.impossible.clone(),
            raise: Vec::new(),
            restore: Vec::new(),
            ..*self
        }
    }

    /// Adds what is to be said of a pin that so many of the staying peers hold. Says whether it is to be restored.
    ///
    /// Of one that was made within the last minute, and that nobody who stays has, nothing is said yet: its CID joins the
    /// `lonely`, of which there are a [`BATCH`] at most.
    pub(super) fn judge(&mut self, pin: Pin, copies: u64, peers: &Peers<'_>, lonely: &mut Vec<String>) -> bool {
        // That of the controller's own verification is kept like any other, and is none of the user's.
        let is_probe = pin.name == PROBE && pin.metadata.contains_key(PROVEN);
        self.pins += u64::from(!is_probe);
        // The head of what was added in shards is a mere note, which nobody has to hold; what has expired goes within minutes.
        if pin.kind == "meta-pin" || pin.is_expired(peers.now) {
            return false;
        }
        let floor = peers.floor(&pin);
        let is_possible = floor <= peers.stay();
        // While nobody who stays holds it, its data may be with a leaver alone, who need not know that it is pinned.
        let is_safe = copies > 0 || peers.all_stay();
        let is_fresh = copies < floor && peers.is_fresh(&pin);
        if is_fresh && is_safe {
            self.fresh += 1;
        } else if is_fresh && lonely.len() < BATCH {
            lonely.push(pin.cid.clone());
        } else if copies < floor {
            self.short.add(&pin.cid);
        }
        if !is_possible {
            self.impossible.count += 1;
            self.impossible.highest = self.impossible.highest.max(floor);
            name(&mut self.impossible.examples, &pin.cid);
        }
        // Peers refuse to be told anything about shards, and to find more peers than there are.
        if !is_possible || !pin.is_data() {
            return false;
        }
        if let Some(raise) = peers.raise(&pin, floor) {
            self.to_raise += 1;
            keep(&mut self.raise, raise, self.to_raise, &peers.dice);
        }
        let is_to_restore = peers.is_to_restore(&pin);
        if is_to_restore {
            self.to_restore += 1;
            keep(&mut self.restore, pin, self.to_restore, &peers.dice);
        }
        is_to_restore
    }
}

impl Short {
    pub(super) fn add(&mut self, cid: &str) {
        self.count += 1;
        name(&mut self.examples, cid);
    }
}

fn name(examples: &mut Vec<String>, cid: &str) {
    if examples.len() < EXAMPLES {
        examples.push(cid.to_owned());
    }
}

/// Keeps an item, the `count`-th of all. Where there are more than fit, each has the same chance, so that those which cannot be written do
/// not keep the others from it for ever.
fn keep<T>(batch: &mut Vec<T>, item: T, count: u64, dice: &RandomState) {
    if batch.len() < BATCH {
        batch.push(item);
    } else if let Ok(place) = usize::try_from(dice.hash_one(count) % count.max(1))
        && let Some(kept) = batch.get_mut(place)
    {
        *kept = item;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_behind_a_batch_that_cannot_be_written_get_their_turn() {
        let mut seen = BTreeSet::new();
        for _ in 0..40 {
            let peers = Peers::new([("A", true)].into_iter(), &[], Timestamp::UNIX_EPOCH);
            let mut survey = Survey::default();
            for number in 0..3 * BATCH {
                let pin = Pin {
                    cid: number.to_string(),
                    min: 1,
                    max: 1,
                    allocations: vec!["gone".to_owned()],
                    ..Pin::default()
                };
                survey.judge(pin, 1, &peers, &mut Vec::new());
            }
            assert_eq!((survey.restore.len(), survey.to_restore), (BATCH, 3 * BATCH as u64));
            seen.extend(survey.restore.into_iter().map(|pin| pin.cid));
        }
        assert!(seen.len() > 3 * BATCH - 10, "{}", seen.len());
    }
}
