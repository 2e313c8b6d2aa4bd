//! Writes to the server, as data and as calls.

use std::fmt;

use k8s_openapi::api::core::v1::Secret;
use kube::{Resource, ResourceExt, api::ApiResource};
use serde_json::json;
use temporal_stack_common::{
    api::{DeletionPolicy, PostgresDatabase},
    hand::{Target, Touched},
    login::Access,
    names::Names,
    world::{ReadError, World},
};

use crate::{
    cloud_native_pg::Cluster,
    moving::{Phase, ProviderName, Record},
    names::{COMPONENT, HIBERNATED, HIBERNATION, HIBERNATION_ON, MOVING, move_name, owner_role},
    postgres::{self, Failure, Reach},
};

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not answer a read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database server did not carry out an action.
    #[error("the database server refused")]
    Server(#[from] Failure),
    /// The cluster of CloudNativePG could not be hibernated.
    #[error("could not hibernate Cluster/{name}")]
    Hibernate {
        /// The cluster.
        name: String,
        /// The answer of the API server.
        source: kube::Error,
    },
    /// The API server refuses to hibernate the cluster of CloudNativePG.
    #[error("could not hibernate Cluster/{name}: {words}")]
    HibernateRefused {
        /// The cluster.
        name: String,
        /// Its words.
        words: String,
    },
}

/// One write to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The administrator's access.
    pub(crate) access: Access,
    /// The application's database.
    pub(crate) database: String,
    /// The change.
    pub(crate) change: Change,
}

/// A change on the server. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Create the role that owns the database.
    CreateOwner,
    /// Has it no longer log in.
    LockOwner,
    /// Create the database.
    CreateDatabase,
    /// Make the owner's role the owner of the database again.
    GiveDatabase,
    /// Refuse new sessions of applications.
    Close(Reach),
    /// End their sessions.
    EndSessions(Reach),
    /// Accept their sessions again.
    Open(Reach),
    /// Create or correct the role of a login.
    SetLogin {
        /// The role.
        username: String,
        /// Its password.
        password: String,
        /// Whether the role exists.
        exists: bool,
    },
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateOwner => f.write_str("CreateOwner"),
            Self::LockOwner => f.write_str("LockOwner"),
            Self::CreateDatabase => f.write_str("CreateDatabase"),
            Self::GiveDatabase => f.write_str("GiveDatabase"),
            Self::Close(_) => f.write_str("Close"),
            Self::EndSessions(_) => f.write_str("EndSessions"),
            Self::Open(_) => f.write_str("Open"),
            Self::SetLogin { username, .. } => write!(f, "SetLogin({username})"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = &self.database;
        match &self.change {
            Change::CreateOwner => write!(f, "create role {}", owner_role(database)),
            Change::LockOwner => write!(f, "take the login from role {}", owner_role(database)),
            Change::CreateDatabase => write!(f, "create database {database}"),
            Change::GiveDatabase => write!(f, "set the owner of database {database}"),
            Change::Close(_) => write!(f, "close database {database} to clients"),
            Change::EndSessions(_) => write!(f, "end the sessions of clients of database {database}"),
            Change::Open(_) => write!(f, "open database {database} to clients"),
            Change::SetLogin { username, .. } => write!(f, "set login {username} on database {database}"),
        }
    }
}

/// Carries out the action.
pub(crate) async fn act(Action { access, database, change }: &Action) -> Result<(), Failure> {
    let session = match change {
        Change::Close(reach) | Change::EndSessions(reach) | Change::Open(reach) => {
            postgres::reach(access, *reach).await?
        }
        _ => postgres::administer(access).await?,
    };
    match change {
        Change::CreateOwner => session.create_owner(database).await,
        Change::LockOwner => session.lock_owner(database).await,
        Change::CreateDatabase => session.create_database(database).await,
        Change::GiveDatabase => session.give_database(database).await,
        Change::Close(Reach::Administrator) => session.close_database(database).await,
        Change::Close(Reach::Application) => session.make_read_only(database).await,
        Change::Open(Reach::Administrator) => session.open_database(database).await,
        Change::Open(Reach::Application) => session.make_writable(database).await,
        Change::EndSessions(reach) => session.end_sessions(*reach).await,
        Change::SetLogin { username, password, exists } => {
            session.set_login(username, password, database, *exists).await
        }
    }
}

/// Whether something remains of an object that is deleted: the servers of a retained cluster run on, and a server elsewhere from which
/// data are moving may be read-only.
pub(crate) fn remains(object: &PostgresDatabase) -> bool {
    let status = object.status.as_ref();
    let has_cluster = status.is_some_and(|status| status.cluster.is_some());
    let moves = status.is_some_and(|status| status.conditions.iter().any(|condition| condition.type_ == MOVING));
    moves || is_retained(object, has_cluster)
}

fn is_retained(object: &PostgresDatabase, has_cluster: bool) -> bool {
    (object.spec.provider.cloud_native_pg.is_some() || has_cluster)
        && object.spec.deletion_policy == DeletionPolicy::Retain
}

/// Opens a server elsewhere again, and stops those of a retained cluster.
pub(crate) async fn leave(object: &PostgresDatabase, world: &World<'_>) -> Result<(), Error> {
    let record: Option<Secret> = world.children.find(&move_name(&Names::new(object)));
    let opened = match record.as_ref().and_then(opening) {
        Some(action) => act(&action).await,
        None => Ok(()),
    };
    hibernate(object, world).await?;
    Ok(opened?)
}

/// What opens the server elsewhere that a move has closed, by its record. After the move it stays closed: its data are old.
fn opening(record: &Secret) -> Option<Action> {
    let record = Record::read(record).filter(|record| record.is_closed && record.phase != Phase::Switched)?;
    let access = record.theirs.filter(|_| record.way.from == ProviderName::External)?;
    let database = access.scope.clone();
    Some(Action { access, database, change: Change::Open(Reach::Application) })
}

/// Has CloudNativePG stop the servers of a retained cluster, as those of other databases stop with their object. The annotation with
/// the UID shows the next object of the name that this was not the user's wish.
async fn hibernate(object: &PostgresDatabase, world: &World<'_>) -> Result<(), Error> {
    let name = Names::new(object).base;
    let has_cluster = object.status.as_ref().is_some_and(|status| status.cluster.is_some());
    let cluster: Option<Cluster> = world.children.find(&name);
    let stops = |cluster: &Cluster| is_retained(object, has_cluster) && cluster.metadata.deletion_timestamp.is_none();
    let Some(cluster) = cluster.filter(stops) else { return Ok(()) };
    if cluster.is_hibernated() {
        return Ok(());
    }
    let target = Target {
        resource: ApiResource::erase::<Cluster>(&()),
        namespace: object.namespace(),
        name: name.clone(),
        uid: cluster.uid().unwrap_or_default(),
    };
    let annotations = json!({HIBERNATION: HIBERNATION_ON, HIBERNATED: object.meta().uid});
    match world.hand(COMPONENT).annotate(&target, &annotations).await {
        Ok(Touched::Done | Touched::Gone | Touched::Conflict(_)) => Ok(()),
        Ok(Touched::Refused(words)) => Err(Error::HibernateRefused { name, words }),
        Err(source) => Err(Error::Hibernate { name, source }),
    }
}

#[cfg(test)]
mod tests;
