//! The contribution of one pin to a survey.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use k8s_openapi::jiff::Timestamp;

use crate::{
    ipfs_cluster::Pin,
    names::{PROBE, PROVEN},
};

use super::{
    BATCH,
    replication::Factors,
    result::{Raise, Survey, add_example},
};

/// How much memory the pins of a batch may take, in bytes: a thousand usual ones take a quarter of it. A pin of 8 KiB can take
/// twenty times as much.
pub(super) const BATCH_SIZE: usize = 4 << 20;

/// How long a new pin may lack copies before it counts as short, in seconds.
const FRESH: i64 = 60;

/// The results so far.
#[derive(Default)]
pub(super) struct Findings {
    /// The survey.
    pub(super) survey: Survey,
    /// At most [`BATCH`] pins that were created within the last minute and seem to have no copy: not judged yet.
    pub(super) unconfirmed: Vec<String>,
    /// How much memory the pins to raise take, in bytes.
    raise_size: usize,
    /// The same of those to restore.
    restore_size: usize,
}

/// The members of the cluster, and the time, by which pins are judged.
pub(super) struct Peers<'a> {
    members: BTreeSet<&'a str>,
    others: BTreeSet<&'a str>,
    staying: BTreeSet<&'a str>,
    pub(super) now: Timestamp,
    /// Chooses the pins that are written first.
    chance: RandomState,
}

impl<'a> Peers<'a> {
    /// From ids, each with whether it stays, and those of other live peers.
    pub(super) fn new(
        peers: impl Iterator<Item = (&'a str, bool)> + Clone,
        others: &'a [String],
        now: Timestamp,
    ) -> Self {
        Self {
            members: peers.clone().map(|(id, _)| id).collect(),
            // Their number is what peers report, and every pin is compared with them.
            others: others.iter().map(String::as_str).collect(),
            staying: peers.filter(|(_, stays)| *stays).map(|(id, _)| id).collect(),
            now,
            chance: RandomState::new(),
        }
    }

    /// How many staying peers must hold the pin. A raised pin has its original floor; the floor of a pin that belongs everywhere
    /// is at least one, even if no peer stays.
    fn floor(&self, pin: &Pin) -> u64 {
        match Factors::original(pin) {
            Factors { min, .. } if min > 0 => min.unsigned_abs(),
            _ => self.stay().max(1),
        }
    }

    fn all_stay(&self) -> bool {
        self.staying.len() == self.members.len()
    }

    fn stay(&self) -> u64 {
        self.staying.len() as u64
    }

    /// The raise, if the pin is allocated to too few staying peers.
    fn raise(&self, pin: &Pin, floor: u64) -> Option<Raise> {
        let is_allocated = |peer: &&&str| pin.allocations.iter().any(|allocation| allocation == **peer);
        // A pin that belongs everywhere is allocated to no peer in particular.
        if Factors::original(pin).is_everywhere() || pin.allocations.is_empty() {
            return None;
        }
        let missing = floor.saturating_sub(self.staying.iter().filter(is_allocated).count() as u64);
        let copies = i64::try_from(self.members.iter().filter(is_allocated).count() as u64 + missing).ok()?;
        let user_allocations = self.staying.iter().filter(|peer| !is_allocated(peer)).map(|&peer| peer.to_owned());
        (missing > 0).then(|| Raise {
            pin: Arc::new(pin.clone()),
            copies,
            user_allocations: user_allocations.collect(),
        })
    }

    /// Whether a pin was created so recently that it need not have its copies yet. The clocks may differ, so the future counts,
    /// too.
    fn is_fresh(&self, pin: &Pin) -> bool {
        self.is_recent(pin) && !Factors::is_noted(pin)
    }

    fn is_recent(&self, pin: &Pin) -> bool {
        let age = pin.timestamp.map(|made| self.now.as_second() - made.as_second());
        age.is_some_and(|age| age.abs() < FRESH)
    }

    /// Whether members may differ about a pin for the moment: it was written just now, or each of them removes it by itself.
    pub(super) fn is_changing(&self, pin: &Pin) -> bool {
        self.is_recent(pin) || pin.is_expired(self.now)
    }

    /// The bit of a member.
    pub(super) fn bit(&self, id: &str) -> u32 {
        self.bits().find(|(_, member)| *member == id).map_or(0, |(bit, _)| bit)
    }

    /// The bits of all members.
    pub(super) fn all(&self) -> u32 {
        self.bits().fold(0, |all, (bit, _)| all | bit)
    }

    /// Whether more than half of the members are among these.
    pub(super) fn is_majority(&self, members: u32) -> bool {
        members.count_ones() * 2 > self.all().count_ones()
    }

    /// The members that are not among these.
    pub(super) fn lacking(&self, members: u32) -> impl Iterator<Item = &'a str> {
        self.bits().filter(move |(bit, _)| members & bit == 0).map(|(_, member)| member)
    }

    /// At most 32 members, each with its bit.
    fn bits(&self) -> impl Iterator<Item = (u32, &'a str)> {
        (0..u32::BITS).map(|place| 1 << place).zip(self.members.iter().copied())
    }

    /// Whether a pin was raised, or is allocated to an unknown peer, and its options can be changed.
    pub(super) fn is_to_restore(&self, pin: &Pin) -> bool {
        let is_known = |peer: &String| [&self.members, &self.others].iter().any(|ids| ids.contains(peer.as_str()));
        let can_be = self.floor(pin) <= self.stay() && pin.is_data() && !pin.is_expired(self.now);
        can_be && (Factors::is_noted(pin) || !pin.allocations.iter().all(is_known))
    }
}

impl Findings {
    /// Adds a pin with this number of copies on staying peers. Returns whether it should be restored.
    pub(super) fn judge(&mut self, pin: Pin, copies: u64, peers: &Peers<'_>) -> bool {
        let Self { survey, unconfirmed, raise_size, restore_size } = self;
        // The pin of the controller's verification is kept like any other, but not counted among the user's.
        let is_probe = pin.name == PROBE && pin.metadata.contains_key(PROVEN);
        survey.pins += u64::from(!is_probe);
        // The head of sharded content is only metadata, which no peer must hold; expired pins are removed within minutes.
        if pin.kind == "meta-pin" || pin.is_expired(peers.now) {
            return false;
        }
        let floor = peers.floor(&pin);
        let is_possible = floor <= peers.stay();
        // Without a copy on a staying peer, only a leaver may have the data, perhaps without knowing that it is pinned.
        let is_safe = copies > 0 || peers.all_stay();
        let is_fresh = copies < floor && peers.is_fresh(&pin);
        if is_fresh && is_safe {
            survey.fresh += 1;
        } else if is_fresh && unconfirmed.len() < BATCH {
            unconfirmed.push(pin.cid.clone());
        } else if copies < floor {
            survey.short.add(&pin.cid);
        }
        if !is_possible {
            survey.impossible.count += 1;
            survey.impossible.highest = survey.impossible.highest.max(floor);
            add_example(&mut survey.impossible.examples, &pin.cid);
        }
        // Peers refuse to change shards, and to use more peers than exist.
        if !is_possible || !pin.is_data() {
            return false;
        }
        if let Some(raise) = peers.raise(&pin, floor) {
            survey.to_raise += 1;
            keep(&mut survey.raise, raise_size, raise, survey.to_raise, &peers.chance);
        }
        let is_to_restore = peers.is_to_restore(&pin);
        if is_to_restore {
            survey.to_restore += 1;
            keep(&mut survey.restore, restore_size, Arc::new(pin), survey.to_restore, &peers.chance);
        }
        is_to_restore
    }
}

/// What takes memory.
trait Weighed {
    /// How many bytes it takes.
    fn size(&self) -> usize;
}

impl Weighed for Arc<Pin> {
    fn size(&self) -> usize {
        Pin::size(self)
    }
}

impl Weighed for Raise {
    fn size(&self) -> usize {
        Pin::size(&self.pin) + self.user_allocations.iter().map(|peer| size_of::<String>() + peer.len()).sum::<usize>()
    }
}

/// Keeps an item, the `count`-th of all, in a batch of this size in bytes. If there are more than fit, each has the same chance, so
/// that items that cannot be written do not block the others forever.
fn keep<T: Weighed>(batch: &mut Vec<T>, size: &mut usize, item: T, count: u64, chance: &RandomState) {
    let with_item = *size + item.size();
    if batch.len() < BATCH && with_item <= BATCH_SIZE {
        *size = with_item;
        batch.push(item);
    } else if let Ok(index) = usize::try_from(chance.hash_one(count) % count.max(1))
        && let Some(kept) = batch.get_mut(index)
        && with_item - kept.size() <= BATCH_SIZE
    {
        *size = with_item - kept.size();
        *kept = item;
    }
}

#[cfg(test)]
mod tests;
