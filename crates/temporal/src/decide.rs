//! What follows from the observed state. Pure: no client, no clock, no randomness.

pub(crate) mod accounts;
pub(crate) mod certificate;
pub(crate) mod order;
mod restart;
mod revive;
pub(crate) mod rotation;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
mod validate;
pub(crate) mod view;

use std::{net::SocketAddr, time::Duration};

use temporal_stack_common::{
    api::Temporal,
    component::{Decision, Intent, Stalled, Waiting},
    message::logs,
};

use self::{
    accounts::Account,
    order::{Outstanding, Step, is_for_products},
    tls::Tls,
    view::View,
};
use crate::{
    Application, Defaults,
    act::Action,
    desire,
    names::{API, KRAB, KRAB_ROLE, QUEUES},
    observed::{Asked, Observed, Queue},
    role::Role,
    status,
    verify::Probe,
};

/// The interval of passes over an instance: no watch shows when a queue loses its consumer.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The same while a state is awaited that only a product shows.
const LOOK_SOON: Duration = Duration::from_secs(2);

/// Decides about an object.
pub(crate) fn decide(object: &Temporal, observed: &Observed, defaults: &Defaults) -> Decision<Application> {
    let view = View::new(object, observed, defaults);
    let outstanding = Outstanding::new(&view);
    let intent = find_waiting(&view, &outstanding).map(|waiting| intent(&view, outstanding.step, waiting));
    Decision::new(status::status(&view, outstanding.step), status::conditions(&view, &outstanding), intent)
        .suspended(object.spec.suspend, None)
}

/// What the object waits for, or why it cannot continue.
fn find_waiting(view: &View<'_>, outstanding: &Outstanding) -> Result<Option<Waiting>, Stalled> {
    validate::validate(view)?;
    outstanding.first()
}

fn intent(view: &View<'_>, step: Step, waiting: Option<Waiting>) -> Intent<Application> {
    let probe = probe(view);
    Intent {
        manifests: desire::desire(view, step),
        actions: actions(view, step),
        look_again: Some(if waiting.as_ref().is_some_and(is_for_products) { LOOK_SOON } else { LOOK_EVERY }),
        waiting,
        restart: restart::gate(),
        rollout: view.spec.rollout,
        // The probe writes nothing.
        inspection: probe.clone(),
        probe,
        ..Intent::default()
    }
}

/// The changes in the broker and the database.
fn actions(view: &View<'_>, step: Step) -> Vec<Action> {
    let lacks_some = |queues: &Asked<Vec<Queue>>| queues.as_ref().is_ok_and(|queues| queues.len() < QUEUES.len());
    let declare =
        view.dependencies.queue.access.as_ref().filter(|_| view.observed.queues.as_ref().is_some_and(lacks_some));
    let declare = declare.map(|broker| Action::DeclareQueues { broker: broker.clone(), queues: QUEUES.to_vec() });
    let created = view.admins.iter().filter_map(|admin| match &admin.account {
        Account::Created { username, is_complete: true } if step >= Step::Krab => Some(username.clone()),
        _ => None,
    });
    let database = view.dependencies.database.access.as_ref();
    let grant = created.filter_map(|username| Some(Action::GrantAdmin { database: database?.clone(), username }));
    declare.into_iter().chain(grant).collect()
}

/// How to verify; `None` until both Services have their addresses.
fn probe(view: &View<'_>) -> Option<Probe> {
    let names = &view.names;
    let address = |ip: &Option<String>, port| Some(SocketAddr::new(ip.as_deref()?.parse().ok()?, port));
    Some(Probe {
        url: view.url(),
        host: names.host(&names.api),
        api: address(&view.observed.api_ip, API)?,
        authority: match &view.tls {
            Ok(Tls::Generated(certificate)) => certificate.as_ref().map(|certificate| certificate.ca.clone()),
            Ok(Tls::Users { .. } | Tls::Off) | Err(_) => None,
        },
        api_logs: logs(&names.namespace, &format!("deployment/{}", names.api), Role::Api.name()),
        krab: address(&view.observed.krab_ip, KRAB)?,
        krab_logs: logs(&names.namespace, &format!("statefulset/{}", names.krab), KRAB_ROLE),
    })
}
