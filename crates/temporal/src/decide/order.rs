//! The order in which Temporal starts, and the outstanding steps.

use temporal_stack_common::{
    api::annotation,
    component::Waiting,
    message::{counted, logs},
    readiness,
};

use super::{accounts::Admin, tls::Tls, view::View};
use crate::{
    access::Lack,
    names::QUEUES,
    observed::{Queue, Tables},
    reason,
    role::{ROLES, Role, WORKERS},
};

/// The steps of the start: each waits for all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// The dependencies must be Ready.
    Dependencies,
    /// The queues must be declared.
    Queues,
    /// The tables must be those of the image.
    Migration,
    /// The key server must run.
    Krab,
    /// The workers must run.
    Workers,
    /// The API must run.
    Api,
    /// Everything runs.
    Done,
}

impl Step {
    /// The step in which a role starts.
    pub(crate) fn for_role(role: Role) -> Self {
        if role == Role::Api { Self::Api } else { Self::Workers }
    }
}

/// The outstanding steps.
#[derive(Debug)]
pub(crate) struct Outstanding {
    /// The first step that is not complete.
    pub(crate) step: Step,
    /// Of the dependencies, and of its own keys.
    pub(crate) dependencies: Lack,
    /// Of the queues.
    pub(crate) queues: Option<Waiting>,
    /// Of the tables.
    pub(crate) migration: Option<Waiting>,
    /// Of the key server, the workers and the API.
    pub(crate) workloads: Option<Waiting>,
    /// Of the queues' consumers.
    pub(crate) consumers: Option<Waiting>,
    /// Of the accounts.
    pub(crate) accounts: Option<Waiting>,
}

impl Outstanding {
    pub(crate) fn new(view: &View<'_>) -> Self {
        let (dependencies, queues, migration) = (check_dependencies(view), check_queues(view), check_migration(view));
        let mut deployments =
            ROLES.into_iter().filter_map(|role| Some((Step::for_role(role), check_deployment(view, role)?)));
        let workload = check_krab(view).map(|waiting| (Step::Krab, waiting)).or_else(|| deployments.next());
        let step = match &workload {
            _ if dependencies != Ok(None) => Step::Dependencies,
            _ if queues.is_some() => Step::Queues,
            _ if migration.is_some() => Step::Migration,
            Some((step, _)) => *step,
            None => Step::Done,
        };
        Self {
            step,
            dependencies,
            queues,
            migration,
            workloads: workload.map(|(_, waiting)| waiting),
            consumers: check_consumers(view),
            accounts: view.admins.iter().find_map(Admin::find_waiting),
        }
    }

    /// The first outstanding one.
    pub(super) fn first(&self) -> Lack {
        let Self { queues, migration, workloads, consumers, accounts, .. } = self;
        let dependencies = self.dependencies.clone()?;
        let later = [queues, migration, workloads, consumers, accounts].into_iter().flatten().next();
        Ok(dependencies.or_else(|| later.cloned()))
    }
}

/// Whether only a product shows when it is resolved, and no watch.
pub(super) fn is_for_products(waiting: &Waiting) -> bool {
    let of_products = [
        reason::DECLARING_QUEUES,
        reason::BROKER_UNREACHABLE,
        reason::DATABASE_UNREACHABLE,
        reason::CONSUMERS_MISSING,
        reason::ADMIN_MISSING,
    ];
    of_products.contains(&waiting.reason)
}

fn check_dependencies(view: &View<'_>) -> Lack {
    let lack = view.dependencies.lack()?;
    let is_prepared = view.keys.is_some() && view.tls != Ok(Tls::Generated(None));
    let preparing = || Waiting::new(reason::PREPARING, "keys and certificates are being created");
    Ok(lack.or_else(|| (!is_prepared).then(preparing)))
}

fn check_queues(view: &View<'_>) -> Option<Waiting> {
    match view.observed.queues.as_ref()? {
        Err(failure) => Some(Waiting::new(
            reason::BROKER_UNREACHABLE,
            format!("queues cannot be read: {failure}; retried with backoff"),
        )),
        Ok(queues) if queues.len() < QUEUES.len() => {
            Some(Waiting::new(reason::DECLARING_QUEUES, "queues are being declared"))
        }
        Ok(_) => None,
    }
}

fn check_migration(view: &View<'_>) -> Option<Waiting> {
    let (image, name) = (view.image, &view.migration);
    let migrating = |state: String| Some(Waiting::new(reason::MIGRATING, format!("migration of {image} {state}")));
    match view.observed.jobs.get(name) {
        None => return migrating("has not started yet".to_owned()),
        Some(run) if !run.is_done => {
            return migrating(match &run.trouble {
                Some(trouble) => format!("cannot run: {trouble}"),
                None => "is running".to_owned(),
            });
        }
        Some(_) => {}
    }
    match view.observed.tables.as_ref()? {
        Err(failure) => Some(Waiting::new(
            reason::DATABASE_UNREACHABLE,
            format!("tables cannot be read: {failure}; retried with backoff"),
        )),
        Ok(Tables { missing, .. }) if missing.is_empty() => None,
        Ok(Tables { missing, .. }) => {
            let message = format!(
                "migration of {image} succeeded, but the tables {} do not exist; see {}, remove the cause, and set the annotation {} to a new value to run it again",
                missing.join(", "),
                logs(&view.names.namespace, &format!("job/{name}"), "migrate"),
                annotation::RESTART
            );
            Some(Waiting::new(reason::MIGRATION_FAILED, message))
        }
    }
}

fn check_krab(view: &View<'_>) -> Option<Waiting> {
    check_workload("StatefulSet", &view.names.krab, view.observed.krab.as_ref(), readiness::stateful_set)
}

fn check_deployment(view: &View<'_>, role: Role) -> Option<Waiting> {
    let name = view.names.child(role.name());
    check_workload("Deployment", &name, view.observed.deployments.get(&name), readiness::deployed)
}

/// `missing` is what a workload lacks; `live` is the workload, if it exists.
fn check_workload<K>(
    kind: &str,
    name: &str,
    live: Option<&K>,
    missing: impl FnOnce(&K) -> Option<String>,
) -> Option<Waiting> {
    let message = match live {
        None => format!("{kind}/{name} does not exist yet"),
        Some(live) => format!("{kind}/{name}: {}", missing(live)?),
    };
    Some(Waiting::new(reason::CHILDREN_NOT_READY, message))
}

/// The first queue that has fewer consumers than its worker has replicas.
fn check_consumers(view: &View<'_>) -> Option<Waiting> {
    let queues = view.observed.queues.as_ref()?.as_ref().ok()?;
    let (role, Queue { name, consumers }) = WORKERS.into_iter().find_map(|role| {
        let replicas = u32::try_from(role.replicas(view.spec)).unwrap_or_default();
        let queue = queues.iter().find(|queue| Some(queue.name) == role.queue())?;
        (queue.consumers < replicas).then_some((role, queue))
    })?;
    let wanted = counted(usize::try_from(role.replicas(view.spec)).unwrap_or_default(), "consumer");
    let deployment = format!("deployment/{}", view.names.child(role.name()));
    let logs = logs(&view.names.namespace, &deployment, role.name());
    Some(Waiting::new(
        reason::CONSUMERS_MISSING,
        format!("queue {name} has {consumers} of {wanted}; check the log of its worker: {logs}"),
    ))
}
