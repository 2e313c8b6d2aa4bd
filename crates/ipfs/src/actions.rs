//! What the peers must be told, as data, and how they are told.

use std::fmt;

use futures::{StreamExt, stream};
use kube::ResourceExt;
use temporal_stack_common::{api::IpfsCluster, failure::chain, http::Client};

use crate::{
    Error, health,
    ipfs_cluster::{Cluster, Failure, Pin},
    kubo::Kubo,
    names::RPC,
    observe::{Embedded, Observed, Seen, Source},
    scale::{self, Obstacle, pins},
    survey::{self, Raise},
    surveys::Surveys,
};

/// How many copies are tried again in one pass, on each peer.
const RECOVERED: usize = 20;
/// How many requests are under way at once.
const AT_ONCE: usize = 16;
/// With so many copies under way, no more are asked for.
const BUSY: u64 = 1000;

/// Something that the peers must be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Copies that could not be made are tried again.
    Recover {
        /// The ordinal of the peer.
        ordinal: i32,
        /// Of what.
        cids: Vec<String>,
    },
    /// Pins that would be short without the peers that are to leave get copies on those that stay.
    Raise {
        /// How many there are in all.
        pins: u64,
    },
    /// Pins get the options back that they were given, and allocations to peers that have left are replaced.
    Restore {
        /// How many there are in all.
        pins: u64,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recover { ordinal, cids } => {
                write!(f, "try {} again on peer {ordinal}", cids.join(", "))
            }
            Self::Raise { pins: number } => write!(f, "raise the replication of {}", pins(*number)),
            Self::Restore { pins: number } => write!(f, "restore the replication of {}", pins(*number)),
        }
    }
}

/// What the peers must be told now.
pub(crate) fn actions(object: &IpfsCluster, observed: &Observed) -> Vec<Action> {
    let Source::Embedded(embedded) = &observed.source else { return Vec::new() };
    let mut actions: Vec<Action> = embedded.seen().filter_map(|(ordinal, seen)| recover(ordinal, seen)).collect();
    actions.extend(copies(object, embedded));
    actions
}

fn recover(ordinal: i32, seen: &Seen) -> Option<Action> {
    let mut due: Vec<_> = seen.troubles.errored.iter().filter(|errored| errored.due).collect();
    due.sort_by_key(|errored| errored.attempts);
    let cids: Vec<String> = due.into_iter().take(RECOVERED).map(|errored| errored.cid.clone()).collect();
    (!cids.is_empty()).then_some(Action::Recover { ordinal, cids })
}

/// What is to be done about copies: raised before peers leave, restored when they have left.
fn copies(object: &IpfsCluster, embedded: &Embedded) -> Option<Action> {
    let survey = embedded.survey.now().ok()?;
    // IPFS Cluster drops allocations to peers that it knows too little of.
    if health::apart(object, embedded).is_some() || health::unknown_room(object, embedded).is_some() {
        return None;
    }
    let under_way: u64 = embedded.seen().map(|(_, seen)| seen.troubles.queued + seen.troubles.pinning).sum();
    if under_way >= BUSY {
        return None;
    }
    if scale::is_leaving(object, embedded) {
        let is_refused = matches!(
            scale::obstacle_to_leaving(object, embedded),
            Some(Obstacle::NotEnoughPeers(_) | Obstacle::NoRoom(_))
        );
        return (survey.to_raise > 0 && !is_refused).then_some(Action::Raise { pins: survey.to_raise });
    }
    // Whoever has left would be given the pin again while it is not missed yet.
    let is_time = scale::not_missed(object, embedded).is_none();
    (survey.to_restore > 0 && is_time).then_some(Action::Restore { pins: survey.to_restore })
}

/// Tells the peers one thing.
pub(crate) async fn act(
    client: &Client,
    surveys: &Surveys,
    object: &IpfsCluster,
    observed: &Observed,
    action: &Action,
) -> Result<(), Error> {
    let Source::Embedded(embedded) = &observed.source else { return Ok(()) };
    match action {
        Action::Recover { ordinal, cids } => {
            let Some(cluster) = embedded.cluster(client, *ordinal) else { return Ok(()) };
            let uid = object.uid().unwrap_or_default();
            if let Some(words) = complaint(client, embedded, *ordinal).await {
                surveys.note_words(&uid, *ordinal, words);
            }
            for cid in cids {
                surveys.note_try(&uid, *ordinal, cid);
                // It fails again, or was removed meanwhile: the next look says which.
                if let Err(failure) = cluster.recover(cid).await {
                    tracing::info!(%cid, "{}", chain(&failure));
                }
            }
            Ok(())
        }
        Action::Raise { .. } => {
            let Ok(survey) = embedded.survey.now() else { return Ok(()) };
            let clusters = all_peers(client, embedded);
            let told = survey.raise.iter().map(|raise| raise_pin(&clusters, raise));
            all(told.collect()).await;
            Ok(())
        }
        Action::Restore { .. } => {
            let Ok(survey) = embedded.survey.now() else { return Ok(()) };
            let clusters = all_peers(client, embedded);
            let members: Vec<String> = embedded.seen().map(|(_, seen)| seen.id.clone()).collect();
            let told = survey.restore.iter().map(|pin| restore_pin(&clusters, pin, &members));
            all(told.collect()).await;
            Ok(())
        }
    }
}

/// Why a copy has gone. IPFS Cluster does not know: it takes a pin for made that Kubo gave up in the middle. So Kubo is told to
/// make one of them, and says why it cannot.
async fn complaint(client: &Client, embedded: &Embedded, ordinal: i32) -> Option<String> {
    let (_, seen) = embedded.seen().find(|(seen, _)| *seen == ordinal)?;
    let gone = seen.troubles.errored.iter().find(|copy| copy.has_gone && copy.due)?;
    Kubo::new(client, embedded.ip(ordinal)?, RPC).complaint_about(&gone.cid).await
}

/// Has further peers hold a pin.
async fn raise_pin(clusters: &[Cluster], raise: &Raise) -> Result<(), Failure> {
    let Some(cluster) = agreed(clusters, &raise.pin).await? else { return Ok(()) };
    cluster.pin(&raise.pin, &survey::raise_wish(raise)).await
}

/// Gives a pin the options back that it was given. Those who hold it now are to keep it.
async fn restore_pin(clusters: &[Cluster], pin: &Pin, members: &[String]) -> Result<(), Failure> {
    let Some(cluster) = agreed(clusters, pin).await? else { return Ok(()) };
    let statuses = cluster.status(&pin.cid).await?;
    let holders: Vec<String> = statuses.into_iter().filter(|(_, short)| short.is_pinned()).map(|(id, _)| id).collect();
    for wish in survey::restore_wishes(pin, members, &holders) {
        cluster.pin(pin, &wish).await?;
    }
    Ok(())
}

/// A peer to tell it, if all of them know the pin as it was seen: what a user has removed or changed since must not come back,
/// and one of the peers may not have heard of that yet.
async fn agreed<'a>(clusters: &'a [Cluster], pin: &Pin) -> Result<Option<&'a Cluster>, Failure> {
    for cluster in clusters {
        if !cluster.is_as(pin).await? {
            return Ok(None);
        }
    }
    Ok(clusters.first())
}

/// Does all, some at once. One that is refused is found again by the next look at the pins, with its cause in the log.
async fn all(told: Vec<impl Future<Output = Result<(), Failure>>>) {
    let mut outcomes = stream::iter(told).buffer_unordered(AT_ONCE);
    let (mut failed, mut first) = (0, None);
    while let Some(outcome) = outcomes.next().await {
        if let Err(failure) = outcome {
            failed += 1;
            first = first.or(Some(failure));
        }
    }
    if let Some(failure) = first {
        tracing::warn!(failed, "pins could not be told their replication: {}", chain(&failure));
    }
}

fn all_peers(client: &Client, embedded: &Embedded) -> Vec<Cluster> {
    embedded.seen().filter_map(|(ordinal, _)| embedded.cluster(client, ordinal)).collect()
}

#[cfg(test)]
mod tests;
