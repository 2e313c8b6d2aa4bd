//! What the server must be told, as data, and why.

use std::fmt;

use temporal_stack_common::login::Login;

use crate::{
    names::{ADMINISTRATOR, owner_role},
    observe::{Known, Observed, Server, Source},
    postgres::{self, Failure, MAINTENANCE},
};

/// One thing that the server must be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make the role that owns the database.
    CreateOwner {
        /// The database.
        database: String,
    },
    /// Make the database.
    CreateDatabase {
        /// The database.
        database: String,
    },
    /// Give the database to its owner's role: somebody gave it to another.
    GiveDatabase {
        /// The database.
        database: String,
    },
    /// Make or correct the role of a login.
    SetLogin {
        /// Which login.
        number: u32,
        /// Its role.
        username: String,
        /// The database it is for.
        database: String,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateOwner { database } => write!(f, "create role {}", owner_role(database)),
            Self::CreateDatabase { database } => write!(f, "create database {database}"),
            Self::GiveDatabase { database } => write!(f, "give database {database} to its owner"),
            Self::SetLogin { username, database, .. } => write!(f, "set login {username} on database {database}"),
        }
    }
}

/// What must be told, in order.
pub(crate) fn actions(observed: &Observed) -> Vec<Action> {
    let Source::Embedded(embedded) = &observed.source else { return Vec::new() };
    let Server::Known(known) = &embedded.server else { return Vec::new() };
    let database = observed.settings.database.clone();
    let mut actions = Vec::new();
    if !known.has_owner {
        actions.push(Action::CreateOwner { database: database.clone() });
    }
    match &known.database_owner {
        None => actions.push(Action::CreateDatabase { database: database.clone() }),
        Some(owner) if *owner != owner_role(&database) => {
            actions.push(Action::GiveDatabase { database: database.clone() });
        }
        Some(_) => {}
    }
    if let Some(newest) = embedded.newest()
        && !known.has(newest)
        && still_used(observed, newest).is_none()
    {
        let (number, username) = (newest.number, newest.username.clone());
        actions.push(Action::SetLogin { number, username, database });
    }
    actions
}

/// A generated login takes the role of the one before the last, which must not be taken from those who are still connected
/// as it. Says how many they are.
pub(crate) fn still_used(observed: &Observed, newest: &Login) -> Option<i64> {
    let Source::Embedded(embedded) = &observed.source else { return None };
    let Server::Known(known) = &embedded.server else { return None };
    let is_rotation = observed.bound.as_ref().is_some_and(|bound| bound.username != newest.username);
    let sessions = known.role(newest)?.sessions;
    (!newest.named && is_rotation && !known.accepted.contains(&newest.number) && sessions > 0).then_some(sessions)
}

/// Tells the server one thing.
pub(crate) async fn act(observed: &Observed, action: &Action) -> Result<(), Failure> {
    let Source::Embedded(embedded) = &observed.source else { return Ok(()) };
    let Server::Known(known) = &embedded.server else { return Ok(()) };
    let session = administrator(known).await?;
    match action {
        Action::CreateOwner { database } => session.create_owner(database).await,
        Action::CreateDatabase { database } => session.create_database(database).await,
        Action::GiveDatabase { database } => session.give_database(database).await,
        Action::SetLogin { number, username, database } => {
            let Some(login) = embedded.logins.iter().find(|login| login.number == *number) else { return Ok(()) };
            session.set_login(username, &login.password, database, known.role(login).is_some()).await
        }
    }
}

async fn administrator(known: &Known) -> Result<postgres::Session, Failure> {
    postgres::connect(&known.address, ADMINISTRATOR, &known.password, MAINTENANCE).await
}
