//! What follows from the observed state. Pure: no client, no clock, no randomness.

pub(crate) mod cloud_native_pg;
pub(crate) mod moving;
mod provider;
mod restart;
mod rotation;
mod suspension;
mod validate;
mod version;
pub(crate) mod view;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use temporal_stack_common::{
    api::PostgresDatabase,
    component::{Decision, Intent, Stalled, Waiting},
    login,
    manifest::difference,
    message::kubectl,
    names::Names,
};

use self::view::{Runner, ServerView, View};
use crate::{
    Database, Defaults, access,
    act::{Action, Change},
    desire,
    names::{ADMINISTRATOR, administrator, cluster_administrator, owner_role, primary_service},
    observed::{Observed, Provider, Server},
    postgres::{Failure, Reach},
    reason, status,
    verify::Probe,
};

/// How soon to look again while a rotation waits, or a change of a cluster: no watch shows when an application closes its last
/// session, or that nothing has followed a change.
const LOOK_SOON: Duration = Duration::from_secs(5);

/// Decides about an object.
pub(crate) fn decide(object: &PostgresDatabase, observed: &Observed, defaults: &Defaults) -> Decision<Database> {
    let view = view(object, observed);
    let copy_commands = copy_commands(&view);
    let (intent, serving) = match &view.moving {
        Some(moving) => (moving::intent(&view, moving, defaults), moving::serving(&view, moving)),
        None => settled(&view, defaults),
    };
    let decision = Decision::new(status::status(&view), status::conditions(&view), intent);
    suspension::suspended(&view, Decision { copy_commands, serving, ..decision })
}

/// The view of an object, with the move of its data if there is one.
pub(crate) fn view<'a>(object: &'a PostgresDatabase, observed: &'a Observed) -> View<'a> {
    let whole = View::new(object, observed);
    let moving = moving::find(&whole, observed).map(Box::new);
    View { moving, ..whole }
}

/// The intent without a move. A server that may not restart with its new image serves on, and is verified.
fn settled(view: &View<'_>, defaults: &Defaults) -> (Result<Intent<Database>, Stalled>, Option<Probe>) {
    let waiting = match find_waiting(view) {
        Ok(waiting) => waiting,
        Err(stalled) => return (Err(stalled), None),
    };
    let intent = version::guard(view, intent(view, waiting, defaults), defaults);
    let answers = view.provider.administered().is_some_and(|server| server.server.known().is_some());
    let serving = intent.probe.clone().filter(|_| answers && intent.keeps_templates);
    (Ok(intent), serving)
}

/// The command that copies the data of a server out of its pod.
fn copy_commands(view: &View<'_>) -> BTreeMap<String, String> {
    let pod = view.names.pod(0);
    let dump = format!(
        "kubectl exec -n {} {pod} -c postgres -- pg_dumpall -h /var/run/postgresql -U {ADMINISTRATOR} > {}.sql",
        view.names.namespace, view.names.object
    );
    BTreeMap::from([(pod, dump)])
}

/// What the object waits for, or why it cannot continue.
fn find_waiting(view: &View<'_>) -> Result<Option<Waiting>, Stalled> {
    provider::unchanged(view)?;
    provider_waiting(view)
}

/// What the provider of the spec waits for, whether or not it serves.
fn provider_waiting(view: &View<'_>) -> Result<Option<Waiting>, Stalled> {
    validate::validate(view)?;
    let server = match &view.provider {
        Provider::Administered(server) => server,
        Provider::External(access) => return access.as_ref().map(|_| None).map_err(Clone::clone),
    };
    if let Some(stalled) = &view.settings.stalled {
        return Err(stalled.clone());
    }
    match &server.runner {
        Runner::Embedded(embedded) => {
            embedded.volume.clone().map_or(Ok(()), Err)?;
            embedded_server_waiting(view, server)
        }
        Runner::CloudNativePg(cluster) => {
            cluster.obstacle(view.own_bound()).map_or(Ok(()), Err)?;
            let waiting = cluster.waiting().or_else(|| dropped(view, cluster));
            Ok(waiting.or_else(|| cluster_server_waiting(view, server)))
        }
    }
}

fn embedded_server_waiting(view: &View<'_>, server: &ServerView<'_>) -> Result<Option<Waiting>, Stalled> {
    Ok(match server.server {
        Server::Absent => Some(Waiting::new(reason::CHILDREN_NOT_READY, "the server is starting")),
        Server::Silent(Failure::LoginRefused { .. }) => return Err(administrator_refused(&view.names)),
        Server::Silent(failure @ Failure::Closed { .. }) => {
            Some(Waiting::new(reason::REFUSED_BY_MESH, failure.to_string()))
        }
        Server::Silent(failure) => {
            let message = format!("server unreachable although its pod is ready: {failure}");
            Some(Waiting::new(reason::SERVER_UNREACHABLE, message))
        }
        Server::Known(_) => preparing(view, server),
    })
}

/// A field that was applied and is not there. The driver comes to what is awaited only when nothing is left to apply.
fn dropped(view: &View<'_>, cluster: &cloud_native_pg::View<'_>) -> Option<Waiting> {
    let live = serde_json::to_value(&cluster.cluster()?.spec).ok()?;
    let wanted = serde_json::to_value(desire::cluster_spec(view, cluster)).ok()?;
    difference(&wanted, &live).map(|difference| cloud_native_pg::View::dropped(&difference.pointer))
}

/// CloudNativePG sets the password of the administrator by itself, also after a change of the Secret.
fn cluster_server_waiting(view: &View<'_>, server: &ServerView<'_>) -> Option<Waiting> {
    match server.server {
        Server::Absent => {
            let message = format!(
                "primary has no address: Service/{} does not exist yet; wait for CloudNativePG, which creates it",
                primary_service(&view.names)
            );
            Some(Waiting::new(reason::CLUSTER_PENDING, message))
        }
        Server::Silent(failure @ Failure::LoginRefused { .. }) => {
            let message = format!(
                "administrator login refused: {failure}: CloudNativePG has not set the password of Secret/{} yet; if this lasts, check the log of the primary's pod",
                cluster_administrator(&view.names)
            );
            Some(Waiting::new(reason::ADMINISTRATOR_REFUSED, message))
        }
        Server::Silent(failure @ Failure::Closed { .. }) => {
            Some(Waiting::new(reason::REFUSED_BY_MESH, failure.to_string()))
        }
        Server::Silent(failure) => {
            let message = format!(
                "primary unreachable: {failure}; wait for a failover, or check the network between the controller and the pods"
            );
            Some(Waiting::new(reason::SERVER_UNREACHABLE, message))
        }
        Server::Known(_) => preparing(view, server),
    }
}

fn preparing(view: &View<'_>, server: &ServerView<'_>) -> Option<Waiting> {
    let is_preparing = view.bound.is_none() || server.rotation.active().is_none();
    is_preparing.then(|| Waiting::new(reason::PREPARING, "the database and its login are being created"))
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
    let (actions, is_restless) = match view.provider.administered() {
        Some(server) => {
            let is_settling = server.cluster().is_some_and(cloud_native_pg::View::is_settling);
            (actions(view, server), is_settling || server.rotation.pending().is_some())
        }
        None => (Vec::new(), false),
    };
    Intent {
        manifests: desire::desire(view, defaults),
        actions,
        waiting,
        restart: restart::gate(),
        rollout: view.object.spec.rollout,
        look_again: is_restless.then_some(LOOK_SOON),
        inspection: probe.clone(),
        probe,
        ..Intent::default()
    }
}

/// What must change on the server, in order.
fn actions(view: &View<'_>, server: &ServerView<'_>) -> Vec<Action> {
    let (Server::Known(known), Some(administrator)) = (server.server, server.administrator) else {
        return Vec::new();
    };
    let database = &view.settings.database;
    let mut changes = Vec::new();
    if !known.has_owner {
        changes.push(Change::CreateOwner);
    }
    if known.owner_can_log_in {
        changes.push(Change::LockOwner);
    }
    match &known.database_owner {
        None => changes.push(Change::CreateDatabase),
        Some(owner) if *owner != owner_role(database) => changes.push(Change::GiveDatabase),
        Some(_) if !known.is_open => changes.push(Change::Open(Reach::Administrator)),
        Some(_) => {}
    }
    changes.extend(rotation::change(&server.rotation, known));
    let access = access::administrator(&known.endpoint, server.administrator_name(), administrator);
    let action = |change| Action { access: access.clone(), database: database.clone(), change };
    changes.into_iter().map(action).collect()
}
