//! Why a condition is as it is: the closed list of this component's reasons. Those that all components share, and those of the
//! driver, are in `crates/common/src/condition.rs`.

use temporal_stack_common::condition::Reason;
pub(crate) use temporal_stack_common::condition::reason::*;

/// Nodes wait for a member of the cluster that has data.
pub(crate) const NO_RUNNING_MEMBER: Reason = Reason::new("NoRunningMember");
/// Publishers are blocked, because a node uses too much memory.
pub(crate) const MEMORY_ALARM: Reason = Reason::new("MemoryAlarm");
/// Publishers are blocked, because a volume is nearly full.
pub(crate) const DISK_ALARM: Reason = Reason::new("DiskAlarm");
/// Queues have no majority.
pub(crate) const QUEUES_UNAVAILABLE: Reason = Reason::new("QueuesUnavailable");
/// Every queue keeps its majority, and so does the cluster.
pub(crate) const MAJORITY_REMAINS: Reason = Reason::new("MajorityRemains");
/// The cluster has one node.
pub(crate) const SINGLE_NODE: Reason = Reason::new("SingleNode");
/// Desired nodes have not joined yet, or do not run.
pub(crate) const NODES_MISSING: Reason = Reason::new("NodesMissing");
/// Nodes do not see each other.
pub(crate) const PARTITIONED: Reason = Reason::new("Partitioned");
/// The cluster, or some of its queues, would lose their majority with one more node.
pub(crate) const QUORUM_CRITICAL: Reason = Reason::new("QuorumCritical");
/// Nodes are joining or leaving.
pub(crate) const SCALING: Reason = Reason::new("Scaling");
/// A node cannot leave until the user acts on a queue.
pub(crate) const SCALE_DOWN_BLOCKED: Reason = Reason::new("ScaleDownBlocked");
/// A queue has a name that the management API has no URL for.
pub(crate) const UNSUPPORTED_QUEUE_NAME: Reason = Reason::new("UnsupportedQueueName");
/// The virtual host was not created by the controller, and has another default queue type than `quorum`.
pub(crate) const DEFAULT_TYPE_NOT_QUORUM: Reason = Reason::new("DefaultTypeNotQuorum");
/// The virtual host of the binding does not exist, or the login has no access to it.
pub(crate) const VIRTUAL_HOST_REFUSED: Reason = Reason::new("VirtualHostRefused");
