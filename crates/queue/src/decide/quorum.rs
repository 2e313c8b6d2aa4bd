//! Whether one more node can fail without loss or interruption.

use std::collections::BTreeMap;

use temporal_stack_common::condition::{Reason, Statement};

use super::scale::Scale;
use crate::{
    names::{self, Names},
    observed::{Broker, Embedded, Known},
    rabbit::{Node, Queue, QueueName},
    reason,
};

/// Whether one more node can fail.
const QUORUM_SAFE: &str = "QuorumSafe";

/// The name of the process that coordinates streams, in the list of queues that would lose their majority.
const STREAM_COORDINATOR: &str = "rabbit_stream_coordinator";

/// Whether one more node can fail, with the reason and message of the condition.
#[derive(Debug)]
pub(crate) struct Quorum {
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Quorum {
    /// Decides about an object.
    pub(crate) fn new(names: &Names, scale: &Scale, observed: &Embedded) -> Self {
        let (reason, message) = match &observed.broker {
            Broker::Known(known) => risk(names, scale, observed, known).unwrap_or_else(|| {
                (reason::MAJORITY_REMAINS, "every queue keeps its majority if one node goes down".to_owned())
            }),
            Broker::Absent => (reason::CHILDREN_NOT_READY, "quorum unknown: no node is ready".to_owned()),
            Broker::Silent(failure) => (reason::BROKER_UNREACHABLE, format!("quorum unknown: {failure}")),
        };
        Self { reason, message }
    }

    /// The condition.
    pub(crate) fn statement(&self) -> Statement {
        let state = match self.reason {
            reason::MAJORITY_REMAINS => Statement::holds,
            reason::CHILDREN_NOT_READY | reason::BROKER_UNREACHABLE => Statement::unknown,
            _ => Statement::fails,
        };
        state(QUORUM_SAFE, self.reason, self.message.clone())
    }
}

fn risk(names: &Names, scale: &Scale, observed: &Embedded, known: &Known) -> Option<(Reason, String)> {
    // The API reports the loss of a node some seconds late; its pod shows it at once.
    let has_pod = |node: &str| {
        let pod = names::ordinal(names, node).and_then(|ordinal| observed.pod(&names.pod(ordinal)));
        pod.is_some_and(|pod| pod.is_ready)
    };
    let nodes = |is_meant: &dyn Fn(&Node) -> bool| {
        let nodes = known.nodes.iter().filter(|node| is_meant(node)).map(|node| node.name.as_str());
        nodes.collect::<Vec<_>>().join(", ")
    };
    let unready = nodes(&|node| !has_pod(&node.name));
    let split = nodes(&|node| !node.partitions.is_empty());
    let queues = Queues::new(known);
    let critical = known.at_minimum.iter().filter(|(_, names)| queues.need_a_node_of(names.as_deref()));
    let critical = critical.map(|(pod, _)| pod.as_str()).collect::<Vec<_>>().join(", ");
    if !scale.missing.is_empty() {
        let missing = scale.missing.join(", ");
        return Some((
            reason::NODES_MISSING,
            format!("nodes missing: {missing} must join the cluster; check their pods"),
        ));
    }
    if !scale.down.is_empty() {
        return Some((reason::NODES_MISSING, format!("nodes down: {}; check their pods", scale.down.join(", "))));
    }
    if !unready.is_empty() {
        return Some((reason::NODES_MISSING, format!("nodes without a ready pod: {unready}; check their pods")));
    }
    match known.nodes.len() {
        1 => {
            let message = "single node: a restart is an outage; set spec.provider.rabbitmq.replicas to 3";
            Some((reason::SINGLE_NODE, message.to_owned()))
        }
        _ if !split.is_empty() => {
            let message =
                format!("cluster partitioned: {split} cannot reach all others; check the network between pods");
            Some((reason::PARTITIONED, message))
        }
        2 => Some((
            reason::QUORUM_CRITICAL,
            "no node to spare: a cluster of two nodes needs both for a majority".to_owned(),
        )),
        _ if critical.is_empty() => None,
        _ => {
            let message = format!(
                "quorum critical: queues would lose their majority without {critical}; wait for replicas to catch up"
            );
            Some((reason::QUORUM_CRITICAL, message))
        }
    }
}

/// The queues of a cluster by virtual host and name. A node reports as many names as the broker chooses, so none is searched for.
struct Queues<'a> {
    by_name: BTreeMap<(&'a str, &'a str), &'a Queue>,
    has_stream: bool,
}

impl<'a> Queues<'a> {
    fn new(known: &'a Known) -> Self {
        Self {
            by_name: known.queues.iter().map(|queue| ((queue.vhost.as_str(), queue.name.as_str()), queue)).collect(),
            has_stream: known.queues.iter().any(|queue| queue.kind == "stream"),
        }
    }

    /// Whether queues need a node that reported these. A node that does not answer may be stopping already.
    fn need_a_node_of(&self, at_minimum: Option<&[QueueName]>) -> bool {
        at_minimum.is_none_or(|names| names.iter().any(|name| self.has_majority_to_lose(name)))
    }

    /// Queues declared with fewer than three members never have a spare member.
    fn has_majority_to_lose(&self, name: &QueueName) -> bool {
        match self.by_name.get(&(name.virtual_host.as_str(), name.name.as_str())) {
            Some(queue) => queue.kind == "stream" || queue.members.len() > 2,
            // The coordinator remains after the last stream, but is not needed then.
            None => name.name != STREAM_COORDINATOR || self.has_stream,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::fixture::{healthy, known, names, node, pod, quorum_queue, sized};

    fn quorum(wanted: i32, embedded: &Embedded) -> Quorum {
        Quorum::new(&names(), &Scale::new(&names(), wanted, false, embedded), embedded)
    }

    fn reason_of(quorum: &Quorum) -> &'static str {
        quorum.reason.as_str()
    }

    #[test]
    fn healthy_cluster_of_three_can_spare_one() {
        let quorum = quorum(3, &healthy(&sized(3), 3));
        assert_eq!(reason_of(&quorum), "MajorityRemains");
    }

    #[test]
    fn single_node_is_never_safe() {
        let quorum = quorum(1, &healthy(&sized(1), 1));
        assert_eq!(reason_of(&quorum), "SingleNode");
    }

    #[test]
    fn missing_or_lagging_node_is_reported() {
        let reason = |change: fn(&mut Known)| {
            let mut embedded = healthy(&sized(3), 3);
            change(known(&mut embedded));
            reason_of(&quorum(3, &embedded))
        };
        assert_eq!(reason(|known| known.nodes.truncate(2)), "NodesMissing");
        assert_eq!(reason(|known| known.nodes[1].running = false), "NodesMissing");
        assert_eq!(reason(|known| known.nodes[1].partitions = vec![node(2)]), "Partitioned");
        assert_eq!(reason(|known| drop(known.at_minimum.insert(names().pod(1), None))), "QuorumCritical");
    }

    #[test]
    fn queue_at_minimum_counts_if_it_has_a_majority_to_lose() {
        let reason = |queue, name: &str| {
            let mut embedded = healthy(&sized(3), 3);
            let known = known(&mut embedded);
            known.queues = vec![queue];
            let named = QueueName { virtual_host: "temporal".to_owned(), name: name.to_owned() };
            known.at_minimum.insert(names().pod(1), Some(vec![named]));
            reason_of(&quorum(3, &embedded))
        };
        assert_eq!(reason(quorum_queue("q", &[0, 1, 2]), "q"), "QuorumCritical");
        assert_eq!(reason(quorum_queue("q", &[0, 1]), "q"), "MajorityRemains");
        assert_eq!(reason(quorum_queue("q", &[0, 1]), "new"), "QuorumCritical");
        assert_eq!(reason(quorum_queue("q", &[0, 1]), STREAM_COORDINATOR), "MajorityRemains");
    }

    #[test]
    fn many_queues_at_minimum_are_found_quickly() {
        let mut embedded = healthy(&sized(3), 3);
        let known = known(&mut embedded);
        known.queues = (0..30_000).map(|number| quorum_queue(&format!("q{number}"), &[0, 1])).collect();
        let names: Vec<QueueName> = known.queues.iter().rev().map(Queue::id).collect();
        known.at_minimum.insert(pod(1).name, Some(names));
        let begun = Instant::now();
        assert_eq!(reason_of(&quorum(3, &embedded)), "MajorityRemains");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    #[test]
    fn node_without_a_ready_pod_counts_as_missing() {
        let mut evicted = healthy(&sized(3), 3);
        evicted.pods.remove(1);
        let mut unready = healthy(&sized(3), 3);
        unready.pods[2].is_ready = false;
        for embedded in [evicted, unready] {
            let quorum = quorum(3, &embedded);
            assert_eq!(reason_of(&quorum), "NodesMissing", "although the API still says that it runs");
        }
    }

    #[test]
    fn quorum_of_a_silent_broker_is_unknown() {
        let quorum = quorum(3, &Embedded::default());
        assert_eq!(
            quorum.statement(),
            Statement::unknown(QUORUM_SAFE, reason::CHILDREN_NOT_READY, "quorum unknown: no node is ready")
        );
    }
}
