//! Actions about pins: retry failed copies, tell peers of pins that they lack, raise pins before peers leave, restore them afterwards.

use temporal_stack_common::component::Waiting;

use super::{health::Health, scale::Scale, view::EmbeddedView};
use crate::{
    act::{Action, Change, Recover, Update},
    observed::{FailedCopy, Peer, Report},
    reason,
    survey::{Survey, count_pins},
};

/// How many copies are retried in one pass, on each peer.
const RETRIED: usize = 20;
/// With this number of copies in progress, no more are requested.
const BUSY: u64 = 1000;

/// The copies that are due for a retry.
pub(super) fn retries(view: &EmbeddedView<'_>) -> Vec<Action> {
    view.reports().filter_map(|(peer, report)| retry(peer, report)).collect()
}

fn retry(peer: &Peer, report: &Report) -> Option<Action> {
    let mut due: Vec<&FailedCopy> = report.copies.failed.iter().filter(|copy| copy.is_due).collect();
    let lost = due.iter().find(|copy| copy.is_lost).map(|copy| copy.cid.clone());
    due.sort_by_key(|copy| copy.attempts);
    let cids: Vec<String> = due.into_iter().take(RETRIED).map(|copy| copy.cid.clone()).collect();
    let (ordinal, access) = (peer.ordinal, peer.access.clone());
    (!cids.is_empty()).then_some(Action::Recover(Recover { ordinal, access, cids, lost }))
}

/// The update that raises pins before peers leave, or restores them afterwards.
pub(super) fn update(view: &EmbeddedView<'_>, health: &Health, scale: &Scale) -> Option<Action> {
    let survey = writable(view, health)?;
    let peers = view.reports().map(|(peer, _)| peer.access.cluster.clone()).collect();
    let (change, total) = if scale.is_leaving {
        (Change::Raise(survey.raise.clone()), survey.to_raise)
    } else {
        let members = view.reports().map(|(_, report)| report.id.clone()).collect();
        (Change::Restore { pins: survey.restore.clone(), members }, survey.to_restore)
    };
    // A peer that is still known would be allocated the pin again.
    let is_premature = if scale.is_leaving { scale.is_refused() } else { health.departed.is_some() };
    (total > 0 && !is_premature).then_some(Action::Update(Update { peers, change, total }))
}

/// The update by which peers learn of pins that they have lost. Before peers leave, too: while a peer that stays lacks a pin, the
/// pin has too few copies, and is not raised.
pub(super) fn relist(view: &EmbeddedView<'_>, health: &Health, scale: &Scale) -> Option<Action> {
    let survey = writable(view, health)?;
    let (peers, members) =
        view.reports().map(|(peer, report)| (peer.access.cluster.clone(), report.id.clone())).unzip();
    let (pins, total) = (survey.relist.clone(), survey.relist.len() as u64);
    let is_premature = !scale.is_leaving && health.departed.is_some();
    let change = Change::Relist { pins, members };
    (total > 0 && !is_premature).then_some(Action::Update(Update { peers, change, total }))
}

/// The survey of this pass, if pins may be written.
fn writable<'a>(view: &'a EmbeddedView<'_>, health: &Health) -> Option<&'a Survey> {
    let (queued, pinning) = view.copies_under_way();
    // IPFS Cluster drops allocations to peers without metrics.
    let may_write =
        health.disconnection.is_none() && health.unallocatable.is_none() && queued.saturating_add(pinning) < BUSY;
    view.current_survey().ok().filter(|_| may_write)
}

/// Why pins do not have their original options back yet.
pub(super) fn restoring(view: &EmbeddedView<'_>, health: &Health) -> Option<Waiting> {
    let survey = view.observed.pinset.latest().filter(|survey| survey.to_restore > 0)?;
    let cause = health.departed.as_ref().or(health.unallocatable.as_ref());
    let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    let message =
        format!("replication of {} is being restored on the remaining peers{cause}", count_pins(survey.to_restore));
    Some(Waiting::new(reason::RESTORING_PINS, message))
}

#[cfg(test)]
mod tests;
