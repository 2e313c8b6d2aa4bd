//! The changes to a node's queues before it leaves the cluster.

use std::collections::HashMap;

use temporal_stack_common::http::is_segment;

use crate::{
    act::Change,
    observed::Known,
    rabbit::{Details, Move, Queue},
};

/// A queue whose messages are larger than this on average is not moved, because that would take long. In bytes.
const LARGE: u64 = 1 << 20;
/// Arguments of classic queues that a move preserves.
const KEPT_ARGUMENTS: [&str; 8] = [
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-message-ttl",
    "x-overflow",
    "x-queue-type",
    "x-queue-version",
];
/// The same of policies.
const KEPT_POLICIES: [&str; 7] =
    ["expires", "max-length", "max-length-bytes", "message-ttl", "overflow", "queue-version", "delivery-limit"];

/// Why the controller cannot move a queue off a node by itself, with the remedy.
pub(super) fn blocker(queue: &Queue) -> Option<String> {
    let blocker = |text: &str| Some(text.to_owned());
    if !queue.has_url() {
        return blocker(
            "has a name that the management API cannot address; delete it, or move its messages to another queue",
        );
    }
    match queue.kind.as_str() {
        "quorum" => return None,
        "classic" => {}
        _ => return blocker("cannot be moved; delete it, or remove its replica with rabbitmq-streams delete_replica"),
    }
    if queue.auto_delete {
        return blocker("is deleted with its last consumer; stop its consumers");
    }
    let unknown = Details::default();
    let details = queue.details.as_ref().unwrap_or(&unknown);
    if !details.consumers.is_empty() {
        return blocker("has consumers; stop them until the queue has moved");
    }
    if queue.messages_unacknowledged > 0 {
        return blocker("has unacknowledged messages; stop the consumers that hold them");
    }
    if details.bytes_per_message() > LARGE {
        return blocker("has messages of more than 1 MiB; consume them");
    }
    let declared = queue.arguments.keys().find(|key| !KEPT_ARGUMENTS.contains(&key.as_str()));
    let policy = details.policy.keys().find(|key| !KEPT_POLICIES.contains(&key.as_str()));
    let overflow = queue.arguments.get("x-overflow").is_some_and(|value| value == "reject-publish-dlx");
    let key = declared.or(policy).map(String::as_str).or_else(|| overflow.then_some("x-overflow"))?;
    Some(format!("has {key}, with which a move could change how its messages are delivered; consume and delete it"))
}

/// The changes, in steps: moves that have begun, then the queues of the leaver, if it can leave. `host` is a staying node to
/// which queues are moved.
pub(super) fn changes(known: &Known, leaver: Option<&str>, host: Option<&str>) -> Vec<Change> {
    let begun: HashMap<Name<'_>, &Move> = known.notes.moves.iter().map(|begun| (name_of_move(begun), begun)).collect();
    // Queues at the node that they were to leave.
    let is_at_home =
        |queue: &&Queue| begun.get(&name_of(queue)).is_some_and(|begun| queue.node.as_ref() == Some(&begun.from));
    let at_home: HashMap<Name<'_>, &Queue> =
        known.queues.iter().filter(is_at_home).map(|queue| (name_of(queue), queue)).collect();
    let resumed = known.notes.moves.iter().filter(|begun| is_segment(&begun.virtual_host) && is_segment(&begun.name));
    let resumed = resumed.filter_map(|begun| resume(begun, at_home.get(&name_of_move(begun)).copied()));
    let mut moves: Vec<(Move, bool)> = resumed.map(|resumed| (resumed, true)).collect();
    let mut shrink = None;
    if let Some(leaver) = leaver {
        let bound: Vec<&Queue> = known.queues.iter().filter(|queue| queue.is_bound_to(leaver)).collect();
        if bound.iter().any(|queue| queue.kind == "quorum") {
            shrink = Some(super::members::shrink(known, leaver));
        } else {
            let new = bound.into_iter().filter(|queue| !begun.contains_key(&name_of(queue)));
            moves.extend(new.map(|queue| (begin(queue), false)));
        }
    }
    let moves = moves
        .into_iter()
        .filter_map(|(queue, is_begun)| Some(Change::Move { queue, is_begun, host: host?.to_owned() }));
    moves.chain(shrink).collect()
}

/// A virtual host, and a queue there.
type Name<'a> = (&'a str, &'a str);

fn name_of(queue: &Queue) -> Name<'_> {
    (&queue.vhost, &queue.name)
}

fn name_of_move(begun: &Move) -> Name<'_> {
    (&begun.virtual_host, &begun.name)
}

/// A move that has begun, to be continued. A move whose queue has new consumers waits, and is named in the condition.
fn resume(begun: &Move, at_home: Option<&Queue>) -> Option<Move> {
    match at_home {
        Some(queue) if blocker(queue).is_some() => None,
        // It may have been declared again since, with other arguments.
        Some(queue) => Some(Move { arguments: queue.arguments.clone(), ..begun.clone() }),
        None => Some(begun.clone()),
    }
}

/// A new move of a queue. Its bindings are read when it begins.
fn begin(queue: &Queue) -> Move {
    Move {
        virtual_host: queue.vhost.clone(),
        name: queue.name.clone(),
        from: queue.node.clone().unwrap_or_default(),
        arguments: queue.arguments.clone(),
        bindings: Vec::new(),
    }
}
