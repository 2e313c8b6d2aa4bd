//! Writes to the broker and the database, as data and as calls.

use std::fmt;

use temporal_stack_common::world::ReadError;

use crate::{
    access::{Broker, Database},
    postgres, rabbit,
};

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not answer a read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The broker did not carry out an action.
    #[error("the broker refused")]
    Broker(#[from] rabbit::Failure),
    /// The database did not carry out an action.
    #[error("the database refused")]
    Database(#[from] postgres::Failure),
}

/// One write to a server. `Debug` shows no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Declare queues, before anything is published to one.
    DeclareQueues {
        /// The broker.
        broker: Broker,
        /// The queues.
        queues: Vec<&'static str>,
    },
    /// Make an account an administrator.
    GrantAdmin {
        /// The database.
        database: Database,
        /// The account.
        username: String,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeclareQueues { .. } => f.write_str("declare queues"),
            Self::GrantAdmin { username, .. } => write!(f, "make account {username} an administrator"),
        }
    }
}

/// Carries out the action.
pub(crate) async fn act(action: &Action) -> Result<(), Error> {
    match action {
        Action::DeclareQueues { broker, queues } => Ok(rabbit::declare(broker, queues).await?),
        Action::GrantAdmin { database, username } => Ok(postgres::grant_admin(database, username).await?),
    }
}
