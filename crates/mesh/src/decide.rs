//! What follows from the observed state. Pure: no client, no clock, no randomness.

mod annotations;
mod calculation;
pub(crate) mod enforcement;
mod injection;
pub(crate) mod installation;
pub(crate) mod restart;
mod rotation;
#[cfg(test)]
mod tests;
mod validate;
pub(crate) mod view;

use std::time::Duration;

use temporal_stack_common::{
    api::Mesh,
    component::{Decision, Intent, Stalled, Waiting},
    condition::Statement,
};

use self::{
    enforcement::{Enforcement, enforcement},
    restart::Rolling,
    view::View,
};
use crate::{LinkerdMesh, access, act::Action, desire, observed::Observed, status, traffic, verify::Probe};

/// How soon to look again while traffic is read, or addresses are admitted for a while only: no watch shows it.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Decides about an object.
pub(crate) fn decide(object: &Mesh, observed: &Observed) -> Decision<LinkerdMesh> {
    let view = View::new(object, observed);
    let enforcement = enforcement(&view);
    let conditions = conditions(&view, &enforcement);
    let status = status::status(&view, &enforcement);
    let intent = validate::validate(&view).and_then(|()| match obstacle(&view) {
        Ok(()) => Ok(intent(&view, enforcement)),
        Err(stalled) if is_denying(observed) => Ok(policies_alone(&view, enforcement, stalled)),
        Err(stalled) => Err(stalled),
    });
    Decision::new(status, conditions, intent)
}

/// Why pods get no proxies until the user acts.
fn obstacle(view: &View<'_>) -> Result<(), Stalled> {
    installation::obstacle(view)?;
    annotations::obstacle(view)
}

/// Whether Servers deny, and can be changed.
fn is_denying(observed: &Observed) -> bool {
    observed.policies.is_enforced && installation::can_audit(&observed.linkerd)
}

/// Policies that deny are kept current whatever else is wrong: otherwise they would refuse the next pod of a controller.
fn policies_alone(
    view: &View<'_>,
    enforcement: Enforcement,
    Stalled { reason, message }: Stalled,
) -> Intent<LinkerdMesh> {
    let waiting = Some(Waiting::new(reason, message));
    let manifests = desire::desire(enforcement);
    Intent { manifests, waiting, look_again: look_again(view), ..Intent::default() }
}

fn look_again(view: &View<'_>) -> Option<Duration> {
    let is_leaving = || view.controllers().iter().any(|controller| !controller.leaving.is_empty());
    (view.observed.traffic.is_some() || is_leaving()).then_some(LOOK_AGAIN)
}

fn intent(view: &View<'_>, enforcement: Enforcement) -> Intent<LinkerdMesh> {
    let rolling = restart::rolling(view);
    let mut actions = annotations::actions(view);
    if let Rolling::Restart(member, value) = &rolling {
        actions.push(Action::restart(&member.component.target, value));
    }
    let probe = Probe { namespace: view.names.namespace.clone(), proxies: access::proxies(view) };
    Intent {
        waiting: waiting(view, &rolling, &enforcement),
        manifests: desire::desire(enforcement),
        actions,
        restart: restart::gate(),
        look_again: look_again(view),
        inspection: Some(probe.clone()),
        probe: Some(probe),
        ..Intent::default()
    }
}

/// What the object waits for.
fn waiting(view: &View<'_>, rolling: &Rolling<'_>, enforcement: &Enforcement) -> Option<Waiting> {
    let unenforced = || enforcement.obstacle.clone().map(|(reason, message)| Waiting::new(reason, message));
    installation::waiting(view).or_else(|| injection::waiting(view, rolling)).or_else(unenforced)
}

fn conditions(view: &View<'_>, enforcement: &Enforcement) -> Vec<Statement> {
    // A Mesh that does not count says nothing about the namespace.
    if view.observed.siblings.elder.is_some() {
        return Vec::new();
    }
    let installed = installation::statement(view);
    if view.observed.linkerd.is_absent {
        return vec![installed];
    }
    let mut conditions =
        vec![installed, injection::statement(view, &restart::rolling(view)), rotation::statement(view)];
    conditions.extend(enforcement.statement.clone());
    conditions.extend(view.observed.traffic.as_deref().map(traffic::statement));
    conditions
}
