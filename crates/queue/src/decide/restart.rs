//! Whether a pod may be restarted now. Why not is in `quorum.rs`, `risk`.

use temporal_stack_common::component::Gate;

use super::quorum::Quorum;
use crate::reason;

/// One node may restart when the others keep every majority. A single node has no better moment: its restart is always an outage,
/// which the condition reports.
pub(super) fn gate(quorum: &Quorum) -> Gate {
    match quorum.reason {
        reason::MAJORITY_REMAINS | reason::SINGLE_NODE => Gate::Open,
        _ => Gate::Closed(quorum.message.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_restarts_only_while_the_others_keep_the_majority() {
        let gate = |reason| gate(&Quorum { reason, message: "why".to_owned() });
        assert_eq!(gate(reason::MAJORITY_REMAINS), Gate::Open);
        assert_eq!(gate(reason::SINGLE_NODE), Gate::Open);
        for reason in [
            reason::NODES_MISSING,
            reason::PARTITIONED,
            reason::QUORUM_CRITICAL,
            reason::CHILDREN_NOT_READY,
            reason::BROKER_UNREACHABLE,
        ] {
            assert_eq!(gate(reason), Gate::Closed("why".to_owned()));
        }
    }
}
