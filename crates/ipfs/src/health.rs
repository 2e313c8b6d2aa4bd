//! How the cluster is: whether peers see each other, pins are where they should be, and volumes have room.

use kube::ResourceExt;
use temporal_stack_common::{
    api::IpfsCluster,
    condition::{self, Reason, Statement},
    message::{kubectl, logs},
};

use crate::{
    names,
    observe::{Embedded, MOST_ATTEMPTS, Seen, Surveyed},
    scale::pins_have,
};

/// Whether every peer sees every other.
pub(crate) const PEERS_CONNECTED: &str = "PeersConnected";
/// Whether pins are where they should be.
pub(crate) const PINS_HEALTHY: &str = "PinsHealthy";
/// Whether the volumes have room.
pub(crate) const STORAGE_ROOM: &str = "StorageRoom";

/// Every peer sees every other.
const ALL_CONNECTED: Reason = Reason::new("AllConnected");
/// There is but one peer.
const SINGLE_PEER: Reason = Reason::new("SinglePeer");
/// Peers are not ready.
const PEERS_MISSING: Reason = Reason::new("PeersMissing");
/// A peer is ready and does not answer.
const PEER_UNREACHABLE: Reason = Reason::new("PeerUnreachable");
/// Peers do not see each other.
const NOT_CONNECTED: Reason = Reason::new("NotConnected");
/// Peers are of versions that do not understand each other.
pub(crate) const PROTOCOLS_DIFFER: Reason = Reason::new("ProtocolsDiffer");
/// Every pin has the copies that it needs.
const AT_FLOOR: Reason = Reason::new("AtFloor");
/// Copies are being made.
const PINNING: Reason = Reason::new("Pinning");
/// Copies could not be made.
const PIN_ERRORS: Reason = Reason::new("PinErrors");
/// Pins have fewer copies than they need.
const BELOW_FLOOR: Reason = Reason::new("BelowFloor");
/// Nothing is known.
const UNKNOWN: Reason = Reason::new("NotKnown");
/// There is room.
const ENOUGH: Reason = Reason::new("Enough");
/// A repository is nearly as large as it may become.
const NEARLY_FULL: Reason = Reason::new("NearlyFull");
/// A volume is full.
pub(crate) const DISK_FULL: Reason = Reason::new("DiskFull");

/// How many CIDs a message lists.
const LISTED: usize = 3;

/// All conditions.
pub(crate) fn statements(object: &IpfsCluster, embedded: &Embedded) -> Vec<Statement> {
    vec![connected(object, embedded), healthy(embedded), room(object, embedded)]
}

fn connected(object: &IpfsCluster, embedded: &Embedded) -> Statement {
    match apart(object, embedded) {
        Some((reason, why)) => Statement::fails(PEERS_CONNECTED, reason, why),
        None if object.spec.replicas == 1 => {
            let message = "there is one peer, so a restart is an outage and its volume the only copy; set spec.replicas to 2 or more";
            Statement::holds(PEERS_CONNECTED, SINGLE_PEER, message)
        }
        None => Statement::holds(PEERS_CONNECTED, ALL_CONNECTED, "every peer sees every other"),
    }
}

/// Why peers are not all connected with each other, if they are not.
pub(crate) fn apart(object: &IpfsCluster, embedded: &Embedded) -> Option<(Reason, String)> {
    let pod = |ordinal| names::pod(object, ordinal);
    let missing: Vec<String> = embedded
        .members(object)
        .filter(|ordinal| !embedded.pods.iter().any(|pod| pod.ordinal == *ordinal && pod.ready))
        .map(pod)
        .collect();
    if !missing.is_empty() {
        let is_made = |name: &String| embedded.pods.iter().any(|seen| pod(seen.ordinal) == *name);
        let what = missing.iter().find(|name| is_made(name)).map_or_else(
            || format!("describe statefulset {}", names::set(object)),
            |name| format!("describe pod {name}"),
        );
        let see = kubectl(&object.namespace().unwrap_or_default(), &what);
        return Some((PEERS_MISSING, format!("not ready: {}; see {see}", missing.join(", "))));
    }
    for peer in &embedded.peers {
        if let Err(why) = &peer.seen {
            let message = format!(
                "{} is ready and does not answer: {why}; look at the network between the controller and the pod, and at {}",
                pod(peer.ordinal),
                logs(&object.namespace().unwrap_or_default(), &pod(peer.ordinal), "cluster")
            );
            return Some((PEER_UNREACHABLE, message));
        }
    }
    for (ordinal, seen) in embedded.seen() {
        if embedded.identity(ordinal).is_some_and(|identity| identity.cluster.id != seen.id) {
            let message = format!(
                "{} says to be another peer than Secret/{} makes it; if that was edited, put it back, else restart the pod",
                pod(ordinal),
                names::identity(object, ordinal)
            );
            return Some((NOT_CONNECTED, message));
        }
    }
    let mut protocols: Vec<&str> = embedded.seen().map(|(_, seen)| seen.rpc_protocol.as_str()).collect();
    protocols.sort_unstable();
    protocols.dedup();
    if protocols.len() > 1 {
        let message = format!(
            "the peers speak {}, and do not understand each other until all are of one version",
            protocols.join(" and ")
        );
        return Some((PROTOCOLS_DIFFER, message));
    }
    for (ordinal, seen) in embedded.seen() {
        for (other, their) in embedded.seen().filter(|(other, _)| *other != ordinal) {
            let (what, port) = if !seen.sees.contains(&their.id) {
                ("IPFS Cluster", names::PEERS)
            } else if !seen.connected.contains(&their.kubo_id) {
                ("Kubo", names::SWARM)
            } else {
                continue;
            };
            let message = format!(
                "{what} of {} does not see that of {}; if this stays, look at the network between the pods, port {port}",
                pod(ordinal),
                pod(other)
            );
            return Some((NOT_CONNECTED, message));
        }
    }
    None
}

/// Which peer does not know enough of which other to give it pins, if there is one.
pub(crate) fn unknown_room(object: &IpfsCluster, embedded: &Embedded) -> Option<String> {
    let unknown = |(ordinal, seen): (i32, &Seen)| {
        let other = embedded.seen().find(|(_, their)| !seen.allocates_to.contains(&their.id))?;
        let [pod, its] = [ordinal, other.0].map(|ordinal| names::pod(object, ordinal));
        Some(if is_at_limit(other.1) {
            format!("the repository of {its} is as large as it may become, so it is given no pins")
        } else {
            format!("{pod} does not know yet how much room {its} has")
        })
    };
    embedded.seen().find_map(unknown)
}

/// The same for a cluster that is not Ready yet: a single word that comes late puts no Ready in doubt, nor does a full peer.
pub(crate) fn not_allocating(object: &IpfsCluster, embedded: &Embedded) -> Option<(Reason, String)> {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let is_ready = condition::find(conditions, condition::READY).is_some_and(|ready| ready.status == "True");
    let has_full = embedded.seen().any(|(_, seen)| is_at_limit(seen));
    if is_ready || has_full {
        return None;
    }
    unknown_room(object, embedded).map(|why| (NOT_CONNECTED, why))
}

fn healthy(embedded: &Embedded) -> Statement {
    let troubles = || embedded.seen().map(|(_, seen)| &seen.troubles);
    let errors: u64 = troubles().map(|troubles| troubles.errors).sum();
    let (queued, pinning) =
        troubles().fold((0, 0), |(queued, pinning), troubles| (queued + troubles.queued, pinning + troubles.pinning));
    let under_way = match (round(queued), round(pinning)) {
        (0, 0) => String::new(),
        (queued, pinning) => format!("; {queued} copies are queued, {pinning} are being made"),
    };
    if errors > 0 {
        let errored: Vec<_> = troubles().flat_map(|troubles| &troubles.errored).collect();
        let given_up: u64 = troubles().map(|troubles| troubles.given_up).sum();
        let mut examples: Vec<&str> = errored.iter().map(|errored| errored.cid.as_str()).collect();
        examples.sort_unstable();
        examples.dedup();
        examples.truncate(LISTED);
        let why = errored.first().map(|errored| in_words(&errored.error)).unwrap_or_default();
        let tried = if errored.first().is_some_and(|errored| errored.is_removal) {
            "pin them and unpin them again".to_owned()
        } else if given_up == 0 {
            "they are tried again".to_owned()
        } else {
            format!(
                "{} were tried {MOST_ATTEMPTS} times and wait for you: bring the data to a peer and run ipfs-cluster-ctl recover, or unpin them",
                round(given_up)
            )
        };
        let message = format!(
            "{errors} copies could not be made or removed, of {}: {why}; {tried}{under_way}",
            examples.join(", ")
        );
        return Statement::fails(PINS_HEALTHY, PIN_ERRORS, message);
    }
    if let Some(survey) = embedded.survey.any().filter(|survey| survey.short.count > 0 && under_way.is_empty()) {
        let message = format!(
            "{} fewer copies than the replication minimum, among them {}; IPFS Cluster makes those that it can when the peers see each other, for the rest bring the data to a peer, keep more peers, or unpin them",
            pins_have(survey.short.count),
            survey.short.examples.join(", ")
        );
        return Statement::fails(PINS_HEALTHY, BELOW_FLOOR, message);
    }
    match &embedded.survey {
        // What peers that do not answer have, or lack, nobody knows: whatever the others say.
        Surveyed::Not(why) => {
            Statement::unknown(PINS_HEALTHY, UNKNOWN, format!("the pins are not known: {why}{under_way}"))
        }
        Surveyed::Now(_) | Surveyed::Before(_) if !under_way.is_empty() => {
            Statement::holds(PINS_HEALTHY, PINNING, under_way.trim_start_matches("; ").to_owned())
        }
        Surveyed::Now(_) | Surveyed::Before(_) => {
            Statement::holds(PINS_HEALTHY, AT_FLOOR, "every pin has the copies that it needs")
        }
    }
}

/// What went wrong, where the product's own words say little.
fn in_words(error: &str) -> String {
    match error {
        "context canceled" => "no peer that has the data was found in time (context canceled)".to_owned(),
        "" => "no cause is given".to_owned(),
        _ => error.to_owned(),
    }
}

fn room(object: &IpfsCluster, embedded: &Embedded) -> Statement {
    let remedy = "raise spec.provider.kubo.storage.size and restart the peers by the annotation temporal-stack.dev/restart, remove pins, or set spec.provider.kubo.garbageCollection";
    let full: Vec<String> = embedded
        .seen()
        .filter(|(_, seen)| seen.troubles.is_full)
        .map(|(ordinal, _)| names::pod(object, ordinal))
        .collect();
    if !full.is_empty() {
        return Statement::fails(STORAGE_ROOM, DISK_FULL, format!("the volume is full: {}; {remedy}", full.join(", ")));
    }
    let nearly: Vec<String> = embedded
        .seen()
        .filter(|(_, seen)| seen.repository > seen.most / 10 * 9)
        .map(|(ordinal, _)| names::pod(object, ordinal))
        .collect();
    let silent: Vec<String> = embedded
        .members(object)
        .filter(|ordinal| !embedded.seen().any(|(seen, _)| seen == *ordinal))
        .map(|ordinal| names::pod(object, ordinal))
        .collect();
    if nearly.is_empty() && !silent.is_empty() {
        let message = format!("no answer from {}, so their room is not known", silent.join(", "));
        return Statement::unknown(STORAGE_ROOM, UNKNOWN, message);
    }
    if nearly.is_empty() {
        return Statement::holds(STORAGE_ROOM, ENOUGH, "every repository has room");
    }
    let message = format!("the repository is nearly as large as it may become: {}; {remedy}", nearly.join(", "));
    Statement::fails(STORAGE_ROOM, NEARLY_FULL, message)
}

/// Whether something is under way that no watch shows: connections, copies, and what is found out about them.
pub(crate) fn is_moving(object: &IpfsCluster, embedded: &Embedded) -> bool {
    // What was tried often enough is the user's to mend, and looked at as seldom as everything else.
    let is_tried = |seen: &Seen| seen.troubles.errored.iter().any(|errored| errored.attempts < MOST_ATTEMPTS);
    let is_busy = |seen: &Seen| seen.troubles.queued + seen.troubles.pinning > 0 || is_tried(seen);
    let is_known = embedded.survey.any().is_some_and(|survey| survey.to_restore == 0 && survey.fresh == 0);
    !is_known
        || apart(object, embedded).is_some()
        || embedded.pods.iter().any(|pod| pod.outdated)
        || embedded.seen().any(|(_, seen)| is_busy(seen))
}

/// Whether a repository is as large as it may become: its peer is given nothing any more.
fn is_at_limit(seen: &Seen) -> bool {
    seen.repository >= seen.most
}

/// A number as it stands in a status: two digits are enough above a thousand, so that it does not change all the time.
pub(crate) fn round(number: u64) -> u64 {
    let mut unit = 1;
    while number / unit >= 1000 {
        unit *= 10;
    }
    let unit = if number < 1000 { 1 } else { unit * 10 };
    number / unit * unit
}

#[cfg(test)]
mod tests;
