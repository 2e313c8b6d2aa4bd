//! The members of quorum queues: on all staying nodes, and on no others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    act::{Change, Members},
    names::{self, Names},
    observed::Known,
    rabbit::{Queue, QueueName},
};

/// How many lost nodes are cleared in a pass: as many as a cluster has.
const LOST: usize = 5;

/// The changes: members on nodes that have left the cluster are removed, and nodes that joined get members.
pub(super) fn changes(names: &Names, wanted: i32, known: &Known) -> Vec<Change> {
    let shrink = lost(known).into_iter().take(LOST).map(|(node, queues)| shrunk(node, queues.into_iter()));
    let grow: Vec<Change> = growth(known, &staying(names, wanted, known))
        .into_iter()
        .map(|(node, queues)| Change::Grow(Members { node: node.to_owned(), queues }))
        .collect();
    let rebalance = (!grow.is_empty()).then_some(Change::Rebalance);
    shrink.chain(grow).chain(rebalance).collect()
}

/// Removes the members of quorum queues from a node.
pub(super) fn shrink(known: &Known, node: &str) -> Change {
    shrunk(node, quorum_queues(known).filter(|queue| queue.is_bound_to(node)))
}

fn shrunk<'a>(node: &str, queues: impl Iterator<Item = &'a Queue>) -> Change {
    Change::Shrink(Members { node: node.to_owned(), queues: queues.map(Queue::id).collect() })
}

/// The nodes that are not in the cluster, each with the queues that have a member there. The broker determines how many there
/// are, so the lists are compared as sets.
fn lost(known: &Known) -> BTreeMap<&str, Vec<&Queue>> {
    let nodes: BTreeSet<&str> = known.nodes.iter().map(|node| node.name.as_str()).collect();
    let mut lost: BTreeMap<&str, Vec<&Queue>> = BTreeMap::new();
    for queue in quorum_queues(known) {
        for member in members(queue).difference(&nodes) {
            lost.entry(member).or_default().push(queue);
        }
    }
    lost
}

fn members(queue: &Queue) -> BTreeSet<&str> {
    queue.members.iter().map(String::as_str).collect()
}

/// Without queues that the API cannot address, which conditions name.
fn quorum_queues(known: &Known) -> impl Iterator<Item = &Queue> {
    known.queues.iter().filter(|queue| queue.kind == "quorum" && queue.has_url())
}

/// Nodes that run and stay.
fn staying<'a>(names: &Names, wanted: i32, known: &'a Known) -> BTreeSet<&'a str> {
    let running = known.nodes.iter().filter(|node| node.running && !node.being_drained).map(|node| node.name.as_str());
    running.filter(|node| names::ordinal(names, node).is_some_and(|ordinal| ordinal < wanted)).collect()
}

/// The queues without a member on each node: all must have one everywhere, unless they were declared for fewer.
fn growth<'a>(known: &'a Known, staying: &BTreeSet<&'a str>) -> BTreeMap<&'a str, Vec<QueueName>> {
    let mut growth: BTreeMap<&str, Vec<QueueName>> = BTreeMap::new();
    for queue in quorum_queues(known) {
        let declared = queue.arguments.get("x-quorum-initial-group-size").and_then(Value::as_u64);
        let most = declared.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX).min(staying.len());
        let members = members(queue);
        let has = staying.intersection(&members).count();
        for node in staying.difference(&members).take(most.saturating_sub(has)) {
            growth.entry(node).or_default().push(queue.id());
        }
    }
    growth
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{
        fixture::{names, node, quorum_queue},
        rabbit::Node,
    };

    /// A cluster of one node, with these queues.
    fn cluster(queues: Vec<Queue>) -> Known {
        let nodes = vec![Node { name: node(0), running: true, ..Node::default() }];
        Known { nodes, queues, ..Known::default() }
    }

    /// The nodes that are cleared, each with the number of its queues.
    fn cleared(known: &Known) -> Vec<(String, usize)> {
        let changes = changes(&names(), 1, known);
        let shrink = changes.into_iter().filter_map(|change| match change {
            Change::Shrink(Members { node, queues, .. }) => Some((node, queues.len())),
            _ => None,
        });
        shrink.collect()
    }

    #[test]
    fn lost_node_is_cleared_of_each_queue_once() {
        let twice = Queue { members: vec![node(0), node(1), node(1)], ..quorum_queue("twice", &[]) };
        let known = cluster(vec![quorum_queue("all", &[0, 1, 2]), quorum_queue("here", &[0]), twice]);
        assert_eq!(cleared(&known), [(node(1), 2), (node(2), 1)]);
    }

    #[test]
    fn long_lists_of_nodes_and_members_are_compared_quickly() {
        let many = 20_000;
        let queue = |number| Queue { members: vec![format!("lost-{number}")], ..quorum_queue("q", &[]) };
        let mut known = cluster((0..many).map(queue).collect());
        known.nodes.extend((0..many).map(|number| Node { name: format!("node-{number}"), ..Node::default() }));
        let begun = Instant::now();
        assert_eq!(cleared(&known).len(), LOST);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}
