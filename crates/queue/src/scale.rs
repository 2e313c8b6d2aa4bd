//! How many nodes there are to be, and what must happen before one may leave.
//!
//! A node that leaves does so by itself while it runs: only then is nothing of it left behind, in the cluster or on its volume.
//!
//! ```text
//!   its members of quorum queues are taken off ─▶ its classic queues are moved ─▶ the broker notes that it is to leave
//!     ─▶ the set has one node less ─▶ as it stops, it reads the note and leaves (leave.sh) ─▶ the next one
//! ```
//!
//! A node whose leave went wrong is still a member, so the set has it again, and all begins anew.

use temporal_stack_common::api::{MessageQueue, RabbitmqProvider};

use crate::{
    names::{self, MOST_NODES},
    observe::{Embedded, Known},
    rabbit::Queue,
};

/// Messages larger than this are not moved: a number of them is held in memory at once. In bytes.
const LARGE: u64 = 1 << 20;
/// What a classic queue may have been declared with that does no harm to a move.
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

/// How many nodes the set is to have now.
pub(crate) fn replicas(object: &MessageQueue, embedded: &Embedded) -> i32 {
    if embedded.must_stop() {
        return 0;
    }
    let wanted = embedded.provider.replicas;
    let last_of = |members: &mut dyn Iterator<Item = &String>| {
        members.filter_map(|member| ordinal(object, member)).max().map_or(0, |last| last + 1)
    };
    let Some(known) = embedded.known() else {
        // Members that are too many are needed, too, when the rest has no majority without them: after a full stop, or when
        // one was killed while it left. One that is still stopping is left to it.
        let has = embedded.replicas.unwrap_or(0);
        let is_stopping = |ordinal: i32| embedded.pods.iter().any(|pod| pod.name == names::pod(object, ordinal));
        let members = last_of(&mut embedded.members.iter().flatten());
        return wanted.max(has).max(if (has..members).any(is_stopping) { 0 } else { members });
    };
    let gone = leaver(object, &embedded.provider, known).filter(|leaver| may_go(object, embedded, known, leaver));
    let members = known.nodes.iter().map(|node| &node.name);
    wanted.max(last_of(&mut members.filter(|name| Some(*name) != gone.as_ref())))
}

/// The nodes that are too many, in the order of leaving: the last one first.
pub(crate) fn leavers(object: &MessageQueue, provider: &RabbitmqProvider, known: &Known) -> Vec<String> {
    let members = known.nodes.iter().filter_map(|node| Some((ordinal(object, &node.name)?, &node.name)));
    let mut leavers: Vec<_> = members.filter(|(ordinal, _)| *ordinal >= provider.replicas).collect();
    leavers.sort_by_key(|(ordinal, _)| std::cmp::Reverse(*ordinal));
    leavers.into_iter().map(|(_, name)| name.clone()).collect()
}

/// The node that is to leave next.
pub(crate) fn leaver(object: &MessageQueue, provider: &RabbitmqProvider, known: &Known) -> Option<String> {
    leavers(object, provider, known).into_iter().next()
}

/// What keeps nodes from leaving that the user must do something about. A cluster is not to stop half-way, with two nodes of
/// which both are needed, so all that are too many count.
pub(crate) fn in_the_way(object: &MessageQueue, provider: &RabbitmqProvider, known: &Known) -> Vec<String> {
    let leavers = leavers(object, provider, known);
    let bound = known.queues.iter().filter(|queue| leavers.iter().any(|leaver| queue.is_bound_to(leaver)));
    bound.filter_map(|queue| Some(format!("{} queue {} {}", queue.kind, queue.title(), queue.obstacle()?))).collect()
}

/// Whether all is done that must be done while it runs, and it has not stopped without leaving.
fn may_go(object: &MessageQueue, embedded: &Embedded, known: &Known, leaver: &str) -> bool {
    let pod = ordinal(object, leaver).map(|ordinal| names::pod(object, ordinal));
    let has_pod = embedded.pods.iter().any(|there| Some(&there.name) == pod.as_ref());
    // One that goes while another is away could take a majority with it.
    let is_time = all_run(known) || is_going(object, embedded, leaver);
    has_pod && is_time && known.leaving.iter().any(|node| node == leaver) && is_clear(known, leaver)
}

/// Whether no queue is bound to a node.
pub(crate) fn is_clear(known: &Known, node: &str) -> bool {
    !known.queues.iter().any(|queue| queue.is_bound_to(node)) && known.moves.is_empty()
}

/// Which nodes the broker is to note as leaving.
pub(crate) fn leaving(object: &MessageQueue, embedded: &Embedded, known: &Known) -> Vec<String> {
    let leaver = leaver(object, &embedded.provider, known).filter(|leaver| is_clear(known, leaver));
    let is_time = || all_run(known) && in_the_way(object, &embedded.provider, known).is_empty();
    leaver.filter(|leaver| is_going(object, embedded, leaver) || is_time()).into_iter().collect()
}

/// Whether a node that is to leave has been told to stop.
fn is_going(object: &MessageQueue, embedded: &Embedded, leaver: &str) -> bool {
    ordinal(object, leaver).zip(embedded.replicas).is_some_and(|(ordinal, replicas)| ordinal >= replicas)
}

/// Whether all members run.
pub(crate) fn all_run(known: &Known) -> bool {
    known.nodes.iter().all(|node| node.running)
}

/// Nodes that are wanted and are no members yet.
pub(crate) fn missing(object: &MessageQueue, provider: &RabbitmqProvider, known: &Known) -> Vec<String> {
    let wanted = (0..provider.replicas).map(|ordinal| names::node(object, ordinal));
    wanted.filter(|name| !known.nodes.iter().any(|node| node.name == *name)).collect()
}

/// The ordinal of the pod that a node is in.
pub(crate) fn ordinal(object: &MessageQueue, node: &str) -> Option<i32> {
    (0..MOST_NODES).find(|ordinal| names::node(object, *ordinal) == node)
}

impl Queue {
    /// Whether a node cannot go without it: a member of it is there, or it is there alone and outlives its connections.
    pub(crate) fn is_bound_to(&self, node: &str) -> bool {
        match self.kind.as_str() {
            "quorum" => self.members.iter().any(|member| member == node),
            // A stream whose members are not known may be anywhere.
            "stream" => self.members.is_empty() || self.members.iter().any(|member| member == node),
            _ => self.node.as_deref() == Some(node) && self.durable && !self.exclusive,
        }
    }

    /// Why the controller cannot take it off a node by itself, and what the user can do.
    pub(crate) fn obstacle(&self) -> Option<String> {
        let told = |text: &str| Some(text.to_owned());
        if !self.has_url() {
            return told(
                "cannot be asked for by its name; delete it, or move what is in it to a queue of another name",
            );
        }
        match self.kind.as_str() {
            "quorum" => return None,
            "classic" => {}
            _ => {
                return told("cannot be moved; delete it, or take its member off with rabbitmq-streams delete_replica");
            }
        }
        if self.auto_delete {
            return told("goes with its last consumer; end its consumers");
        }
        if self.consumers > 0 {
            return told("has consumers; stop them, and let them come back when it has moved");
        }
        if self.messages_unacknowledged > 0 {
            return told("has messages that were not acknowledged; end whoever has them");
        }
        if self.bytes_per_message > LARGE {
            return told("has messages of more than a megabyte; consume them");
        }
        let declared = self.arguments.keys().find(|key| !KEPT_ARGUMENTS.contains(&key.as_str())).cloned();
        let overflow = self.arguments.get("x-overflow").is_some_and(|value| value == "reject-publish-dlx");
        let policy = self.policy.keys().find(|key| !KEPT_POLICIES.contains(&key.as_str())).cloned();
        declared.or(policy).or_else(|| overflow.then(|| "x-overflow".to_owned())).map(|key| {
            format!("has {key}, by which a move would change what becomes of its messages; consume and delete it")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixture::{classic_queue, known, node, of_size, pod, quorum_queue, unmade, well},
        observe::Broker,
    };

    #[test]
    fn more_nodes_are_made_at_once() {
        assert_eq!(replicas(&of_size(3), &well(&of_size(3), 1)), 3);
        assert_eq!(replicas(&of_size(5), &unmade(&of_size(5))), 5);
    }

    #[test]
    fn a_node_stays_until_it_is_noted_as_leaving_and_no_queue_is_bound_to_it() {
        let object = of_size(1);
        let mut embedded = well(&object, 3);
        assert_eq!(leaver(&object, &embedded.provider, embedded.known().unwrap()), Some(node(2)));
        assert_eq!(replicas(&object, &embedded), 3);
        known(&mut embedded).leaving = vec![node(2)];
        assert_eq!(replicas(&object, &embedded), 2);
        for queue in [quorum_queue("q", &[0, 1, 2]), classic_queue("c", 2)] {
            known(&mut embedded).queues = vec![queue];
            assert_eq!(replicas(&object, &embedded), 3);
        }
    }

    #[test]
    fn a_queue_whose_name_no_url_has_is_named_as_an_obstacle() {
        let object = of_size(1);
        for queue in [quorum_queue("..", &[0, 1, 2]), classic_queue(".", 2)] {
            let mut embedded = well(&object, 3);
            known(&mut embedded).queues = vec![queue];
            let in_the_way = in_the_way(&object, &embedded.provider, embedded.known().unwrap());
            assert!(in_the_way[0].contains("cannot be asked for by its name"), "{in_the_way:?}");
        }
    }

    #[test]
    fn one_leaves_after_the_other() {
        let object = of_size(1);
        let mut embedded = well(&object, 3);
        known(&mut embedded).leaving = vec![node(2), node(1)];
        assert_eq!(replicas(&object, &embedded), 2);
    }

    #[test]
    fn a_node_that_stopped_without_leaving_is_brought_back() {
        let object = of_size(1);
        let mut embedded = well(&object, 3);
        known(&mut embedded).leaving = vec![node(2)];
        embedded.replicas = Some(2);
        assert_eq!(replicas(&object, &embedded), 2, "it is still stopping");
        embedded.pods.pop();
        assert_eq!(replicas(&object, &embedded), 3);
    }

    #[test]
    fn the_note_is_written_when_all_run_and_taken_back_when_a_queue_comes() {
        let object = of_size(1);
        let mut embedded = well(&object, 3);
        let noted = |embedded: &Embedded| leaving(&object, embedded, embedded.known().unwrap());
        assert_eq!(noted(&embedded), [node(2)]);
        known(&mut embedded).nodes[0].running = false;
        assert!(noted(&embedded).is_empty());
        known(&mut embedded).nodes[0].running = true;
        known(&mut embedded).queues = vec![quorum_queue("q", &[0, 2])];
        assert!(noted(&embedded).is_empty());
    }

    #[test]
    fn without_an_answer_no_node_goes_and_those_that_were_members_come_back() {
        let object = of_size(1);
        let silent = |has, pods| Embedded {
            broker: Broker::Absent,
            replicas: Some(has),
            pods: (0..pods).map(|ordinal| pod(&object, ordinal)).collect(),
            ..well(&object, 3)
        };
        assert_eq!(replicas(&object, &silent(3, 3)), 3);
        assert_eq!(replicas(&object, &silent(0, 0)), 3, "after a full stop");
        assert_eq!(replicas(&object, &silent(2, 3)), 2, "the third is stopping");
        assert_eq!(replicas(&object, &silent(2, 2)), 3, "the third is a member, and gone");
    }
}
