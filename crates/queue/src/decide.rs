//! What follows from the observed state. Pure: no client, no clock, no randomness.

mod health;
mod leave;
mod members;
mod quorum;
mod restart;
mod rotation;
mod scale;
mod validate;
pub(crate) mod view;

#[cfg(test)]
mod tests;

use std::time::Duration;

use temporal_stack_common::{
    api::MessageQueue,
    component::{Decision, Gate, Intent, Stalled, Waiting},
    http, login,
    message::kubectl,
};

use self::view::{EmbeddedView, View};
use crate::{
    Defaults, Queue,
    access::administrator,
    act::{Action, Change},
    desire,
    names::{self, ADMINISTRATOR, Names},
    observed::{Broker, Known, Observed},
    rabbit::Failure,
    reason, status,
    verify::Probe,
};

/// The interval of passes over a Ready cluster: no watch shows when a node has an alarm, or a queue catches up.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The same while a rotation waits for connections to end, or queues catch up.
const LOOK_SOON: Duration = Duration::from_secs(5);

/// Decides about an object.
pub(crate) fn decide(object: &MessageQueue, observed: &Observed, defaults: &Defaults) -> Decision<Queue> {
    let view = View::new(object, observed);
    let intent = find_waiting(&view).map(|waiting| intent(&view, waiting, defaults));
    let elsewhere = view.provider.is_external().then_some("external");
    Decision::new(status::status(&view), status::conditions(&view), intent).suspended(object.spec.suspend, elsewhere)
}

/// What the object waits for, or why it cannot continue.
fn find_waiting(view: &View<'_>) -> Result<Option<Waiting>, Stalled> {
    validate::validate(view)?;
    let Some(embedded) = view.provider.usable()? else { return Ok(None) };
    if let Some(stalled) = embedded.cookies.unavailable.as_ref().or(embedded.volume.as_ref()) {
        return Err(stalled.clone());
    }
    if embedded.is_stopping {
        let message = "full restart in progress: all nodes stop, then start with the new cookie";
        return Ok(Some(Waiting::new(reason::FULL_RESTART, message)));
    }
    match &embedded.observed.broker {
        Broker::Absent => Ok(Some(health::starting(&view.names, embedded.observed))),
        Broker::Silent(Failure::LoginRefused { .. }) => Err(administrator_refused(&view.names)),
        Broker::Silent(failure) => Ok(Some(silence(failure))),
        Broker::Known(known) => Ok(cluster_waiting(view, embedded, known)),
    }
}

/// The state if a node is ready and gives no usable answer.
fn silence(failure: &Failure) -> Waiting {
    match failure {
        Failure::Http(http::Failure::Starting { .. }) => {
            Waiting::new(reason::CHILDREN_NOT_READY, format!("the nodes are starting: {failure}"))
        }
        Failure::Http(http::Failure::RefusedByMesh { .. }) => {
            Waiting::new(reason::REFUSED_BY_MESH, failure.to_string())
        }
        _ => {
            let message = format!("broker unreachable although a node is ready: {failure}");
            Waiting::new(reason::BROKER_UNREACHABLE, message)
        }
    }
}

/// What a cluster that answers is still waiting for.
fn cluster_waiting(view: &View<'_>, embedded: &EmbeddedView<'_>, known: &Known) -> Option<Waiting> {
    let is_prepared = view.bound.is_some() && embedded.rotation.active().is_some();
    let preparing = || Waiting::new(reason::PREPARING, "the virtual host and its login are being created");
    health::alarm(known)
        .or_else(|| embedded.scale.waiting())
        .or_else(|| (!is_prepared).then(preparing))
        .or_else(|| health::unavailable(known))
}

fn administrator_refused(names: &Names) -> Stalled {
    let words = format!("exec {} -c rabbitmq -- rabbitmqctl change_password {ADMINISTRATOR} '…'", names.pod(0));
    login::administrator_refused("broker", &names::administrator(names), &kubectl(&names.namespace, &words))
}

fn intent(view: &View<'_>, waiting: Option<Waiting>, defaults: &Defaults) -> Intent<Queue> {
    let probe = |is_inspection| {
        let is_external = view.provider.is_external();
        view.application().map(|access| Probe { access, is_external, is_inspection })
    };
    let common = Intent {
        manifests: desire::desire(view, defaults),
        waiting,
        rollout: view.object.spec.rollout,
        probe: probe(false),
        inspection: probe(true),
        ..Intent::default()
    };
    let Some(embedded) = view.provider.embedded() else { return common };
    let gate = restart::gate(&embedded.quorum);
    let is_soon = embedded.rotation.pending().is_some() || gate != Gate::Open;
    Intent {
        actions: actions(view, embedded),
        look_again: Some(if is_soon { LOOK_SOON } else { LOOK_EVERY }),
        restart: gate,
        ..common
    }
}

/// What must change on the broker, in order.
fn actions(view: &View<'_>, embedded: &EmbeddedView<'_>) -> Vec<Action> {
    let observed = embedded.observed;
    let (Broker::Known(known), Some(password)) = (&observed.broker, &observed.administrator) else {
        return Vec::new();
    };
    let (names, wanted, scale) = (&view.names, embedded.provider.replicas, &embedded.scale);
    let virtual_host = &view.settings.virtual_host;
    let mut changes = Vec::new();
    if known.default_queue_type.is_none() {
        changes.push(Change::CreateVirtualHost(virtual_host.clone()));
    }
    changes.extend(rotation::change(&embedded.rotation, virtual_host));
    changes.extend(members::changes(names, wanted, known));
    let mut staying = (0..wanted).filter_map(|ordinal| observed.pod(&names.pod(ordinal))).filter(|pod| pod.is_ready);
    let host = staying.find_map(|pod| pod.ip.as_deref());
    changes.extend(leave::changes(known, scale.free_leaver(), host));
    if scale.leaving != known.notes.leaving {
        changes.push(Change::NoteLeaving(scale.leaving.clone()));
    }
    if scale.down.is_empty() {
        changes.extend(known.features.iter().cloned().map(Change::EnableFeature));
    }
    let server = administrator(&known.host, password);
    changes.into_iter().map(|change| Action { server: server.clone(), change }).collect()
}
