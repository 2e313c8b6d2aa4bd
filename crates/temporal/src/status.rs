//! Fields of the status, and conditions beside those of the driver.

use temporal_stack_common::{
    api::{BindingReference, TemporalStatus},
    component::{Stalled, Waiting},
    condition::Statement,
    message::listed,
    published::{self, Credential},
};

use crate::{
    decide::{
        accounts::{Account, Admin},
        order::{Outstanding, Step},
        view::View,
    },
    reason,
    role::{Role, WORKERS},
    settings::{config_map, key},
};

/// Whether the dependencies are Ready.
const DEPENDENCIES_READY: &str = "DependenciesReady";
/// Whether the tables are those of the image.
const MIGRATED: &str = "Migrated";
/// Whether every queue has its consumers.
const QUEUES_SERVED: &str = "QueuesServed";
/// Whether the accounts of the spec exist and are administrators.
const ADMINS_READY: &str = "AdminsReady";

/// The fields.
pub(crate) fn status(view: &View<'_>, step: Step) -> TemporalStatus {
    let before = view.object.status.as_ref().and_then(|status| status.image.clone());
    let has_binding = view.observed.secrets.contains_key(&view.names.binding);
    TemporalStatus {
        binding: has_binding.then(|| BindingReference { name: view.names.binding.clone() }),
        url: Some(view.url()),
        image: if step > Step::Migration { Some(view.image.to_owned()) } else { before },
        ..TemporalStatus::default()
    }
}

/// The conditions.
pub(crate) fn conditions(view: &View<'_>, outstanding: &Outstanding) -> Vec<Statement> {
    let mut conditions = vec![view.settings.condition(), published::statement(credentials(view))];
    // This is known in any case.
    let invalid = view.admins.iter().find_map(|Admin { account, .. }| match account {
        Account::Invalid(Stalled { reason, message }) => Some(Statement::fails(ADMINS_READY, *reason, message)),
        _ => None,
    });
    let has_invalid = invalid.is_some();
    conditions.extend(invalid);
    let lack = match outstanding.dependencies.clone() {
        Ok(waiting) => waiting,
        Err(Stalled { reason, message }) => Some(Waiting { reason, message }),
    };
    let is_lacking = lack.is_some();
    conditions.push(state(DEPENDENCIES_READY, lack.or_else(|| find_silent(view)), &list_dependencies(view)));
    if is_lacking {
        return conditions;
    }
    let tables = format!("the tables of {} exist", view.image);
    conditions.push(state(MIGRATED, outstanding.migration.clone(), &tables));
    let queues = outstanding.queues.clone().or_else(|| outstanding.consumers.clone()).or_else(|| find_idle(view));
    conditions.push(state(QUEUES_SERVED, queues, "every queue has its consumers"));
    let is_known = view.admins.iter().all(|admin| admin.account != Account::Unknown);
    if is_known && !has_invalid && !view.admins.is_empty() {
        let lack = outstanding.accounts.clone().or_else(|| find_foreign(view));
        conditions.push(state(ADMINS_READY, lack, "the accounts of spec.admins are administrators"));
    }
    conditions
}

/// A condition that is False because of `lack`, else True.
fn state(kind: &'static str, lack: Option<Waiting>, message: &str) -> Statement {
    match lack {
        None => Statement::holds(kind, reason::AS_EXPECTED, message),
        Some(Waiting { reason, message }) => Statement::fails(kind, reason, message),
    }
}

/// The first server in the user's variables that does not answer; no controller reports on it.
fn find_silent(view: &View<'_>) -> Option<Waiting> {
    let database = view.observed.tables.as_ref().and_then(|tables| tables.as_ref().err());
    let database = database.filter(|_| view.spec.database.is_none());
    let queue = view.observed.queues.as_ref().and_then(|queues| queues.as_ref().err());
    let queue = queue.filter(|_| view.spec.queue.is_none());
    let database =
        database.map(|why| (reason::DATABASE_UNREACHABLE, key::DATABASE_URL, "database", "spec.database", why));
    let queue = queue.map(|why| (reason::BROKER_UNREACHABLE, key::RABBITMQ_URL, "message queue", "spec.queue", why));
    let (reason, key, what, field, why) = database.or(queue)?;
    let message = format!("{what} in {key} does not answer: {why}; correct {key}, or set {field}");
    Some(Waiting::new(reason, message))
}

/// The dependencies, with the evidence for each.
fn list_dependencies(view: &View<'_>) -> String {
    let spec = view.spec;
    let parts = [
        (&spec.database, "PostgresDatabase", format!("the database in {} answers", key::DATABASE_URL)),
        (&spec.queue, "MessageQueue", format!("the message queue in {} answers", key::RABBITMQ_URL)),
        (&spec.ipfs, "IpfsCluster", format!("the server in {} is not checked", key::IPFS_HOST)),
    ];
    let parts = parts.map(|(reference, kind, otherwise)| match reference {
        Some(reference) => format!("{kind}/{} is Ready", reference.name),
        None => otherwise,
    });
    parts.join(", ")
}

/// The queues without consumers because the spec has no workers.
fn find_idle(view: &View<'_>) -> Option<Waiting> {
    let idle: Vec<Role> = WORKERS.into_iter().filter(|role| role.replicas(view.spec) == 0).collect();
    let queues: Vec<String> = idle.iter().filter_map(|role| role.queue().map(str::to_owned)).collect();
    let (field, queues) = (idle.first()?.field(), listed(&queues, 1));
    let message = format!("no consumers for {queues}: {field} is 0; increase it, or messages stay in the queue");
    Some(Waiting::new(reason::NO_WORKERS, message))
}

/// The first account that is not an administrator, and to which the controller must not grant the rights.
fn find_foreign(view: &View<'_>) -> Option<Waiting> {
    view.admins.iter().find_map(|admin| match &admin.account {
        Account::Foreign { username } => Some(Waiting::new(
            reason::NOT_ADMIN,
            format!(
                "account {username} is not an administrator: it existed before, or its rights were removed; to grant them, run temporal admin {username}"
            ),
        )),
        _ => None,
    })
}

/// The credentials in use that the user has set, with the commands that replace each.
fn credentials<'a>(view: &'a View<'_>) -> Vec<Credential<'a>> {
    let credential = |key: &'static str, remedy: String| {
        Some(Credential { name: view.settings.place(key), value: view.settings.get(key)?, remedy })
    };
    let jwt = format!(
        "kubectl patch configmap {} -n {} --type json -p '[{{\"op\": \"remove\", \"path\": \"/data/{}\"}}]', and a key is generated",
        config_map(view.spec),
        view.names.namespace,
        key::JWT_KEY
    );
    let database =
        "change it on the server, then in the ConfigMap; or refer to a PostgresDatabase in spec.database".to_owned();
    let database = view.spec.database.is_none().then(|| credential(key::DATABASE_PASSWORD, database)).flatten();
    credential(key::JWT_KEY, jwt).into_iter().chain(database).collect()
}
