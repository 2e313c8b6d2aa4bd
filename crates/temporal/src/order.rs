//! The order in which Temporal comes up, and how far it has come. Pure.

use kube::ResourceExt;
use temporal_stack_common::{
    api::Temporal,
    component::Progress,
    condition::{Reason, reason},
    message::logs,
};

use crate::{
    names::{self, QUEUES},
    observe::{Observed, State, Tls},
    role::{Role, WORKERS},
};

/// The tables are being made.
pub(crate) const MIGRATING: Reason = Reason::new("Migrating");
/// The migration has ended, and the tables are not there.
pub(crate) const MIGRATION_FAILED: Reason = Reason::new("MigrationFailed");
/// The queues are being declared.
pub(crate) const DECLARING_QUEUES: Reason = Reason::new("DeclaringQueues");
/// A product does not answer.
pub(crate) const UNREACHABLE: Reason = Reason::new("Unreachable");

/// How far it has come: each step waits for all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// What it refers to is to be Ready.
    Dependencies,
    /// The queues are to be declared.
    Queues,
    /// The tables are to be those of the image.
    Migration,
    /// The key server is to run.
    Krab,
    /// The workers are to run.
    Workers,
    /// The API is to run.
    Api,
    /// All runs.
    Done,
}

/// The first step that is not done, and what it waits for.
pub(crate) fn first_open(object: &Temporal, observed: &Observed) -> (Step, Option<Progress>) {
    let steps = [
        (Step::Dependencies, dependencies(observed)),
        (Step::Queues, queues(observed)),
        (Step::Migration, migration(object, observed)),
        (Step::Krab, lacks(observed, &names::krab(object))),
        (Step::Workers, workers(object, observed)),
        (Step::Api, lacks(observed, &names::api(object))),
    ];
    let open = steps.into_iter().find_map(|(step, lack)| lack.map(|lack| (step, lack)));
    open.map_or((Step::Done, None), |(step, lack)| (step, Some(lack)))
}

/// Something that is lacking, and is expected to come.
// All callers want it so.
#[allow(clippy::unnecessary_wraps)]
fn some(reason: Reason, message: impl Into<String>) -> Option<Progress> {
    Some(Progress::Waiting { reason, message: message.into() })
}

/// What is lacking of what it refers to, and of its own secrets.
pub(crate) fn dependencies(observed: &Observed) -> Option<Progress> {
    let lacks = [&observed.database.lack, &observed.queue.lack, &observed.ipfs.lack];
    // What the user must mend comes before what comes by itself.
    let stalled = lacks.iter().find(|lack| matches!(lack, Some(Progress::Stalled { .. })));
    if let Some(lack) = stalled.or(lacks.iter().find(|lack| lack.is_some())) {
        return (*lack).clone();
    }
    let is_prepared = observed.keys.is_some() && !matches!(observed.tls, Tls::Made(None));
    if is_prepared { None } else { some(reason::PREPARING, "keys and certificates are being made") }
}

/// What is lacking of the queues themselves.
pub(crate) fn queues(observed: &Observed) -> Option<Progress> {
    match &observed.queues {
        Err(failure) => some(UNREACHABLE, format!("the queues cannot be looked at: {failure}; it is tried again")),
        Ok(there) if there.len() < QUEUES.len() => some(DECLARING_QUEUES, "the queues are being declared"),
        Ok(_) => None,
    }
}

/// What is lacking of the tables.
pub(crate) fn migration(object: &Temporal, observed: &Observed) -> Option<Progress> {
    let image = &observed.image;
    let Some(run) = &observed.migration else {
        return some(MIGRATING, format!("the migration of {image} has not started yet"));
    };
    if !run.is_done {
        return some(
            MIGRATING,
            match &run.trouble {
                Some(trouble) => format!("the migration of {image} cannot run: {trouble}"),
                None => format!("the migration of {image} is running"),
            },
        );
    }
    match &observed.tables {
        Err(failure) => some(UNREACHABLE, format!("the tables cannot be looked at: {failure}; it is tried again")),
        Ok(found) if !found.missing.is_empty() => {
            let name = crate::desire::migration_name(
                object,
                image,
                observed.database.access.as_ref(),
                observed.restart.as_deref(),
            );
            let message = format!(
                "the migration of {image} has ended without complaint, and the tables {} do not exist; see {}, remove the cause, and give the annotation {} a new value to run it again",
                found.missing.join(", "),
                logs(&object.namespace().unwrap_or_default(), &format!("job/{name}"), "migrate"),
                temporal_stack_common::api::annotation::RESTART
            );
            some(MIGRATION_FAILED, message)
        }
        Ok(_) => None,
    }
}

fn workers(object: &Temporal, observed: &Observed) -> Option<Progress> {
    WORKERS.into_iter().find_map(|role| lacks(observed, &names::child(object, role.name())))
}

fn lacks(observed: &Observed, name: &str) -> Option<Progress> {
    match observed.state_of(name) {
        State::Absent => some(reason::CHILDREN_NOT_READY, format!("{name} is to be made")),
        State::Lacks(lack) => some(reason::CHILDREN_NOT_READY, format!("{name}: {lack}")),
        State::Well => None,
    }
}

/// The workers that the user has scaled to zero: what is in their queues waits.
pub(crate) fn without_workers(object: &Temporal) -> Vec<Role> {
    WORKERS.into_iter().filter(|role| role.replicas(object) == 0).collect()
}

/// The first queue that has fewer consumers than there are workers for it.
pub(crate) fn unserved(object: &Temporal, observed: &Observed) -> Option<(Role, u32)> {
    let queues = observed.queues.as_ref().ok()?;
    WORKERS.into_iter().find_map(|role| {
        let wanted = u32::try_from(role.replicas(object)).unwrap_or_default();
        let queue = queues.iter().find(|queue| Some(queue.name) == role.queue())?;
        (queue.consumers < wanted).then_some((role, queue.consumers))
    })
}

#[cfg(test)]
mod tests;
