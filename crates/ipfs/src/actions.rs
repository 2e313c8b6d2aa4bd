//! What the peers must be told, as data, and how they are told.

use std::fmt;

use futures::{StreamExt, stream};
use temporal_stack_common::{api::IpfsCluster, failure::chain};

use crate::{
    Error, health,
    ipfs_cluster::{Cluster, Failure, Pin},
    names::REST,
    observe::{Embedded, Observed, Seen, Source, Surveyed},
    scale::{self, Obstacle, pins},
    survey::{self, Raise, Survey},
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
    let due = seen.troubles.errored.iter().filter(|errored| errored.due);
    let cids: Vec<String> = due.take(RECOVERED).map(|errored| errored.cid.clone()).collect();
    (!cids.is_empty()).then_some(Action::Recover { ordinal, cids })
}

/// What is to be done about copies: raised before peers leave, restored when they have left.
fn copies(object: &IpfsCluster, embedded: &Embedded) -> Option<Action> {
    let survey = now(embedded)?;
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
    let knows = |seen: &Seen, id: &str| seen.sees.iter().chain(&seen.allocates_to).any(|known| known == id);
    let is_missed = !embedded.seen().any(|(_, seen)| left(object, embedded).any(|id| knows(seen, id)));
    let is_time = is_missed && health::apart(object, embedded).is_none();
    (survey.to_restore > 0 && is_time).then_some(Action::Restore { pins: survey.to_restore })
}

fn now(embedded: &Embedded) -> Option<&Survey> {
    match &embedded.survey {
        Surveyed::Now(survey) => Some(survey),
        Surveyed::Before(_) | Surveyed::Not(_) => None,
    }
}

/// The IDs of peers that have left.
fn left<'a>(object: &IpfsCluster, embedded: &'a Embedded) -> impl Iterator<Item = &'a str> {
    let wanted = object.spec.replicas;
    embedded
        .identities
        .iter()
        .filter(move |identity| identity.ordinal >= wanted)
        .map(|identity| identity.cluster.id.as_str())
}

/// Tells the peers one thing.
pub(crate) async fn act(client: &reqwest::Client, observed: &Observed, action: &Action) -> Result<(), Error> {
    let Source::Embedded(embedded) = &observed.source else { return Ok(()) };
    match action {
        Action::Recover { ordinal, cids } => {
            let Some(cluster) = peer(client, embedded, *ordinal) else { return Ok(()) };
            for cid in cids {
                // It fails again, or was removed meanwhile: the next look says which.
                if let Err(failure) = cluster.recover(cid).await {
                    tracing::info!(%cid, "{}", chain(&failure));
                }
            }
            Ok(())
        }
        Action::Raise { .. } => {
            let (Some(cluster), Some(survey)) = (first(client, embedded), now(embedded)) else { return Ok(()) };
            let told = survey.raise.iter().map(|raise| raise_pin(&cluster, raise));
            all(told.collect()).await
        }
        Action::Restore { .. } => {
            let (Some(cluster), Some(survey)) = (first(client, embedded), now(embedded)) else { return Ok(()) };
            let members: Vec<String> = embedded.seen().map(|(_, seen)| seen.id.clone()).collect();
            let told = survey.restore.iter().map(|pin| restore_pin(&cluster, pin, &members));
            all(told.collect()).await
        }
    }
}

/// Has further peers hold a pin.
async fn raise_pin(cluster: &Cluster, raise: &Raise) -> Result<(), Failure> {
    if cluster.is_as(&raise.pin).await? {
        cluster.pin(&raise.pin, &survey::raise_wish(raise)).await?;
    }
    Ok(())
}

/// Gives a pin the options back that it was given. Those who hold it now are to keep it.
async fn restore_pin(cluster: &Cluster, pin: &Pin, members: &[String]) -> Result<(), Failure> {
    let statuses = cluster.status(&pin.cid).await?;
    let holders: Vec<String> = statuses.into_iter().filter(|(_, short)| short.is_pinned()).map(|(id, _)| id).collect();
    if !cluster.is_as(pin).await? {
        return Ok(());
    }
    for wish in survey::restore_wishes(pin, members, &holders) {
        cluster.pin(pin, &wish).await?;
    }
    Ok(())
}

/// Does all, some at once. One that fails does not keep the others from it.
async fn all(told: Vec<impl Future<Output = Result<(), Failure>>>) -> Result<(), Error> {
    let outcomes = stream::iter(told).buffer_unordered(AT_ONCE);
    let first = outcomes.fold(Ok(()), |first, outcome| std::future::ready(first.and(outcome)));
    Ok(first.await?)
}

fn first(client: &reqwest::Client, embedded: &Embedded) -> Option<Cluster> {
    let (ordinal, _) = embedded.seen().next()?;
    peer(client, embedded, ordinal)
}

fn peer(client: &reqwest::Client, embedded: &Embedded, ordinal: i32) -> Option<Cluster> {
    let pod = embedded.pods.iter().find(|pod| pod.ordinal == ordinal)?;
    Some(Cluster::new(client, pod.ip.as_ref()?, REST))
}

#[cfg(test)]
mod tests;
