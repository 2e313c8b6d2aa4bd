//! Whether peers can leave or restart without losing a pin, and the writes that make it possible.
//!
//! Only positive evidence counts: the copies of a pin are the staying peers that report, now, that they have all of it. Every pin
//! that *any* peer lists must be kept, so a peer that came back with an empty volume proves nothing; and every peer must send
//! complete lists, or nothing is concluded.
//!
//! ```text
//!   staying members   /pins?filter=pinned ──▶ copies of each CID ─┐
//!   all members       /allocations ─────────▶ floor of each CID ──┴──▶ short? impossible? to raise? to restore?
//! ```
//!
//! Copies are listed before pins, so a pin that is created in between seems to have no copy. Busy clients create some in every
//! survey: the staying peers are asked for these again, by name.
//!
//! The same lists show which pins some members lack.
//!
//! Memory does not grow with the pinset: a pin takes its hash and some numbers, and if there are more than [`TABLE`], the lists are
//! read several times, each time for another part of the hashes.

mod judgement;
mod memory;
mod replication;
mod result;
#[cfg(test)]
mod tests;
mod unlisted;

use std::{
    collections::{HashMap, HashSet},
    future,
    hash::BuildHasher,
    time::Duration,
};

use futures::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use k8s_openapi::jiff::Timestamp;
use temporal_stack_common::message::counted;
use tokio::time::sleep;

use crate::ipfs_cluster::{self, Cluster, Pin, PinStatus};

pub(crate) use memory::{Attempts, Memory};
pub(crate) use replication::{original_factors, raised_factors, restoring_updates};
pub(crate) use result::{Impossible, Lacking, Raise, Relist, ShortPins, Survey, Unlisted};

use judgement::{Findings, Peers};
use unlisted::{Doubts, Listed, Sightings, Suspects};

/// How many pins are judged in one round.
const TABLE: usize = 100_000;
/// How many pins to write are listed; the others are only counted, and listed by the next survey.
pub(crate) const BATCH: usize = 1000;

/// How often the staying peers are asked for pins that were created meanwhile.
const CONFIRMATIONS: u32 = 4;
/// The pause in between, in which they can get them.
const PAUSE: Duration = Duration::from_millis(500);

/// Why the pins are unknown.
#[derive(Debug, thiserror::Error)]
#[error("peer {peer} does not list its pins, so no pin is known to be safe")]
pub(crate) struct Failure {
    /// The id of the peer.
    pub(crate) peer: String,
    /// Its failure.
    #[source]
    pub(crate) source: ipfs_cluster::Failure,
}

/// A source of pin lists, such as a peer.
pub(crate) trait Lists: Sync {
    /// All pins that it knows of, whichever peers hold them.
    fn pins(&self) -> BoxStream<'_, Result<Pin, ipfs_cluster::Failure>>;
    /// The CIDs that it has itself, completely and now.
    fn holds(&self) -> BoxStream<'_, Result<String, ipfs_cluster::Failure>>;
    /// Those of these CIDs that it has itself, completely and now.
    fn holds_of<'a>(&'a self, cids: &'a [String]) -> BoxStream<'a, Result<String, ipfs_cluster::Failure>>;
}

impl Lists for Cluster {
    fn pins(&self) -> BoxStream<'_, Result<Pin, ipfs_cluster::Failure>> {
        self.allocations().boxed()
    }

    fn holds(&self) -> BoxStream<'_, Result<String, ipfs_cluster::Failure>> {
        pinned(self.statuses(&["pinned"]))
    }

    fn holds_of<'a>(&'a self, cids: &'a [String]) -> BoxStream<'a, Result<String, ipfs_cluster::Failure>> {
        pinned(self.statuses_of(cids))
    }
}

fn pinned<'a>(
    statuses: impl Stream<Item = Result<PinStatus, ipfs_cluster::Failure>> + Send + 'a,
) -> BoxStream<'a, Result<String, ipfs_cluster::Failure>> {
    let is_pinned =
        |status: &PinStatus| future::ready(status.peer_map.values().any(ipfs_cluster::PeerStatus::is_pinned));
    statuses.try_filter(is_pinned).map_ok(|status| status.cid).boxed()
}

/// A peer.
#[derive(Clone, Debug)]
pub(crate) struct Member<L = Cluster> {
    /// Its id in IPFS Cluster.
    pub(crate) id: String,
    /// Its lists.
    pub(crate) cluster: L,
    /// Whether it stays in the cluster.
    pub(crate) stays: bool,
}

/// An entry of the table, about one CID.
#[derive(Default)]
struct Entry {
    copies: u16,
    is_judged: bool,
    is_to_restore: bool,
    listed: Listed,
}

/// Judges all pins of all peers.
///
/// `others` are the ids of live peers that the controller does not run: their allocations are kept. `doubts` are those of the
/// previous survey, and become those of this one.
pub(crate) async fn survey<L: Lists>(
    peers: &[Member<L>],
    others: &[String],
    doubts: &mut Doubts,
) -> Result<Survey, Failure> {
    survey_within(peers, others, doubts, TABLE, Timestamp::now()).await
}

/// The same with this size of the table: if it does not suffice, in several rounds.
async fn survey_within<L: Lists>(
    peers: &[Member<L>],
    others: &[String],
    doubts: &mut Doubts,
    table: usize,
    now: Timestamp,
) -> Result<Survey, Failure> {
    let judges = Peers::new(peers.iter().map(|peer| (peer.id.as_str(), peer.stays)), others, now);
    let mut rounds = 1;
    let (findings, sightings) = loop {
        if let Some(found) = attempt(peers, &judges, doubts, rounds, table).await? {
            break found;
        }
        // With some margin, because neither hashes nor lists are distributed evenly.
        let enough = longest_list(peers).await?.div_ceil((table * 3 / 4).max(1) as u64);
        rounds = enough.max(rounds * 2);
    };
    let mut survey = confirm(peers, findings).await?;
    if let Some(suspects) = doubts.update(sightings, &judges) {
        (survey.unlisted, survey.relist) = name(peers, &judges, doubts, suspects).await?;
    }
    Ok(survey)
}

/// `None` if the table does not suffice.
async fn attempt<L: Lists>(
    peers: &[Member<L>],
    judges: &Peers<'_>,
    doubts: &Doubts,
    rounds: u64,
    table: usize,
) -> Result<Option<(Findings, Sightings)>, Failure> {
    let keys = doubts.keys();
    let (mut findings, mut sightings) = (Findings::default(), Sightings::default());
    for round in 0..rounds {
        let mut entries: HashMap<u64, Entry> = HashMap::new();
        let hash_in_round = |cid: &str| Some(keys.hash_one(cid)).filter(|hash| hash % rounds == round);
        let mut held = merged(peers.iter().filter(|peer| peer.stays), |peer| peer.cluster.holds());
        while let Some(cid) = held.try_next().await? {
            if let Some(hash) = hash_in_round(&cid) {
                entries.entry(hash).or_default().copies += 1;
            }
            if entries.len() > table {
                return Ok(None);
            }
        }
        let mut pins = merged(peers.iter(), |peer| pins_of(peer, judges));
        while let Some((member, pin)) = pins.try_next().await? {
            let Some(hash) = hash_in_round(&pin.cid) else { continue };
            let entry = entries.entry(hash).or_default();
            entry.listed.add(member, &pin, judges);
            if !entry.is_judged {
                entry.is_judged = true;
                entry.is_to_restore = findings.judge(pin, entry.copies.into(), judges);
            } else if !entry.is_to_restore && judges.is_to_restore(&pin) {
                // One of the peers does not know the latest change yet.
                entry.is_to_restore = true;
                findings.survey.to_restore += 1;
            }
            if entries.len() > table {
                return Ok(None);
            }
        }
        sightings.add(entries.iter().map(|(hash, entry)| (*hash, entry.listed)), doubts, judges);
    }
    Ok(Some((findings, sightings)))
}

/// Lists the pins once more, to find the texts of those that some members lack.
async fn name<L: Lists>(
    peers: &[Member<L>],
    judges: &Peers<'_>,
    doubts: &Doubts,
    mut suspects: Suspects,
) -> Result<(Unlisted, Vec<Relist>), Failure> {
    let keys = doubts.keys();
    let mut pins = merged(peers.iter(), |peer| pins_of(peer, judges));
    while let Some((member, pin)) = pins.try_next().await? {
        suspects.name(keys.hash_one(&pin.cid), member, pin, judges);
    }
    Ok(suspects.finish(judges))
}

/// The pins that a member lists, each with the member's bit.
fn pins_of<'a, L: Lists>(
    peer: &'a Member<L>,
    judges: &Peers<'_>,
) -> BoxStream<'a, Result<(u32, Pin), ipfs_cluster::Failure>> {
    let bit = judges.bit(&peer.id);
    peer.cluster.pins().map_ok(move |pin| (bit, pin)).boxed()
}

/// Asks the staying peers again for pins that seemed to have no copy and are too new for that to be significant. Their number
/// decreases even if clients create further pins.
async fn confirm<L: Lists>(peers: &[Member<L>], findings: Findings) -> Result<Survey, Failure> {
    let Findings { mut survey, mut unconfirmed, .. } = findings;
    for round in 0..CONFIRMATIONS {
        if unconfirmed.is_empty() {
            break;
        }
        if round > 0 {
            sleep(PAUSE).await;
        }
        let stay = peers.iter().filter(|peer| peer.stays);
        let held: HashSet<String> = merged(stay, |peer| peer.cluster.holds_of(&unconfirmed)).try_collect().await?;
        let before = unconfirmed.len();
        unconfirmed.retain(|cid| !held.contains(cid));
        survey.fresh += (before - unconfirmed.len()) as u64;
    }
    for cid in &unconfirmed {
        survey.short.add(cid);
    }
    Ok(survey)
}

/// A number of pins in words.
pub(crate) fn count_pins(count: u64) -> String {
    counted(count, "pin")
}

/// The subject and verb of a message about pins.
pub(crate) fn pins_have(count: u64) -> String {
    format!("{} {}", count_pins(count), if count == 1 { "has" } else { "have" })
}

/// The length of the longest list of pins.
async fn longest_list<L: Lists>(peers: &[Member<L>]) -> Result<u64, Failure> {
    let counts = peers
        .iter()
        .map(|peer| merged([peer], |peer| peer.cluster.pins()).try_fold(0, |count, _| future::ready(Ok(count + 1))));
    let counts: Vec<u64> = futures::future::try_join_all(counts).await?;
    Ok(counts.into_iter().max().unwrap_or_default())
}

/// The lists of several peers at the same time, in no particular order.
fn merged<'a, L: Lists + 'a, T: Send + 'a>(
    peers: impl IntoIterator<Item = &'a Member<L>>,
    list: impl Fn(&'a Member<L>) -> BoxStream<'a, Result<T, ipfs_cluster::Failure>>,
) -> impl Stream<Item = Result<T, Failure>> + Send + Unpin {
    let lists = peers.into_iter().map(|peer| {
        let failed = |source| Failure { peer: peer.id.clone(), source };
        list(peer).map_err(failed)
    });
    stream::select_all(lists.collect::<Vec<_>>())
}
