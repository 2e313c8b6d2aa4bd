//! What follows from the observed state. Pure: no client, no clock, no randomness.

pub(crate) mod assessment;
pub(crate) mod health;
mod probe;
mod replication;
mod restart;
mod rotation;
pub(crate) mod scale;
mod validate;
pub(crate) mod view;

use std::time::Duration;

use temporal_stack_common::{
    api::IpfsCluster,
    component::{Decision, Intent, Waiting},
};

use self::{
    assessment::Assessment,
    health::Health,
    view::{EmbeddedView, View},
};
use crate::{
    Defaults, Ipfs, desire,
    observed::{MOST_ATTEMPTS, Observed, Report},
    reason, status,
    survey::Survey,
    verify::Probe,
};

/// How soon the next pass over a Ready cluster runs: no watch shows that a pin fails.
const CALM: Duration = Duration::from_secs(30);
/// The same while peers connect or copies are being made.
const BUSY: Duration = Duration::from_secs(2);

/// Decides about an object.
pub(crate) fn decide(object: &IpfsCluster, observed: &Observed, defaults: &Defaults) -> Decision<Ipfs> {
    let view = View::new(object, observed);
    let peers = view.provider.embedded().map(Assessment::new);
    let peers = peers.as_ref();
    let intent = validate::validate(&view).map(|()| intent(&view, peers, defaults));
    let elsewhere = view.provider.is_external().then_some("external");
    Decision::new(status::status(&view, peers), status::conditions(&view, peers), intent)
        .suspended(object.spec.suspend, elsewhere)
}

fn intent(view: &View<'_>, peers: Option<&Assessment<'_>>, defaults: &Defaults) -> Intent<Ipfs> {
    let probe = probe::probe(view);
    let common = Intent {
        manifests: desire::desire(view, peers, defaults),
        rollout: view.object.spec.rollout,
        inspection: probe.clone().map(|probe| Probe { is_read_only: true, ..probe }),
        probe,
        ..Intent::default()
    };
    let Some(assessment) = peers else { return common };
    let Assessment { view, health, scale } = assessment;
    Intent {
        actions: replication::update(view, health, scale).into_iter().collect(),
        upkeep: replication::retries(view).into_iter().chain(replication::relist(view, health, scale)).collect(),
        waiting: find_waiting(assessment),
        restart: restart::gate(view, health),
        look_again: Some(if is_moving(view, health) { BUSY } else { CALM }),
        ..common
    }
}

/// What the peers are waiting for.
fn find_waiting(Assessment { view, health, scale }: &Assessment<'_>) -> Option<Waiting> {
    let objects = &view.observed.objects;
    let is_stopping = view.secrets.shared.is_stopping(objects.replicas, objects.shared_of_pods());
    let full_restart = || {
        let message = "full restart in progress: all peers stop, then start with the new secret or network";
        is_stopping.then(|| Waiting::new(reason::FULL_RESTART, message))
    };
    full_restart()
        .or_else(|| scale.waiting(view))
        .or_else(|| health.disconnection.clone())
        .or_else(|| health.not_allocating(view))
        .or_else(|| replication::restoring(view, health))
}

/// Whether changes are in progress that no watch shows: connections, copies, and surveys of them.
fn is_moving(view: &EmbeddedView<'_>, health: &Health) -> bool {
    // Copies that failed too often are for the user to correct, and observed as seldom as everything else.
    let is_retried = |report: &Report| report.copies.failed.iter().any(|copy| copy.attempts < MOST_ATTEMPTS);
    let is_calm = |survey: &Survey| survey.to_restore == 0 && survey.fresh == 0 && survey.unlisted.due == 0;
    let is_known = view.observed.pinset.latest().is_some_and(is_calm);
    !is_known
        || health.disconnection.is_some()
        || view.observed.objects.pods.iter().any(|pod| pod.is_outdated)
        || view.copies_under_way() != (0, 0)
        || view.reports().any(|(_, report)| is_retried(report))
}

#[cfg(test)]
mod tests;
