//! Writes to the peers, as data and as calls.

use std::{fmt, sync::Arc};

use futures::{StreamExt, stream};
use temporal_stack_common::{address::Endpoint, component::Memos, failure::chain, http::Client};

use crate::{
    access::Access,
    ipfs_cluster::{Cluster, Failure, Pin, PinUpdate},
    kubo::Kubo,
    survey::{Memory, Raise, Relist, count_pins, raised_factors, restoring_updates},
};

/// How many requests run at the same time.
const CONCURRENT: usize = 16;

/// One write to the peers.
#[derive(Clone, Debug)]
pub enum Action {
    /// Retry copies that could not be created.
    Recover(Recover),
    /// Change the replication of pins, or write them again.
    Update(Update),
}

/// Copies on one peer that are retried.
#[derive(Clone, Debug)]
pub struct Recover {
    /// The ordinal of the peer.
    pub(crate) ordinal: i32,
    pub(crate) access: Access,
    pub(crate) cids: Vec<String>,
    /// One of the lost copies, to find out the cause.
    pub(crate) lost: Option<String>,
}

/// Pins that are written.
#[derive(Clone, Debug)]
pub struct Update {
    /// The REST APIs of all peers.
    pub(crate) peers: Vec<Endpoint>,
    /// Some of the pins.
    pub(crate) change: Change,
    /// Their total number.
    pub(crate) total: u64,
}

/// How pins are written.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// They get copies on the remaining peers, without which they would have too few when others leave.
    Raise(Vec<Raise>),
    /// They get their original options back, and allocations to peers that are no members are replaced.
    Restore { pins: Vec<Arc<Pin>>, members: Vec<String> },
    /// They stay as they are, and the peers that lack them learn of them. `members` are the ids of the peers, in their order.
    Relist { pins: Vec<Relist>, members: Vec<String> },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recover(Recover { ordinal, cids, .. }) => write!(f, "retry {} on peer {ordinal}", cids.join(", ")),
            Self::Update(Update { change, total, .. }) => {
                let what = match change {
                    Change::Raise(_) => "raise the replication of",
                    Change::Restore { .. } => "restore the replication of",
                    Change::Relist { .. } => "tell all peers again of",
                };
                write!(f, "{what} {}", count_pins(*total))
            }
        }
    }
}

/// Carries out the action. The next pass finds refused writes again, and retries them.
pub(crate) async fn act(action: &Action, client: &Client, memos: &Memos) {
    match action {
        Action::Recover(recover) => retry(recover, client, &memos.get::<Memory>()).await,
        Action::Update(Update { peers, change, .. }) => {
            let clusters: Vec<Cluster> = peers.iter().map(|peer| Cluster::new(client, peer)).collect();
            match change {
                Change::Raise(pins) => {
                    update_all(pins.iter().map(|raise| raise_pin(&clusters, raise)).collect()).await;
                }
                Change::Restore { pins, members } => {
                    update_all(pins.iter().map(|pin| restore_pin(&clusters, pin, members)).collect()).await;
                }
                Change::Relist { pins, members } => {
                    let memory = memos.get::<Memory>();
                    for Relist { pin, .. } in pins {
                        memory.note_relisting(&pin.cid);
                    }
                    let members: Vec<(&str, Cluster)> = members.iter().map(String::as_str).zip(clusters).collect();
                    update_all(pins.iter().map(|relist| relist_pin(&members, relist)).collect()).await;
                }
            }
        }
    }
}

/// IPFS Cluster does not know why a copy was lost: it counts a pin that Kubo abandoned as complete. So Kubo is asked to pin one
/// of them, and answers with the cause.
async fn retry(Recover { ordinal, access, cids, lost }: &Recover, client: &Client, memory: &Memory) {
    if let Some(lost) = lost
        && let Some(cause) = Kubo::new(client, &access.kubo).pin_refusal(lost).await
    {
        memory.note_cause(*ordinal, cause);
    }
    let cluster = Cluster::new(client, &access.cluster);
    for cid in cids {
        memory.note_attempt(*ordinal, cid);
        // It fails again, or was removed meanwhile; the next pass shows which.
        if let Err(failure) = cluster.recover(cid).await {
            tracing::info!(%cid, "copy not retried: {}", chain(&failure));
        }
    }
}

/// Adds peers that hold a pin.
async fn raise_pin(clusters: &[Cluster], raise: &Raise) -> Result<(), Failure> {
    match agreed(clusters, &raise.pin).await? {
        Some(cluster) => cluster.pin(&raise.pin, &raised_factors(raise)).await,
        None => Ok(()),
    }
}

/// Restores the original options of a pin. The peers that hold it now keep it.
async fn restore_pin(clusters: &[Cluster], pin: &Pin, members: &[String]) -> Result<(), Failure> {
    let Some(cluster) = agreed(clusters, pin).await? else { return Ok(()) };
    let statuses = cluster.status(&pin.cid).await?;
    let holders: Vec<String> = statuses.into_iter().filter(|(_, short)| short.is_pinned()).map(|(id, _)| id).collect();
    for update in restoring_updates(pin, members, &holders) {
        cluster.pin(pin, &update).await?;
    }
    Ok(())
}

/// Writes a pin again, as it is.
async fn relist_pin(members: &[(&str, Cluster)], relist: &Relist) -> Result<(), Failure> {
    let Some(cluster) = lister(members, relist).await? else { return Ok(()) };
    let Relist { pin, lacking } = relist;
    cluster.pin(pin, &PinUpdate { min: pin.min, max: pin.max, ..PinUpdate::default() }).await?;
    tracing::info!(cid = %pin.cid, lacking = lacking.join(", "), "pin written again for the peers that lacked it");
    Ok(())
}

/// A peer that lists the pin, if more than half of them still do, all as it was surveyed, and another still lacks it. If a peer
/// lacks it now that listed it before, a user has removed it.
async fn lister<'a>(members: &'a [(&str, Cluster)], relist: &Relist) -> Result<Option<&'a Cluster>, Failure> {
    let Relist { pin, lacking } = relist;
    let mut listers = Vec::new();
    for (id, cluster) in members {
        match cluster.allocation(&pin.cid).await? {
            Some(known) if known == **pin => listers.push(cluster),
            None if lacking.iter().any(|lacking| lacking == id) => {}
            _ => return Ok(None),
        }
    }
    let is_lost = listers.len() < members.len() && listers.len() * 2 > members.len();
    Ok(listers.first().copied().filter(|_| is_lost))
}

/// A peer to update the pin through, if all of them know it as it was surveyed: a pin that a user has removed or changed since
/// must not come back, and some peers may not know of the change yet.
async fn agreed<'a>(clusters: &'a [Cluster], pin: &Pin) -> Result<Option<&'a Cluster>, Failure> {
    for cluster in clusters {
        if !cluster.is_as(pin).await? {
            return Ok(None);
        }
    }
    Ok(clusters.first())
}

/// Makes all updates, some at the same time. The next survey finds refused ones again; the log has the cause.
async fn update_all(updates: Vec<impl Future<Output = Result<(), Failure>>>) {
    let mut outcomes = stream::iter(updates).buffer_unordered(CONCURRENT);
    let (mut failed, mut first) = (0, None);
    while let Some(outcome) = outcomes.next().await {
        if let Err(failure) = outcome {
            failed += 1;
            first = first.or(Some(failure));
        }
    }
    if let Some(failure) = first {
        tracing::warn!(failed, "pins not updated: {}", chain(&failure));
    }
}

#[cfg(test)]
mod tests;
