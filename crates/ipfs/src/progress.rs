//! How far the cluster has come.

use kube::ResourceExt;
use temporal_stack_common::{
    api::IpfsCluster,
    component::Progress,
    condition::{Reason, Statement, reason},
    dns, network, published,
    workload::wrong_with_name,
};

use crate::{
    health, kubo_config,
    names::{self, MOST_PEERS},
    observe::{Embedded, Observed, Source},
    scale::{self, Obstacle},
    secrets,
    settings::wrong_with_replication,
};

/// Peers are joining or leaving.
const SCALING: Reason = Reason::new("Scaling");
/// Pins need more copies than peers would be left.
const NOT_ENOUGH_PEERS: Reason = Reason::new("NotEnoughPeers");
/// Peers that stay have no room for what leavers have.
const NO_ROOM: Reason = Reason::new("NoRoom");
/// Pins get the options back that they were given.
const RESTORING: Reason = Reason::new("RestoringPins");

/// The longest name that Services and pods can be made from.
const LONGEST_NAME: usize = 35;

/// Whether there is anything to wait for, or to ask of the user.
pub(crate) fn progress(object: &IpfsCluster, observed: &Observed) -> Progress {
    if let Some(message) = invalid(object) {
        return Progress::Stalled { reason: reason::INVALID_SPEC, message };
    }
    if let Some(obstacle) = &observed.obstacle {
        return obstacle.clone();
    }
    let Source::Embedded(embedded) = &observed.source else { return Progress::Settled };
    let waiting = |reason, message: String| Progress::Waiting { reason, message };
    if embedded.shared.is_stopping(embedded.replicas, embedded.pods.iter().map(|pod| pod.shared)) {
        return waiting(reason::FULL_RESTART, "all peers stop, and start with the other secret or network".to_owned());
    }
    if let Some((reason, message)) = leaving(object, embedded) {
        return waiting(reason, message);
    }
    if let Some((reason, message)) = health::apart(object, embedded) {
        return waiting(reason, message);
    }
    if let Some((reason, message)) = health::not_allocating(object, embedded) {
        return waiting(reason, message);
    }
    if let Some(survey) = embedded.survey.any().filter(|survey| survey.to_restore > 0) {
        let hindrance = scale::not_missed(object, embedded).or_else(|| health::unknown_room(object, embedded));
        let hindrance = hindrance.map(|why| format!("; {why}")).unwrap_or_default();
        let message = format!(
            "the replication of {} is restored, with other peers in the place of those that have left{hindrance}",
            scale::pins(survey.to_restore)
        );
        return waiting(RESTORING, message);
    }
    Progress::Settled
}

/// Why peers that are too many are still there.
fn leaving(object: &IpfsCluster, embedded: &Embedded) -> Option<(Reason, String)> {
    if !scale::is_leaving(object, embedded) {
        let going = embedded.pods.iter().find(|pod| pod.ordinal >= object.spec.replicas)?;
        return Some((SCALING, format!("{} is leaving", names::pod(object, going.ordinal))));
    }
    Some(match scale::obstacle_to_leaving(object, embedded) {
        None => (SCALING, "the peers that are too many are leaving".to_owned()),
        Some(Obstacle::Passing(why)) => (SCALING, format!("no peer leaves yet: {why}")),
        Some(Obstacle::NotEnoughPeers(why)) => (NOT_ENOUGH_PEERS, format!("no peer leaves: {why}")),
        Some(Obstacle::NoRoom(why)) => (NO_ROOM, format!("no peer leaves: {why}")),
    })
}

/// What the CRD's validation refuses too, and what it cannot see.
fn invalid(object: &IpfsCluster) -> Option<String> {
    if let Some(wrong) = wrong_with_name(&object.name_any(), LONGEST_NAME) {
        return Some(wrong);
    }
    let spec = &object.spec;
    if spec.provider.kubo.is_some() && spec.provider.external.is_some() {
        return Some("spec.provider has both kubo and external: name one of them".to_owned());
    }
    let clients = spec.provider.kubo.as_ref().map(|kubo| ("spec.provider.kubo.clients", &kubo.clients[..]));
    if let Some(wrong) = network::wrong_with_access(&spec.access).or_else(|| network::wrong_with_peers(clients)) {
        return Some(wrong);
    }
    if spec.provider.external.is_some() {
        return None;
    }
    if let Some(wrong) = dns::wrong_with_host(object, &names::host(object, MOST_PEERS - 1)) {
        return Some(wrong);
    }
    if !(1..=MOST_PEERS).contains(&spec.replicas) {
        return Some(format!("spec.replicas is {}: set it to 1 to {MOST_PEERS}", spec.replicas));
    }
    if let Some(wrong) = spec.replication.and_then(|replication| wrong_with_replication(replication, spec.replicas)) {
        return Some(format!("spec.replication.min and max {wrong}"));
    }
    spec.provider.kubo.as_ref().and_then(|kubo| kubo_config::fatal(kubo, spec.network))
}

/// Conditions beside those of the driver.
pub(crate) fn statements(object: &IpfsCluster, observed: &Observed) -> Vec<Statement> {
    let mut statements = vec![observed.honoured.clone()];
    if let Source::Embedded(embedded) = &observed.source {
        statements.push(published::statement(secrets::credentials(object, &embedded.shared)));
        statements.extend(health::statements(object, embedded));
    }
    statements
}

#[cfg(test)]
mod tests;
