//! How many peers there are to be, and what must be so before one may leave or restart.
//!
//! IPFS Cluster has no call that takes a peer's pins elsewhere: allocations stay with a peer while it lives, and with a dead one
//! as long as enough others are left. So the controller raises the replication of what would be short, waits for live copies on
//! those that stay, lets the leavers go, and restores what pins were given.
//!
//! ```text
//!   leavers get no more clients ─▶ pins that would be short are raised onto those that stay ─▶ every pin is at its floor in
//!     live copies there ─▶ the set has fewer peers ─▶ the others miss the leavers ─▶ raised pins get their own options
//!     back, and allocations to those that have left are replaced
//! ```
//!
//! Everything is found out anew in each pass, from full lists of all peers: a controller that ends in between leaves nothing
//! behind but a note on each raised pin, of what its options were.

use temporal_stack_common::{api::IpfsCluster, component::Gate};

use crate::{health, names, observe::Embedded, survey::Survey};

/// How many peers have an identity, a volume and a place in the lists: those that are wanted, and those that have not left yet.
pub(crate) fn there(object: &IpfsCluster, embedded: &Embedded) -> i32 {
    let last = embedded.pods.iter().map(|pod| pod.ordinal + 1).max().unwrap_or_default();
    let last = last.min(told_of(object.spec.replicas, embedded.listed));
    object.spec.replicas.max(replicas_of_set(object, embedded)).max(last).min(names::MOST_PEERS)
}

/// How many peers can have started: one starts only when the Secret of the peers lists it. A set that another has scaled has pods
/// beyond these, which wait for it and have nothing.
pub(crate) fn told_of(wanted: i32, listed: i32) -> i32 {
    if listed > 0 { listed.max(wanted) } else { names::MOST_PEERS }
}

/// How many peers the set is to have now.
pub(crate) fn replicas(object: &IpfsCluster, embedded: &Embedded) -> i32 {
    if embedded.must_stop() { 0 } else { replicas_of_set(object, embedded) }
}

fn replicas_of_set(object: &IpfsCluster, embedded: &Embedded) -> i32 {
    let wanted = object.spec.replicas;
    match embedded.replicas.map(|has| has.min(told_of(wanted, embedded.listed))) {
        Some(has) if has > wanted && !may_leave(object, embedded) => has,
        // After a full stop, or when somebody has deleted the set, those that were to leave come back first: nobody knows
        // whether they may.
        None | Some(0) => wanted.max(embedded.listed).max(embedded.claimed()),
        _ => wanted,
    }
}

/// Whether peers are to leave that have not left yet.
pub(crate) fn is_leaving(object: &IpfsCluster, embedded: &Embedded) -> bool {
    embedded.replicas.is_some_and(|has| has > object.spec.replicas)
}

/// Whether those that are too many may go: clients are not sent to them any more, and nothing would be missed.
fn may_leave(object: &IpfsCluster, embedded: &Embedded) -> bool {
    obstacle_to_leaving(object, embedded).is_none()
}

/// What keeps peers from leaving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// It is expected to pass by itself.
    Passing(String),
    /// The user must do something about it.
    NotEnoughPeers(String),
    /// The same: the peers that stay have no room for all that they would have to keep.
    NoRoom(String),
}

/// What keeps peers from leaving, if anything does.
pub(crate) fn obstacle_to_leaving(object: &IpfsCluster, embedded: &Embedded) -> Option<Obstacle> {
    let wanted = object.spec.replicas;
    if let Some((_, why)) = health::apart(object, embedded) {
        let lost = "a peer whose volume is lost comes back empty when its claim and its pod are deleted, is filled, and leaves then";
        return Some(Obstacle::Passing(format!("{why}; {lost}")));
    }
    let survey = match embedded.survey.now() {
        Ok(survey) => survey,
        Err(why) => return Some(Obstacle::Passing(why)),
    };
    if survey.impossible.count > 0 {
        return Some(Obstacle::NotEnoughPeers(format!(
            "{} a replication minimum that {wanted} peers cannot hold, up to {}: {}; lower their replication, or set spec.replicas to {} or more",
            pins_have(survey.impossible.count),
            survey.impossible.highest,
            survey.impossible.examples.join(", "),
            survey.impossible.highest,
        )));
    }
    if let Some(why) = no_room(object, embedded, survey) {
        return Some(Obstacle::NoRoom(why));
    }
    if survey.to_raise > 0
        && let Some(why) = health::unknown_room(object, embedded)
    {
        return Some(Obstacle::Passing(why));
    }
    if survey.short.count > 0 {
        return Some(Obstacle::Passing(format!(
            "{} too few copies on the peers that stay, among them {}; where nobody has the data, bring them to a peer or unpin",
            pins_have(survey.short.count),
            survey.short.examples.join(", ")
        )));
    }
    let serving = embedded.pods.iter().find(|pod| pod.ordinal >= wanted && pod.serves);
    serving.map(|pod| Obstacle::Passing(format!("{} still has clients", names::pod(object, pod.ordinal))))
}

/// Those that stay must have room for what only leavers have: as much of the leavers' repositories as they have pins that are
/// short. It is an estimate, because no peer knows how large a pin is; a disk that is full nevertheless keeps the copy from
/// being made, and so the peer from leaving.
fn no_room(object: &IpfsCluster, embedded: &Embedded, survey: &Survey) -> Option<String> {
    let wanted = object.spec.replicas;
    if survey.to_raise == 0 || survey.pins == 0 {
        return None;
    }
    let largest = embedded.seen().filter(|(ordinal, _)| *ordinal >= wanted).map(|(_, seen)| seen.repository).max()?;
    let needed = u128::from(largest) * u128::from(survey.to_raise) / u128::from(survey.pins);
    let free: u128 = embedded
        .seen()
        .filter(|(ordinal, _)| *ordinal < wanted)
        .map(|(_, seen)| u128::from(seen.most.saturating_sub(seen.repository)))
        .sum();
    (needed > free).then(|| {
        format!(
            "the peers that stay have no room for {}, which would have to be copied to them; raise spec.provider.kubo.storage.size and restart the peers by the annotation temporal-stack.dev/restart, remove pins, or keep more peers",
            pins(survey.to_raise)
        )
    })
}

/// Whether a peer may be restarted now. A single peer has no better moment than any: its restart is an outage, which is said.
pub(crate) fn restart_gate(object: &IpfsCluster, embedded: &Embedded) -> Gate {
    if object.spec.replicas == 1 && embedded.replicas == Some(1) {
        return Gate::Open;
    }
    if let Some((reason, why)) = health::apart(object, embedded)
        // Peers of two versions do not speak with each other until all have been restarted.
        && reason != health::PROTOCOLS_DIFFER
    {
        return Gate::Closed(why);
    }
    match embedded.survey.now() {
        Ok(survey) if survey.short.count == 0 => Gate::Open,
        Ok(survey) => Gate::Closed(format!(
            "{} fewer copies than the replication minimum, among them {}; where nobody has the data, bring them to a peer or unpin",
            pins_have(survey.short.count),
            survey.short.examples.join(", ")
        )),
        Err(why) => Gate::Closed(why),
    }
}

/// Who has left and is not missed yet by those that stay: they would give it pins again.
pub(crate) fn not_missed(object: &IpfsCluster, embedded: &Embedded) -> Option<String> {
    let left = embedded.identities.iter().filter(|identity| identity.ordinal >= object.spec.replicas);
    let knows = |id: &String| embedded.seen().any(|(_, seen)| seen.sees.contains(id) || seen.allocates_to.contains(id));
    let known = left.map(|identity| &identity.cluster.id).find(|id| knows(id))?;
    Some(format!("the peers do not miss {known} yet, which has left"))
}

/// So many pins, in words.
pub(crate) fn pins(number: u64) -> String {
    if number == 1 { "1 pin".to_owned() } else { format!("{number} pins") }
}

/// What so many pins have: the beginning of a sentence.
pub(crate) fn pins_have(number: u64) -> String {
    format!("{} {}", pins(number), if number == 1 { "has" } else { "have" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{claim, of_size, pod, well};

    #[test]
    fn a_set_that_another_has_scaled_is_scaled_back() {
        let object = of_size(3);
        let mut embedded = well(&object, 3);
        embedded.replicas = Some(names::MOST_PEERS);
        embedded.pods.extend((3..names::MOST_PEERS).map(pod));
        embedded.claims.extend((3..names::MOST_PEERS).map(claim));
        embedded.survey = crate::observe::Surveyed::Not("not all answer".to_owned());
        assert_eq!((replicas(&object, &embedded), there(&object, &embedded)), (3, 3));
    }

    #[test]
    fn peers_that_are_still_leaving_stay() {
        let object = of_size(2);
        let mut embedded = well(&object, 3);
        embedded.survey = crate::observe::Surveyed::Not("not all answer".to_owned());
        assert_eq!((replicas(&object, &embedded), there(&object, &embedded)), (3, 3));
    }
}
