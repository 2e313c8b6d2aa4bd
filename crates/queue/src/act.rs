//! Writes to the broker, as data and as calls.

mod moving;

use std::{
    fmt,
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use temporal_stack_common::{
    component::Memos,
    http::{Client, Server},
    world::ReadError,
};
use tokio::time::Instant;

use crate::rabbit::{Failure, Management, Move, QueueName};

/// How long one action may change queues; the next pass continues with the rest.
const TURN: Duration = Duration::from_secs(30);

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not answer a read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The broker did not carry out an action.
    #[error("the broker refused")]
    Broker(#[from] Failure),
}

/// One write to the broker.
pub struct Action {
    /// The management API, as the administrator.
    pub(crate) server: Server,
    /// The change.
    pub(crate) change: Change,
}

/// A change on the broker.
pub(crate) enum Change {
    /// Create the application's virtual host.
    CreateVirtualHost(String),
    /// Create or correct a login that may use this virtual host.
    SetLogin { username: String, password: String, virtual_host: String },
    /// Give quorum queues a member on a node that has joined.
    Grow(Members),
    /// Spread the leaders of queues over the nodes.
    Rebalance,
    /// Remove the members of quorum queues from a node that must leave, or is lost.
    Shrink(Members),
    /// Move a classic queue to the node at `host`, or continue a move that has begun.
    Move { queue: Move, is_begun: bool, host: String },
    /// Record which nodes must leave the cluster when they stop.
    NoteLeaving(Vec<String>),
    /// Enable a feature that all nodes have.
    EnableFeature(String),
}

/// Members of quorum queues on a node.
pub(crate) struct Members {
    /// The node.
    pub(crate) node: String,
    /// The queues.
    pub(crate) queues: Vec<QueueName>,
}

/// The memory of an object's actions: the position where the latest turn over queues ended, so that the next one begins behind it.
#[derive(Debug, Default)]
struct Turn(AtomicUsize);

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.change {
            Change::CreateVirtualHost(name) => write!(f, "create virtual host {name}"),
            Change::SetLogin { username, virtual_host, .. } => {
                write!(f, "set login {username} on virtual host {virtual_host}")
            }
            Change::Grow(Members { node, .. }) => write!(f, "grow quorum queues onto {node}"),
            Change::Rebalance => f.write_str("rebalance the leaders of queues"),
            Change::Shrink(Members { node, .. }) => write!(f, "shrink quorum queues off {node}"),
            Change::Move { queue: Move { name, virtual_host, .. }, .. } => {
                write!(f, "move classic queue {name} of virtual host {virtual_host}")
            }
            Change::NoteLeaving(nodes) if nodes.is_empty() => f.write_str("note that no node must leave"),
            Change::NoteLeaving(nodes) => write!(f, "note that {} must leave", nodes.join(", ")),
            Change::EnableFeature(name) => write!(f, "enable feature {name}"),
        }
    }
}

/// Carries out the action.
pub(crate) async fn act(Action { server, change }: &Action, client: &Client, memos: &Memos) -> Result<(), Failure> {
    let (management, turn) = (&Management::new(client, server), memos.get::<Turn>());
    match change {
        Change::CreateVirtualHost(name) => management.create_virtual_host(name).await,
        Change::SetLogin { username, password, virtual_host } => {
            management.set_user(username, password, virtual_host).await
        }
        Change::Grow(members) => members.change(&turn, |queue, node| management.add_member(queue, node)).await,
        Change::Rebalance => management.rebalance().await,
        Change::Shrink(members) => members.change(&turn, |queue, node| management.delete_member(queue, node)).await,
        Change::Move { queue, is_begun, host } => moving::advance(management, queue, *is_begun, host).await,
        Change::NoteLeaving(nodes) => management.set_leaving(nodes).await,
        Change::EnableFeature(name) => management.enable_feature(name).await,
    }
}

impl Members {
    /// Changes each queue, within a turn. A queue that fails does not block the others, in this turn or in the next, which starts
    /// after the last changed queue.
    async fn change<'a, F: Future<Output = Result<(), Failure>>>(
        &'a self,
        turn: &Turn,
        change: impl Fn(&'a QueueName, &'a str) -> F,
    ) -> Result<(), Failure> {
        let begin = turn.0.load(Ordering::Relaxed);
        let (before, behind) = self.queues.split_at(begin.checked_rem(self.queues.len()).unwrap_or_default());
        let until = Instant::now() + TURN;
        let mut first = Ok(());
        for (number, queue) in behind.iter().chain(before).enumerate() {
            if Instant::now() > until {
                turn.0.store(begin.wrapping_add(number), Ordering::Relaxed);
                break;
            }
            first = first.and(change(queue, &self.node).await);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Mutex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn slow_queues_do_not_starve_the_others() {
        let queue = |name: &str| QueueName { virtual_host: "temporal".to_owned(), name: name.to_owned() };
        let queues = ["a", "b", "c", "d"].map(queue).to_vec();
        let (members, turn) = (Members { node: String::new(), queues }, Turn::default());
        let changed = Mutex::new(BTreeSet::new());
        for _ in 0..4 {
            let change = |queue: &QueueName, _: &str| {
                changed.lock().unwrap().insert(queue.name.clone());
                async {
                    tokio::time::sleep(TURN + Duration::from_secs(1)).await;
                    Ok(())
                }
            };
            members.change(&turn, change).await.unwrap();
        }
        assert_eq!(changed.into_inner().unwrap().len(), 4);
    }

    #[test]
    fn display_shows_no_password() {
        let part = |text: &str| text.to_owned();
        let change = Change::SetLogin { username: part("u"), password: part("s3cret"), virtual_host: part("v") };
        let action = Action { server: Server::new("h", 1).with_login("a", "s3cret"), change };
        assert!(!action.to_string().contains("s3cret"));
    }
}
