//! Temporal's dependencies: an object of the stack and its binding, or a server that the user's variables name.

use k8s_openapi::{api::core::v1::Secret, jiff::Timestamp};
use temporal_stack_common::{
    api::{Reference, TemporalSpec},
    component::{Stalled, Waiting},
    condition::{READY, find, is_ready, is_suspended},
    neighbour::Neighbour,
};

use super::{
    Broker, DATABASE_FIELD, Database, Field, IPFS_FIELD, Ipfs, QUEUE_FIELD, bound_broker, bound_database, bound_ipfs,
    users_broker, users_database, users_ipfs,
};
use crate::{
    observed::{References, Referred},
    reason,
    settings::Settings,
};

/// A missing dependency: one that is expected to become ready, or that the user must provide.
pub(crate) type Lack = Result<Option<Waiting>, Stalled>;

/// All dependencies of Temporal.
#[derive(Debug)]
pub(crate) struct Dependencies {
    /// Its tables.
    pub(crate) database: Dependency<Database>,
    /// Its queues.
    pub(crate) queue: Dependency<Broker>,
    /// Its files.
    pub(crate) ipfs: Dependency<Ipfs>,
}

/// One dependency of Temporal.
#[derive(Debug)]
pub(crate) struct Dependency<T> {
    /// How to use it, if known.
    pub(crate) access: Option<T>,
    /// Why it cannot be used now.
    pub(crate) lack: Lack,
    /// Since when it is Ready, or is not; unknown of what the user's variables name.
    pub(crate) since: Option<Timestamp>,
}

impl Dependencies {
    /// The dependencies in the spec and the user's variables, with their state.
    pub(crate) fn new(spec: &TemporalSpec, namespace: &str, settings: &Settings, found: &References) -> Self {
        Self {
            database: Dependency::new(
                DATABASE_FIELD,
                namespace,
                spec.database.as_ref().zip(found.database.as_ref()),
                bound_database,
                || users_database(settings),
            ),
            queue: Dependency::new(
                QUEUE_FIELD,
                namespace,
                spec.queue.as_ref().zip(found.queue.as_ref()),
                |_, binding| Ok(bound_broker(binding)),
                || users_broker(settings),
            ),
            ipfs: Dependency::new(
                IPFS_FIELD,
                namespace,
                spec.ipfs.as_ref().zip(found.ipfs.as_ref()),
                |_, binding| Ok(bound_ipfs(binding)),
                || users_ipfs(settings),
            ),
        }
    }

    /// The first missing dependency: those that the user must provide come first.
    pub(crate) fn lack(&self) -> Lack {
        let lacks = [&self.database.lack, &self.queue.lack, &self.ipfs.lack];
        if let Some(stalled) = lacks.iter().find_map(|lack| lack.as_ref().err()) {
            return Err(stalled.clone());
        }
        Ok(lacks.iter().find_map(|lack| lack.as_ref().ok()?.clone()))
    }

    /// Since when all dependencies are Ready; `None`: they are not. Servers in the user's variables count as always Ready.
    pub(crate) fn ready_since(&self) -> Option<Timestamp> {
        let is_ready = self.database.ready().is_some() && self.queue.ready().is_some() && self.ipfs.ready().is_some();
        let newest = [self.database.since, self.queue.since, self.ipfs.since].into_iter().max().flatten();
        is_ready.then_some(newest.unwrap_or(Timestamp::UNIX_EPOCH))
    }
}

impl<T> Dependency<T> {
    /// The object that a field of the spec refers to, with the access that `bound` reads from its binding; else the server in the
    /// `users` variables, whose health is its owner's concern.
    fn new(
        field: Field,
        namespace: &str,
        reference: Option<(&Reference, &Neighbour<Referred>)>,
        bound: impl FnOnce(&str, &Secret) -> Result<Option<T>, Stalled>,
        users: impl FnOnce() -> Result<T, Stalled>,
    ) -> Self {
        let (access, waiting, since) = match reference {
            None => (users().map(Some), None, None),
            Some((Reference { name }, found)) => {
                let referred = format!("{}/{name}", field.kind);
                let object = if let Neighbour::There(object) = found { Some(object) } else { None };
                let binding = object.and_then(|object| object.binding.as_ref());
                let access = binding.map(|binding| bound(&referred, binding)).transpose().map(Option::flatten);
                let has_access = matches!(access, Ok(Some(_)));
                let ready = object.and_then(|object| find(&object.conditions, READY));
                let since = ready.map(|ready| ready.last_transition_time.0);
                (access, await_object(field, &referred, namespace, found, has_access), since)
            }
        };
        match access {
            Ok(access) => Self { access, lack: Ok(waiting), since },
            Err(stalled) => Self { access: None, lack: Err(stalled), since },
        }
    }

    /// How to use it, if it is ready.
    pub(crate) fn ready(&self) -> Option<&T> {
        self.access.as_ref().filter(|_| self.lack == Ok(None))
    }
}

/// Why an object that is referred to is not ready yet.
fn await_object(
    Field { name, kind }: Field,
    referred: &str,
    namespace: &str,
    found: &Neighbour<Referred>,
    has_access: bool,
) -> Option<Waiting> {
    let not_ready = |why: &str| Waiting::new(reason::DEPENDENCY_NOT_READY, format!("{referred} {why}"));
    Some(match found {
        Neighbour::NoKind => Waiting::new(
            reason::KIND_MISSING,
            format!(
                "{name} refers to {referred}, but the cluster has no such kind; install its controller, or remove the field and name a server in the ConfigMap"
            ),
        ),
        Neighbour::Missing => Waiting::new(
            reason::REFERENCE_MISSING,
            format!(
                "{name} refers to {referred}, which does not exist in namespace {namespace}; create it, or name another"
            ),
        ),
        Neighbour::Unparsable(why) => {
            not_ready(&format!("cannot be read: {why}; update the CustomResourceDefinitions"))
        }
        Neighbour::There(object) if is_ready(&object.conditions, object.generation) => {
            if has_access {
                return None;
            }
            not_ready("is Ready, but its binding is missing or incomplete; wait for its controller to write it")
        }
        Neighbour::There(object) if is_suspended(&object.conditions, object.generation) => {
            let message =
                format!("{referred} is suspended; set its spec.suspend to false, or set spec.suspend of this object");
            Waiting::new(reason::DEPENDENCY_SUSPENDED, message)
        }
        Neighbour::There(object) => match find(&object.conditions, READY) {
            None => not_ready(&format!(
                "is not Ready: its controller has not reported yet; if this persists, check that the controller of {kind} is running"
            )),
            Some(ready) if ready.status == "True" => {
                not_ready("is not Ready: its controller has not observed its newest spec yet")
            }
            Some(ready) => not_ready(&format!("is not Ready: {}: {}", ready.reason, ready.message)),
        },
    })
}
