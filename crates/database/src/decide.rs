//! What follows from the observed state. Pure: no client, no clock, no randomness.

mod restart;
mod rotation;
mod validate;
pub(crate) mod view;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use temporal_stack_common::{
    api::PostgresDatabase,
    component::{Decision, Intent, Stalled, Waiting},
    login,
    message::kubectl,
    names::Names,
};

use self::view::{EmbeddedView, View};
use crate::{
    Database, Defaults, access,
    act::{Action, Change},
    desire,
    names::{ADMINISTRATOR, administrator, owner_role},
    observed::{Observed, Server},
    postgres::Failure,
    reason, status,
    verify::Probe,
};

/// How soon to look again while a rotation waits: no watch shows when an application closes its last session.
const LOOK_SOON: Duration = Duration::from_secs(5);

/// Decides about an object.
pub(crate) fn decide(object: &PostgresDatabase, observed: &Observed, defaults: &Defaults) -> Decision<Database> {
    let view = View::new(object, observed);
    let pod = view.names.pod(0);
    let dump = format!(
        "kubectl exec -n {} {pod} -c postgres -- pg_dumpall -h /var/run/postgresql -U {ADMINISTRATOR} > {}.sql",
        view.names.namespace, view.names.object
    );
    let copy_commands = BTreeMap::from([(pod, dump)]);
    let intent = find_waiting(&view).map(|waiting| intent(&view, waiting, defaults));
    Decision { copy_commands, ..Decision::new(status::status(&view), status::conditions(&view), intent) }
}

/// What the object waits for, or why it cannot continue.
fn find_waiting(view: &View<'_>) -> Result<Option<Waiting>, Stalled> {
    validate::validate(view)?;
    let Some(embedded) = view.provider.usable()? else { return Ok(None) };
    if let Some(stalled) = view.settings.stalled.as_ref().or(embedded.volume.as_ref()) {
        return Err(stalled.clone());
    }
    Ok(match embedded.server {
        Server::Absent => Some(Waiting::new(reason::CHILDREN_NOT_READY, "the server is starting")),
        Server::Silent(Failure::LoginRefused { .. }) => return Err(administrator_refused(&view.names)),
        Server::Silent(failure @ Failure::Closed { .. }) => {
            Some(Waiting::new(reason::REFUSED_BY_MESH, failure.to_string()))
        }
        Server::Silent(failure) => {
            let message = format!("server unreachable although its pod is ready: {failure}");
            Some(Waiting::new(reason::SERVER_UNREACHABLE, message))
        }
        Server::Known(_) if view.bound.is_none() || embedded.rotation.active().is_none() => {
            Some(Waiting::new(reason::PREPARING, "the database and its login are being created"))
        }
        Server::Known(_) => None,
    })
}

fn administrator_refused(names: &Names) -> Stalled {
    let words = format!(
        "exec -it {} -c postgres -- psql -U {ADMINISTRATOR} -d postgres -c '\\password {ADMINISTRATOR}'",
        names.pod(0)
    );
    login::administrator_refused("server", &administrator(names), &kubectl(&names.namespace, &words))
}

fn intent(view: &View<'_>, waiting: Option<Waiting>, defaults: &Defaults) -> Intent<Database> {
    let access = view.application();
    let probe = access.map(|access| Probe { access, is_external: view.provider.is_external() });
    let (actions, pending) = match view.provider.embedded() {
        Some(embedded) => (actions(view, embedded), embedded.rotation.pending()),
        None => (Vec::new(), None),
    };
    Intent {
        manifests: desire::desire(view, defaults),
        actions,
        upkeep: Vec::new(),
        waiting,
        restart: restart::gate(),
        rollout: view.object.spec.rollout,
        look_again: pending.map(|_| LOOK_SOON),
        inspection: probe.clone(),
        probe,
    }
}

/// What must change on the server, in order.
fn actions(view: &View<'_>, embedded: &EmbeddedView<'_>) -> Vec<Action> {
    let (Server::Known(known), Some(administrator)) = (embedded.server, embedded.administrator) else {
        return Vec::new();
    };
    let database = &view.settings.database;
    let mut changes = Vec::new();
    if !known.has_owner {
        changes.push(Change::CreateOwner);
    }
    match &known.database_owner {
        None => changes.push(Change::CreateDatabase),
        Some(owner) if *owner != owner_role(database) => changes.push(Change::GiveDatabase),
        Some(_) => {}
    }
    changes.extend(rotation::change(&embedded.rotation, known));
    let access = access::administrator(&known.endpoint, administrator);
    let action = |change| Action { access: access.clone(), database: database.clone(), change };
    changes.into_iter().map(action).collect()
}
