//! Writes to the server, as data and as calls.

use std::fmt;

use temporal_stack_common::{login::Access, world::ReadError};

use crate::{
    names::owner_role,
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
            Change::CreateDatabase => write!(f, "create database {database}"),
            Change::GiveDatabase => write!(f, "set the owner of database {database}"),
            Change::SetLogin { username, .. } => write!(f, "set login {username} on database {database}"),
        }
    }
}

/// Carries out the action.
pub(crate) async fn act(Action { access, database, change }: &Action) -> Result<(), Failure> {
    let session = postgres::connect(access).await?;
    match change {
        Change::CreateOwner => session.create_owner(database).await,
        Change::CreateDatabase => session.create_database(database).await,
        Change::GiveDatabase => session.give_database(database).await,
        Change::SetLogin { username, password, exists } => {
            session.set_login(username, password, database, *exists).await
        }
    }
}
