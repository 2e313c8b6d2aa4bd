//! Whether one more node may go without loss or pause.

use temporal_stack_common::{
    api::MessageQueue,
    component::Gate,
    condition::{Reason, Statement},
};

use crate::{
    names,
    observe::{Broker, Embedded},
    scale,
};

/// Whether one more node may go.
pub(crate) const QUORUM_SAFE: &str = "QuorumSafe";

/// Every queue keeps its majority, and so does the cluster.
const MAJORITY_REMAINS: Reason = Reason::new("MajorityRemains");
/// There is but one node.
const SINGLE_NODE: Reason = Reason::new("SingleNode");
/// Nodes that are wanted have not joined yet, or have gone.
const NODES_MISSING: Reason = Reason::new("NodesMissing");
/// Nodes do not see each other.
const PARTITIONED: Reason = Reason::new("Partitioned");
/// Queues would lose their majority.
const QUEUES_AT_MINIMUM: Reason = Reason::new("QueuesAtMinimum");
/// The cluster cannot be asked.
const UNKNOWN: Reason = Reason::new("NotKnown");

/// The condition.
pub(crate) fn statement(object: &MessageQueue, embedded: &Embedded) -> Statement {
    match danger(object, embedded) {
        None => Statement::holds(QUORUM_SAFE, MAJORITY_REMAINS, "one more node may go"),
        Some((UNKNOWN, message)) => Statement::unknown(QUORUM_SAFE, UNKNOWN, message),
        Some((reason, message)) => Statement::fails(QUORUM_SAFE, reason, message),
    }
}

/// Whether a pod may be restarted. A single node has no other moment than any: its restart is an outage, which is said.
pub(crate) fn gate(object: &MessageQueue, embedded: &Embedded) -> Gate {
    match danger(object, embedded) {
        None | Some((SINGLE_NODE, _)) => Gate::Open,
        Some((_, message)) => Gate::Closed(message),
    }
}

/// Whether what keeps a node from going is expected to pass by itself.
pub(crate) fn is_passing(object: &MessageQueue, embedded: &Embedded) -> bool {
    danger(object, embedded).is_some_and(|(reason, _)| reason != SINGLE_NODE)
}

fn danger(object: &MessageQueue, embedded: &Embedded) -> Option<(Reason, String)> {
    let known = match &embedded.broker {
        Broker::Known(known) => known,
        Broker::Absent => return Some((UNKNOWN, "no node is ready".to_owned())),
        Broker::Silent(failure) => return Some((UNKNOWN, format!("the cluster cannot be asked: {failure}"))),
    };
    let named = |names: &[String]| names.join(", ");
    let missing = scale::missing(object, &embedded.provider, known);
    if !missing.is_empty() {
        return Some((NODES_MISSING, format!("no members of the cluster yet: {}", named(&missing))));
    }
    let down: Vec<String> = known.nodes.iter().filter(|node| !node.running).map(|node| node.name.clone()).collect();
    if !down.is_empty() {
        return Some((NODES_MISSING, format!("does not run: {}", named(&down))));
    }
    // The API says some seconds late that a node has gone; its pod says it at once.
    let without_pod: Vec<String> = known
        .nodes
        .iter()
        .filter(|node| {
            let pod = scale::ordinal(object, &node.name).map(|ordinal| names::pod(object, ordinal));
            !embedded.pods.iter().any(|has| Some(&has.name) == pod.as_ref() && has.ready)
        })
        .map(|node| node.name.clone())
        .collect();
    if !without_pod.is_empty() {
        return Some((NODES_MISSING, format!("no pod is ready of: {}", named(&without_pod))));
    }
    if known.nodes.len() == 1 {
        let message = "there is one node, so a restart is an outage; set spec.provider.rabbitmq.replicas to 3";
        return Some((SINGLE_NODE, message.to_owned()));
    }
    let split: Vec<String> =
        known.nodes.iter().filter(|node| !node.partitions.is_empty()).map(|node| node.name.clone()).collect();
    if !split.is_empty() {
        let message = format!("does not see all others: {}; look at the network between the pods", named(&split));
        return Some((PARTITIONED, message));
    }
    if known.nodes.len() == 2 {
        return Some((NODES_MISSING, "there are two nodes, of which both are needed".to_owned()));
    }
    (!known.critical.is_empty()).then(|| {
        let message = format!(
            "queues would lose their majority without: {}; they catch up by themselves",
            named(&known.critical)
        );
        (QUEUES_AT_MINIMUM, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixture::{known, node, of_size, unmade, well},
        observe::Embedded,
    };

    fn reason_of(object: &MessageQueue, embedded: &Embedded) -> &'static str {
        danger(object, embedded).map_or("MajorityRemains", |(reason, _)| reason.as_str())
    }

    #[test]
    fn three_nodes_that_are_well_can_spare_one() {
        let object = of_size(3);
        assert_eq!(reason_of(&object, &well(&object, 3)), "MajorityRemains");
        assert_eq!(gate(&object, &well(&object, 3)), Gate::Open);
    }

    #[test]
    fn a_single_node_is_never_safe_and_may_be_restarted() {
        let object = of_size(1);
        assert_eq!(reason_of(&object, &well(&object, 1)), "SingleNode");
        assert_eq!(gate(&object, &well(&object, 1)), Gate::Open);
    }

    #[test]
    fn what_is_missing_or_behind_keeps_the_others_from_going() {
        let object = of_size(3);
        let of = |change: fn(&mut crate::observe::Known)| {
            let mut embedded = well(&object, 3);
            change(known(&mut embedded));
            assert!(matches!(gate(&object, &embedded), Gate::Closed(_)));
            reason_of(&object, &embedded)
        };
        assert_eq!(of(|known| known.nodes.truncate(2)), "NodesMissing");
        assert_eq!(of(|known| known.nodes[1].running = false), "NodesMissing");
        assert_eq!(of(|known| known.nodes[1].partitions = vec![node(2)]), "Partitioned");
        assert_eq!(of(|known| known.critical = vec![node(1)]), "QueuesAtMinimum");
        assert_eq!(reason_of(&object, &unmade(&object)), "NotKnown");
    }

    #[test]
    fn a_node_whose_pod_has_gone_or_is_not_ready_counts_as_missing() {
        let object = of_size(3);
        let mut evicted = well(&object, 3);
        evicted.pods.remove(1);
        let mut unready = well(&object, 3);
        unready.pods[2].ready = false;
        for embedded in [evicted, unready] {
            assert_eq!(reason_of(&object, &embedded), "NodesMissing", "although the API still says that it runs");
            assert!(matches!(gate(&object, &embedded), Gate::Closed(_)));
        }
    }

    #[test]
    fn what_cannot_be_asked_is_unknown() {
        let object = of_size(3);
        let unknown = Statement::unknown(QUORUM_SAFE, UNKNOWN, "no node is ready");
        assert_eq!(statement(&object, &unmade(&object)), unknown);
    }
}
