//! Whether peers can leave or restart without losing a pin, and what must be written so that they can.
//!
//! Only positive evidence counts: a pin has as many copies as peers that stay say of themselves, now, that they have all of it.
//! What is to be kept is what *any* peer lists, so that a peer that came back with an empty volume proves nothing; and every
//! peer must give its lists to the end, or nothing is concluded.
//!
//! ```text
//!   staying members   /pins?filter=pinned ──▶ copies of each CID ─┐
//!   all members       /allocations ─────────▶ floor of each CID ──┴──▶ short? impossible? to raise? to restore?
//! ```
//!
//! What is held is asked before what is pinned, so a pin that was made in between seems to be held by nobody. Clients that never
//! stop make some in every survey: those who stay are asked for these once more, by name.
//!
//! Memory does not grow with the pinset: a pin takes its hash and a number, and when there are more of them than [`TABLE`],
//! the lists are read several times, each time looking at another part of the hashes.

mod judgement;
#[cfg(test)]
mod tests;
mod wishes;

use std::{
    collections::{HashMap, HashSet},
    future,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use futures::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use k8s_openapi::jiff::Timestamp;
use tokio::time::sleep;

use crate::ipfs_cluster::{self, Cluster, Pin, PinStatus};

use judgement::Peers;
#[cfg(test)]
pub(crate) use judgement::{Impossible, Short};
pub(crate) use judgement::{Raise, Survey};
pub(crate) use wishes::{original_wish, raise_wish, restore_wishes};

/// How many pins are looked at in one round.
const TABLE: usize = 100_000;
/// How many pins are named that must be written; the rest is only counted, and named by the next survey.
pub(crate) const BATCH: usize = 1000;

/// How often those who stay are asked for pins that were made meanwhile.
const LOOKS: u32 = 4;
/// How long they are given to get them in between.
const PAUSE: Duration = Duration::from_millis(500);

/// Why nothing can be said about the pins.
#[derive(Debug, thiserror::Error)]
#[error("peer {peer} does not list its pins, so none is known to be safe")]
pub(crate) struct Failure {
    /// The id of the peer.
    pub(crate) peer: String,
    /// What it did instead.
    #[source]
    pub(crate) source: ipfs_cluster::Failure,
}

/// Something that lists pins as a peer does.
pub(crate) trait Lists: Sync {
    /// All pins that it knows of, whoever holds them.
    fn pins(&self) -> BoxStream<'_, Result<Pin, ipfs_cluster::Failure>>;
    /// The CIDs that it has itself, wholly and now.
    fn holds(&self) -> BoxStream<'_, Result<String, ipfs_cluster::Failure>>;
    /// Those of these CIDs that it has itself, wholly and now.
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
    let is_pinned = |status: &PinStatus| future::ready(status.peer_map.values().any(ipfs_cluster::Short::is_pinned));
    statuses.try_filter(is_pinned).map_ok(|status| status.cid).boxed()
}

/// A peer.
#[derive(Clone, Debug)]
pub(crate) struct Member<L = Cluster> {
    /// Its id in IPFS Cluster.
    pub(crate) id: String,
    /// Its lists.
    pub(crate) cluster: L,
    /// Whether it is to hold its pins afterwards, too.
    pub(crate) stays: bool,
}

/// What is known of one CID: as many as fit make up the table.
#[derive(Default)]
struct Entry {
    copies: u16,
    is_judged: bool,
    is_to_restore: bool,
}

/// Looks at all pins of all peers.
///
/// `others` are the ids of peers that are none of the controller's and live: what is allocated to them stays so.
pub(crate) async fn survey<L: Lists>(peers: &[Member<L>], others: &[String]) -> Result<Survey, Failure> {
    within(peers, others, TABLE, Timestamp::now()).await
}

/// With so many entries in the table: if they do not suffice, in more rounds.
async fn within<L: Lists>(
    peers: &[Member<L>],
    others: &[String],
    table: usize,
    now: Timestamp,
) -> Result<Survey, Failure> {
    let mut rounds = 1;
    loop {
        if let Some(survey) = attempt(peers, others, rounds, table, now).await? {
            return Ok(survey);
        }
        // Some room, because neither hashes nor lists are quite even.
        let enough = longest(peers).await?.div_ceil((table * 3 / 4).max(1) as u64);
        rounds = enough.max(rounds * 2);
    }
}

/// `None` if the table does not suffice.
async fn attempt<L: Lists>(
    peers: &[Member<L>],
    others: &[String],
    rounds: u64,
    table: usize,
    now: Timestamp,
) -> Result<Option<Survey>, Failure> {
    // Other keys each time: nobody can make CIDs whose hashes are the same.
    let keys = RandomState::new();
    let judges = Peers::new(peers.iter().map(|peer| (peer.id.as_str(), peer.stays)), others, now);
    let (mut survey, mut lonely) = (Survey::default(), Vec::new());
    for round in 0..rounds {
        let mut entries: HashMap<u64, Entry> = HashMap::new();
        let here = |cid: &str| Some(keys.hash_one(cid)).filter(|hash| hash % rounds == round);
        let mut held = all(peers.iter().filter(|peer| peer.stays), |peer| peer.cluster.holds());
        while let Some(cid) = held.try_next().await? {
            if let Some(hash) = here(&cid) {
                entries.entry(hash).or_default().copies += 1;
            }
            if entries.len() > table {
                return Ok(None);
            }
        }
        let mut pins = all(peers.iter(), |peer| peer.cluster.pins());
        while let Some(pin) = pins.try_next().await? {
            let Some(hash) = here(&pin.cid) else { continue };
            let entry = entries.entry(hash).or_default();
            if !entry.is_judged {
                entry.is_judged = true;
                entry.is_to_restore = survey.judge(pin, entry.copies.into(), &judges, &mut lonely);
            } else if !entry.is_to_restore && judges.is_to_restore(&pin) {
                // One of the peers has not heard of what was said since: it is not over yet.
                entry.is_to_restore = true;
                survey.to_restore += 1;
            }
            if entries.len() > table {
                return Ok(None);
            }
        }
    }
    look_again(peers, lonely, &mut survey).await?;
    Ok(Some(survey))
}

/// Asks those who stay for the pins that nobody seemed to hold and that are too new for that to mean something. However many
/// clients make further ones, these get fewer.
async fn look_again<L: Lists>(
    peers: &[Member<L>],
    mut lonely: Vec<String>,
    survey: &mut Survey,
) -> Result<(), Failure> {
    for look in 0..LOOKS {
        if lonely.is_empty() {
            break;
        }
        if look > 0 {
            sleep(PAUSE).await;
        }
        let stay = peers.iter().filter(|peer| peer.stays);
        let held: HashSet<String> = all(stay, |peer| peer.cluster.holds_of(&lonely)).try_collect().await?;
        let before = lonely.len();
        lonely.retain(|cid| !held.contains(cid));
        survey.fresh += (before - lonely.len()) as u64;
    }
    for cid in &lonely {
        survey.short.add(cid);
    }
    Ok(())
}

/// How many pins the peer lists that lists the most.
async fn longest<L: Lists>(peers: &[Member<L>]) -> Result<u64, Failure> {
    let counts = peers
        .iter()
        .map(|peer| all([peer], |peer| peer.cluster.pins()).try_fold(0, |count, _| future::ready(Ok(count + 1))));
    let counts: Vec<u64> = futures::future::try_join_all(counts).await?;
    Ok(counts.into_iter().max().unwrap_or_default())
}

/// The lists of several peers at once, in no order.
fn all<'a, L: Lists + 'a, T: Send + 'a>(
    peers: impl IntoIterator<Item = &'a Member<L>>,
    list: impl Fn(&'a Member<L>) -> BoxStream<'a, Result<T, ipfs_cluster::Failure>>,
) -> impl Stream<Item = Result<T, Failure>> + Send + Unpin {
    let lists = peers.into_iter().map(|peer| {
        let failed = |source| Failure { peer: peer.id.clone(), source };
        list(peer).map_err(failed)
    });
    stream::select_all(lists.collect::<Vec<_>>())
}
