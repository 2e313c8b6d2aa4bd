//! What the broker must be told, as data, and why.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use temporal_stack_common::{api::MessageQueue, http::is_segment, login::Login};
use tokio::time::Instant;

use crate::{
    moving::{self, Move},
    names,
    observe::{Broker, Embedded, Known, Observed, Source},
    rabbit::{Failure, Queue},
    scale,
};

/// How long one action may change queues; the next pass goes on with what is left.
const TURN: Duration = Duration::from_secs(30);

/// One thing that the broker must be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make the application's virtual host.
    CreateVirtualHost {
        /// Its name.
        name: String,
    },
    /// Make or correct a login.
    SetLogin {
        /// Which login.
        number: u32,
        /// Its name.
        username: String,
        /// The virtual host that it is for.
        virtual_host: String,
    },
    /// Give quorum queues a member on a node that has joined.
    Grow {
        /// The node.
        node: String,
    },
    /// Spread the leaders of queues over the nodes.
    Rebalance,
    /// Take the members of quorum queues off a node that is to leave, or has gone for good.
    Shrink {
        /// The node.
        node: String,
    },
    /// Move a classic queue off a node that is to leave.
    Move {
        /// The virtual host.
        virtual_host: String,
        /// The queue.
        queue: String,
    },
    /// Note which nodes are to leave the cluster when they stop.
    NoteLeaving {
        /// The nodes.
        nodes: Vec<String>,
    },
    /// Enable a feature that all nodes have.
    EnableFeature {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateVirtualHost { name } => write!(f, "create virtual host {name}"),
            Self::SetLogin { username, virtual_host, .. } => write!(f, "set login {username} on {virtual_host}"),
            Self::Grow { node } => write!(f, "grow queues onto {node}"),
            Self::Rebalance => f.write_str("rebalance the leaders of queues"),
            Self::Shrink { node } => write!(f, "shrink queues off {node}"),
            Self::Move { virtual_host, queue } => write!(f, "move classic queue {queue} of {virtual_host}"),
            Self::NoteLeaving { nodes } if nodes.is_empty() => f.write_str("note that no node is to leave"),
            Self::NoteLeaving { nodes } => write!(f, "note that {} is to leave", nodes.join(", ")),
            Self::EnableFeature { name } => write!(f, "enable feature {name}"),
        }
    }
}

/// What must be told, in order.
pub(crate) fn actions(object: &MessageQueue, observed: &Observed) -> Vec<Action> {
    let Source::Embedded(embedded) = &observed.source else { return Vec::new() };
    let Broker::Known(known) = &embedded.broker else { return Vec::new() };
    let virtual_host = &observed.virtual_host;
    let mut actions = Vec::new();
    if known.default_queue_type.is_none() {
        actions.push(Action::CreateVirtualHost { name: virtual_host.clone() });
    }
    if let Some(newest) = embedded.newest()
        && !known.has(newest)
        && still_used(observed, newest).is_none()
    {
        let (number, username) = (newest.number, newest.username.clone());
        actions.push(Action::SetLogin { number, username, virtual_host: virtual_host.clone() });
    }
    actions.extend(joining(object, embedded, known));
    actions.extend(leaving(object, embedded, known));
    if scale::all_run(known) {
        actions.extend(known.features.iter().map(|name| Action::EnableFeature { name: name.clone() }));
    }
    actions
}

/// Nodes that joined get members of all quorum queues; those that are no members of the cluster any more keep none.
fn joining(object: &MessageQueue, embedded: &Embedded, known: &Known) -> Vec<Action> {
    let mut lost: Vec<&String> = quorum_queues(known).flat_map(|queue| &queue.members).collect();
    lost.sort();
    lost.dedup();
    lost.retain(|member| !known.nodes.iter().any(|node| node.name == **member));
    let shrink = lost.into_iter().map(|node| Action::Shrink { node: node.clone() });
    let staying = staying(object, embedded, known);
    let grow: Vec<Action> =
        growth(known, &staying).into_keys().map(|node| Action::Grow { node: node.to_owned() }).collect();
    let rebalance = (!grow.is_empty()).then_some(Action::Rebalance);
    shrink.chain(grow).chain(rebalance).collect()
}

/// What must happen before a node leaves, one step after the other.
fn leaving(object: &MessageQueue, embedded: &Embedded, known: &Known) -> Vec<Action> {
    // One that somebody has begun to consume meanwhile waits, and is named in the condition.
    let is_held_up = |begun: &&Move| {
        known.queues.iter().any(|queue| {
            (&queue.name, &queue.vhost, queue.node.as_ref()) == (&begun.name, &begun.virtual_host, Some(&begun.from))
                && queue.obstacle().is_some()
        })
    };
    let mut actions: Vec<Action> = known
        .moves
        .iter()
        .filter(|begun| is_segment(&begun.virtual_host) && is_segment(&begun.name) && !is_held_up(begun))
        .map(|begun| Action::Move { virtual_host: begun.virtual_host.clone(), queue: begun.name.clone() })
        .collect();
    let is_free = || scale::all_run(known) && scale::in_the_way(object, &embedded.provider, known).is_empty();
    if let Some(leaver) = scale::leaver(object, &embedded.provider, known).filter(|_| is_free()) {
        let mut bound = known.queues.iter().filter(|queue| queue.is_bound_to(&leaver)).peekable();
        if bound.clone().any(|queue| queue.kind == "quorum") {
            actions.push(Action::Shrink { node: leaver.clone() });
        } else if bound.peek().is_some() {
            let begun = |queue: &&Queue| {
                known.moves.iter().any(|begun| begun.name == queue.name && begun.virtual_host == queue.vhost)
            };
            actions.extend(
                bound
                    .filter(|queue| !begun(queue))
                    .map(|queue| Action::Move { virtual_host: queue.vhost.clone(), queue: queue.name.clone() }),
            );
        }
    }
    let wanted = scale::leaving(object, embedded, known);
    if wanted != known.leaving {
        actions.push(Action::NoteLeaving { nodes: wanted });
    }
    actions
}

/// Without those that cannot be asked for, which conditions name.
fn quorum_queues(known: &Known) -> impl Iterator<Item = &Queue> {
    known.queues.iter().filter(|queue| queue.kind == "quorum" && queue.has_url())
}

/// Nodes that run and are to stay.
fn staying(object: &MessageQueue, embedded: &Embedded, known: &Known) -> Vec<String> {
    let stays = |name: &str| scale::ordinal(object, name).is_some_and(|ordinal| ordinal < embedded.provider.replicas);
    let running = known.nodes.iter().filter(|node| node.running && !node.being_drained);
    running.map(|node| node.name.clone()).filter(|name| stays(name)).collect()
}

/// Which queues are to get a member on which node: all on all, unless they were declared for fewer.
fn growth<'a>(known: &'a Known, staying: &'a [String]) -> BTreeMap<&'a str, Vec<&'a Queue>> {
    let mut growth: BTreeMap<&str, Vec<&Queue>> = BTreeMap::new();
    for queue in quorum_queues(known) {
        let declared = queue.arguments.get("x-quorum-initial-group-size").and_then(serde_json::Value::as_u64);
        let most = declared.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX).min(staying.len());
        let (has, lacks): (Vec<_>, Vec<_>) = staying.iter().partition(|node| queue.members.contains(node));
        for node in lacks.into_iter().take(most.saturating_sub(has.len())) {
            growth.entry(node).or_default().push(queue);
        }
    }
    growth
}

/// A generated login takes the name of the one before the last, which must not be taken from those who are still connected
/// as it. Says how many they are.
pub(crate) fn still_used(observed: &Observed, newest: &Login) -> Option<usize> {
    let Source::Embedded(embedded) = &observed.source else { return None };
    let known = embedded.known()?;
    let is_rotation = observed.bound.as_ref().is_some_and(|bound| bound.username != newest.username);
    (is_rotation && !known.has(newest) && known.connections > 0).then_some(known.connections)
}

/// Tells the broker one thing.
pub(crate) async fn act(object: &MessageQueue, observed: &Observed, action: &Action) -> Result<(), Failure> {
    let Source::Embedded(embedded) = &observed.source else { return Ok(()) };
    let Broker::Known(known) = &embedded.broker else { return Ok(()) };
    let management = &known.management;
    match action {
        Action::CreateVirtualHost { name } => management.create_virtual_host(name).await,
        Action::SetLogin { number, username, virtual_host } => {
            let Some(login) = embedded.logins.iter().find(|login| login.number == *number) else { return Ok(()) };
            management.set_user(username, &login.password, virtual_host).await
        }
        Action::Grow { node } => {
            let staying = staying(object, embedded, known);
            let queues = growth(known, &staying).remove(node.as_str()).unwrap_or_default();
            each(queues, |queue| management.add_member(queue, node)).await
        }
        Action::Rebalance => management.rebalance().await,
        Action::Shrink { node } => {
            let has = |queue: &&Queue| queue.members.iter().any(|member| member == node);
            each(quorum_queues(known).filter(has), |queue| management.delete_member(queue, node)).await
        }
        Action::Move { virtual_host, queue } => move_queue(object, embedded, known, virtual_host, queue).await,
        Action::NoteLeaving { nodes } => management.set_leaving(nodes).await,
        Action::EnableFeature { name } => management.enable_feature(name).await,
    }
}

/// Tells the broker something about each queue, within a turn. One that is in trouble does not keep the others from it, in this
/// turn or in the next, which begins behind the last one that was told.
async fn each<'a, F: Future<Output = Result<(), Failure>>>(
    queues: impl IntoIterator<Item = &'a Queue>,
    tell: impl Fn(&'a Queue) -> F,
) -> Result<(), Failure> {
    static BEGIN: AtomicUsize = AtomicUsize::new(0);
    let mut queues: Vec<&Queue> = queues.into_iter().collect();
    let begin = BEGIN.load(Ordering::Relaxed);
    let count = queues.len().max(1);
    queues.rotate_left(begin % count);
    let until = Instant::now() + TURN;
    let mut first = Ok(());
    for (number, queue) in queues.into_iter().enumerate() {
        if Instant::now() > until {
            BEGIN.store(begin.wrapping_add(number), Ordering::Relaxed);
            break;
        }
        first = first.and(tell(queue).await);
    }
    first
}

/// A connection to a node that stays puts the queue there.
async fn move_queue(
    object: &MessageQueue,
    embedded: &Embedded,
    known: &Known,
    virtual_host: &str,
    name: &str,
) -> Result<(), Failure> {
    let stays = (0..embedded.provider.replicas).find_map(|ordinal| {
        let name = names::pod(object, ordinal);
        embedded.pods.iter().find(|pod| pod.name == name && pod.ready)?.ip.clone()
    });
    let Some(stays) = stays else { return Ok(()) };
    let listed = known.queues.iter().find(|queue| queue.vhost == virtual_host && queue.name == name);
    // One that was deleted in the middle of its move is known by its note.
    let noted = || Queue { vhost: virtual_host.to_owned(), name: name.to_owned(), ..Queue::default() };
    moving::advance(known, &listed.cloned().unwrap_or_else(noted), &stays).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{classic_queue, known, login, node, of_size, quorum_queue, user, well};

    fn told(object: &MessageQueue, embedded: Embedded) -> Vec<String> {
        actions(object, &crate::fixture::observed(embedded)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_cluster_that_is_as_it_should_be_is_told_nothing() {
        let object = of_size(3);
        let mut embedded = well(&object, 3);
        known(&mut embedded).queues = vec![quorum_queue("q", &[0, 1, 2]), classic_queue("c", 2)];
        assert!(told(&object, embedded).is_empty());
    }

    #[test]
    fn a_queue_whose_name_no_url_has_is_skipped() {
        let object = of_size(3);
        let mut embedded = well(&object, 3);
        known(&mut embedded).queues = vec![quorum_queue("..", &[0]), quorum_queue("q", &[0, 1])];
        let grow = format!("grow queues onto {}", node(2));
        assert_eq!(told(&object, embedded), [grow, "rebalance the leaders of queues".to_owned()]);
    }

    #[tokio::test(start_paused = true)]
    async fn queues_that_take_the_whole_turn_do_not_starve_the_others() {
        let queues = ["a", "b", "c", "d"].map(|name| quorum_queue(name, &[0]));
        let told = std::sync::Mutex::new(std::collections::BTreeSet::new());
        for _ in 0..4 {
            let tell = |queue: &Queue| {
                told.lock().unwrap().insert(queue.name.clone());
                async {
                    tokio::time::sleep(TURN + Duration::from_secs(1)).await;
                    Ok(())
                }
            };
            each(&queues, tell).await.unwrap();
        }
        assert_eq!(told.into_inner().unwrap().len(), 4);
    }

    #[test]
    fn a_new_cluster_gets_virtual_host_and_login() {
        let object = of_size(1);
        let mut embedded = well(&object, 1);
        known(&mut embedded).default_queue_type = None;
        known(&mut embedded).users.clear();
        assert_eq!(told(&object, embedded), ["create virtual host temporal", "set login temporal_a on temporal"]);
    }

    #[test]
    fn a_login_with_more_power_than_it_should_have_is_corrected() {
        let object = of_size(1);
        let mut embedded = well(&object, 1);
        known(&mut embedded).users[0].tags = vec!["administrator".to_owned()];
        assert_eq!(told(&object, embedded), ["set login temporal_a on temporal"]);
    }

    #[test]
    fn the_next_login_waits_for_those_who_still_use_its_name() {
        let object = of_size(1);
        let mut embedded = well(&object, 1);
        embedded.logins.push(login(2, "temporal_b"));
        known(&mut embedded).connections = 1;
        assert!(told(&object, embedded).is_empty());
    }

    #[test]
    fn nodes_that_joined_get_members_of_all_queues_and_then_leaders() {
        let object = of_size(3);
        let mut embedded = well(&object, 3);
        known(&mut embedded).queues = vec![quorum_queue("q", &[0])];
        let grow = |ordinal| format!("grow queues onto {}", node(ordinal));
        assert_eq!(told(&object, embedded), [grow(1), grow(2), "rebalance the leaders of queues".to_owned()]);
    }

    #[test]
    fn a_queue_gets_no_more_members_than_it_was_declared_for() {
        let object = of_size(3);
        let mut embedded = well(&object, 3);
        let mut queue = quorum_queue("q", &[0]);
        queue.arguments.insert("x-quorum-initial-group-size".to_owned(), 2.into());
        known(&mut embedded).queues = vec![queue];
        assert_eq!(told(&object, embedded)[0], format!("grow queues onto {}", node(1)));

        let mut embedded = well(&object, 3);
        let mut queue = quorum_queue("q", &[0]);
        queue.arguments.insert("x-quorum-initial-group-size".to_owned(), 1.into());
        known(&mut embedded).queues = vec![queue];
        assert!(told(&object, embedded).is_empty());
    }

    #[test]
    fn nothing_begins_to_leave_while_one_of_those_that_are_too_many_cannot() {
        let object = of_size(1);
        let mut embedded = well(&object, 3);
        let stream = Queue { kind: "stream".to_owned(), members: vec![node(1)], ..quorum_queue("s", &[1]) };
        known(&mut embedded).queues = vec![quorum_queue("q", &[0, 1]), stream];
        assert!(told(&object, embedded).is_empty());
    }

    #[test]
    fn members_on_a_node_that_is_gone_for_good_are_taken_off_first() {
        let object = of_size(3);
        let mut embedded = well(&object, 3);
        known(&mut embedded).nodes.pop();
        known(&mut embedded).queues = vec![quorum_queue("q", &[0, 1, 2])];
        assert_eq!(told(&object, embedded), [format!("shrink queues off {}", node(2))]);
    }

    #[test]
    fn before_a_node_leaves_its_queues_go_one_kind_after_the_other() {
        let object = of_size(1);
        let mut embedded = well(&object, 3);
        known(&mut embedded).queues = vec![quorum_queue("q", &[0, 1, 2]), classic_queue("c", 2)];
        assert_eq!(told(&object, embedded), [format!("shrink queues off {}", node(2))]);

        let mut embedded = well(&object, 3);
        known(&mut embedded).queues = vec![quorum_queue("q", &[0, 1]), classic_queue("c", 2), classic_queue("d", 0)];
        assert_eq!(told(&object, embedded), ["move classic queue c of temporal"]);

        let mut embedded = well(&object, 3);
        known(&mut embedded).queues = vec![quorum_queue("q", &[0, 1]), classic_queue("d", 0)];
        assert_eq!(told(&object, embedded), [format!("note that {} is to leave", node(2))]);
    }

    #[test]
    fn a_queue_with_consumers_is_not_moved() {
        let object = of_size(1);
        let mut embedded = well(&object, 3);
        let queue = Queue { consumers: 1, ..classic_queue("c", 2) };
        known(&mut embedded).queues = vec![queue];
        assert!(told(&object, embedded).is_empty());
    }

    #[test]
    fn a_move_that_was_begun_waits_for_consumers_too() {
        let object = of_size(1);
        let mut embedded = well(&object, 3);
        let note = serde_json::json!({
            "virtual_host": "temporal", "name": "c", "from": node(2), "arguments": {}, "bindings": [],
        });
        known(&mut embedded).moves = Move::of_note(&note).into_iter().collect();
        known(&mut embedded).queues = vec![Queue { consumers: 1, ..classic_queue("c", 2) }];
        assert!(told(&object, embedded).is_empty());

        let mut embedded = well(&object, 3);
        known(&mut embedded).moves = Move::of_note(&note).into_iter().collect();
        known(&mut embedded).queues = vec![Queue { consumers: 1, ..classic_queue("c", 0) }];
        assert_eq!(told(&object, embedded), ["move classic queue c of temporal"]);
    }

    #[test]
    fn nothing_leaves_while_a_node_is_away() {
        let object = of_size(1);
        let mut embedded = well(&object, 3);
        known(&mut embedded).nodes[0].running = false;
        known(&mut embedded).queues = vec![quorum_queue("q", &[0, 1, 2])];
        assert!(told(&object, embedded).is_empty());
    }

    #[test]
    fn a_leave_that_is_no_longer_wanted_is_taken_back() {
        let object = of_size(3);
        let mut embedded = well(&object, 3);
        known(&mut embedded).leaving = vec![node(2)];
        known(&mut embedded).users = vec![user("temporal_a")];
        assert_eq!(told(&object, embedded), ["note that no node is to leave"]);
    }
}
