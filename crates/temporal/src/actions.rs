//! What the products must be told, as data: the queues, and who has all rights.

use std::fmt;

use temporal_stack_common::api::Temporal;

use crate::{
    Error, broker,
    names::QUEUES,
    observe::Observed,
    order::{self, Step},
    tables,
};

/// Something that a product must be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The broker: that there are these queues, before anything is published to one.
    DeclareQueues,
    /// The database: that an account has all rights.
    MakeAdmin {
        /// Its name.
        username: String,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeclareQueues => f.write_str("declare the queues"),
            Self::MakeAdmin { username } => write!(f, "give the account {username} all rights"),
        }
    }
}

/// What the products must be told now.
pub(crate) fn actions(object: &Temporal, observed: &Observed) -> Vec<Action> {
    let mut actions = Vec::new();
    if observed.queues.as_ref().is_ok_and(|there| there.len() < QUEUES.len()) {
        actions.push(Action::DeclareQueues);
    }
    let (step, _) = order::first_open(object, observed);
    if let Ok(found) = observed.tables.as_ref()
        && step >= Step::Krab
    {
        // Only those that it has made itself, and once: somebody may have registered under the name, or taken the right away.
        let made = observed.admins.iter().filter(|admin| admin.run.as_ref().is_some_and(|run| run.is_done));
        let wanted = made.filter_map(|admin| admin.username.as_ref().ok());
        let without = wanted.filter(|name| found.accounts.contains(*name) && !found.admins.contains(*name));
        actions.extend(without.map(|username| Action::MakeAdmin { username: username.clone() }));
    }
    actions
}

/// Tells a product one thing.
pub(crate) async fn act(observed: &Observed, action: &Action) -> Result<(), Error> {
    match action {
        Action::DeclareQueues => {
            let Some(access) = &observed.queue.access else { return Ok(()) };
            Ok(broker::declare(access).await?)
        }
        Action::MakeAdmin { username } => {
            let Some(access) = &observed.database.access else { return Ok(()) };
            Ok(tables::make_admin(access, username).await?)
        }
    }
}
