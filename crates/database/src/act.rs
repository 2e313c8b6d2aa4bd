//! Writes to the server, as data and as calls.

use std::fmt;

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
    names::{COMPONENT, HIBERNATED, HIBERNATION, HIBERNATION_ON, owner_role},
    postgres::{self, Failure},
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
            Change::SetLogin { username, .. } => write!(f, "set login {username} on database {database}"),
        }
    }
}

/// Carries out the action.
pub(crate) async fn act(Action { access, database, change }: &Action) -> Result<(), Failure> {
    let session = postgres::administer(access).await?;
    match change {
        Change::CreateOwner => session.create_owner(database).await,
        Change::LockOwner => session.lock_owner(database).await,
        Change::CreateDatabase => session.create_database(database).await,
        Change::GiveDatabase => session.give_database(database).await,
        Change::SetLogin { username, password, exists } => {
            session.set_login(username, password, database, *exists).await
        }
    }
}

/// Whether the servers of an object run on when it is deleted: those of a retained cluster.
pub(crate) fn remains(object: &PostgresDatabase) -> bool {
    object.spec.provider.cloud_native_pg.is_some() && object.spec.deletion_policy == DeletionPolicy::Retain
}

/// Has CloudNativePG stop the servers of a retained cluster, as those of other databases stop with their object. The annotation with
/// the UID shows the next object of the name that this was not the user's wish.
pub(crate) async fn leave(object: &PostgresDatabase, world: &World<'_>) -> Result<(), Error> {
    let name = Names::new(object).base;
    let cluster: Option<Cluster> = world.children.find(&name);
    let Some(cluster) = cluster.filter(|cluster| remains(object) && cluster.metadata.deletion_timestamp.is_none())
    else {
        return Ok(());
    };
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
