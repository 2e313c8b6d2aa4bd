//! The number of peers, and what must be true before one may leave.
//!
//! IPFS Cluster has no call that moves the pins of a peer: allocations stay with a peer while it lives, and with a dead one as
//! long as enough others live. So the controller raises the replication of the pins that would be short, waits for live copies on
//! the peers that stay, lets the leavers go, and restores the replication.
//!
//! ```text
//!   leavers get no more clients ─▶ pins that would be short are raised onto those that stay ─▶ every pin is at its floor in
//!     live copies there ─▶ the set has fewer peers ─▶ the others forget the leavers ─▶ raised pins get their own options
//!     back, and allocations to those that have left are replaced
//! ```
//!
//! Each pass starts again from full lists of all peers: a controller that ends in between leaves only a note with the original
//! options on each raised pin.

use temporal_stack_common::{component::Waiting, message::counted};

use super::{health::Health, view::EmbeddedView};
use crate::{
    names::MOST_PEERS,
    reason,
    survey::{Impossible, Survey, count_pins, pins_have},
};

/// The desired number of peers.
pub(crate) struct Scale {
    /// The replicas of the set.
    pub(crate) replicas: i32,
    /// How many peers have an identity, a volume and an entry in the lists: the desired ones, and those that have not left yet.
    pub(crate) peers: i32,
    /// Whether peers should leave that have not left yet.
    pub(super) is_leaving: bool,
    /// Why they cannot leave yet, if so.
    blocked: Option<Waiting>,
}

/// Decides how many peers there should be now.
pub(super) fn plan(view: &EmbeddedView<'_>, health: &Health) -> Scale {
    let (objects, wanted) = (&view.observed.objects, view.wanted);
    let is_leaving = objects.is_leaving(wanted);
    let blocked = if is_leaving { blocked(view, health) } else { None };
    let startable = objects.startable_peers(wanted);
    let replicas = match objects.replicas.map(|replicas| replicas.min(startable)) {
        Some(replicas) if replicas > wanted && blocked.is_some() => replicas,
        // After a full stop, or when the set was deleted, those that should leave come back first: whether they may is
        // not known.
        None | Some(0) => wanted.max(objects.listed).max(objects.count_data_volumes()),
        _ => wanted,
    };
    let last = objects.existing(wanted).last().map_or(0, |pod| pod.ordinal + 1).min(startable);
    let must_stop = view.secrets.shared.must_stop(objects.shared_of_pods());
    Scale {
        replicas: if must_stop { 0 } else { replicas },
        peers: wanted.max(replicas).max(last).min(MOST_PEERS),
        is_leaving,
        blocked,
    }
}

impl Scale {
    /// Whether peers cannot leave until the user acts.
    pub(super) fn is_refused(&self) -> bool {
        self.blocked.as_ref().is_some_and(|blocked| blocked.reason != reason::SCALING)
    }

    /// Why surplus peers have not left yet.
    pub(super) fn waiting(&self, view: &EmbeddedView<'_>) -> Option<Waiting> {
        let to = format!("scale-down to {}", counted(view.wanted, "peer"));
        match &self.blocked {
            Some(Waiting { reason, message }) => {
                let state = if *reason == reason::SCALING { "is waiting" } else { "is blocked" };
                Some(Waiting::new(*reason, format!("{to} {state}: {message}")))
            }
            None if self.is_leaving => Some(Waiting::new(reason::SCALING, format!("{to} is in progress"))),
            None => {
                let leaver = view.observed.objects.existing(view.wanted).find(|pod| pod.ordinal >= view.wanted)?;
                let pod = view.names.pod(leaver.ordinal);
                Some(Waiting::new(reason::SCALING, format!("{to} is in progress: {pod} is terminating")))
            }
        }
    }
}

/// Why peers cannot leave yet: they must have no clients any more, and no pin may be lost.
fn blocked(view: &EmbeddedView<'_>, health: &Health) -> Option<Waiting> {
    let waits = |message: String| Some(Waiting::new(reason::SCALING, message));
    if let Some(Waiting { message, .. }) = &health.disconnection {
        return waits(format!(
            "{message}; if a volume is lost, delete its claim and its pod, so that the peer comes back empty, is refilled and can leave"
        ));
    }
    let survey = match view.current_survey() {
        Ok(survey) => survey,
        Err(cause) => return waits(cause),
    };
    if let Some(message) = impossible(&survey.impossible, view.wanted) {
        return Some(Waiting::new(reason::SCALE_DOWN_BLOCKED, message));
    }
    if let Some(message) = insufficient_storage(view, survey) {
        return Some(Waiting::new(reason::INSUFFICIENT_STORAGE, message));
    }
    if let Some(cause) = health.unallocatable.clone().filter(|_| survey.to_raise > 0) {
        return waits(cause);
    }
    if survey.short.count > 0 {
        return waits(format!(
            "{} too few copies on the remaining peers, among them {}; if no peer has the data, add it to a peer or unpin",
            pins_have(survey.short.count),
            survey.short.examples.join(", ")
        ));
    }
    let serving = view.observed.objects.pods.iter().find(|pod| pod.ordinal >= view.wanted && pod.is_serving)?;
    waits(format!("{} still has clients", view.names.pod(serving.ordinal)))
}

fn impossible(Impossible { count, highest, examples }: &Impossible, wanted: i32) -> Option<String> {
    let message = || {
        format!(
            "{} a replication minimum of up to {highest}, more than {} can hold: {}; lower their replication, or set spec.replicas to {highest} or more",
            pins_have(*count),
            counted(wanted, "peer"),
            examples.join(", "),
        )
    };
    (*count > 0).then(message)
}

/// The staying peers must have room for content that only leavers have: a share of the leavers' repositories, in proportion to
/// the pins that are short. It is an estimate, because no peer knows the size of a pin; if a disk fills up nevertheless, the copy
/// is not created, and the peer does not leave.
fn insufficient_storage(view: &EmbeddedView<'_>, survey: &Survey) -> Option<String> {
    if survey.to_raise == 0 || survey.pins == 0 {
        return None;
    }
    let (stay, leave): (Vec<_>, Vec<_>) = view.reports().partition(|(peer, _)| peer.ordinal < view.wanted);
    let largest = leave.iter().map(|(_, report)| report.repository).max()?;
    let needed = u128::from(largest) * u128::from(survey.to_raise) / u128::from(survey.pins);
    let free: u128 = stay.iter().map(|(_, report)| u128::from(report.most.saturating_sub(report.repository))).sum();
    (needed > free).then(|| {
        format!(
            "the remaining peers have no room for copies of {}. Remove pins, keep more peers, or raise spec.provider.kubo.storage.size and restart the peers with the annotation temporal-stack.dev/restart",
            count_pins(survey.to_raise)
        )
    })
}

#[cfg(test)]
mod tests;
