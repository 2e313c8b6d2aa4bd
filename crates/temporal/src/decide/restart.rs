//! Whether a pod may be restarted now.

use temporal_stack_common::component::Gate;

/// The gate is always open: a Deployment deletes a pod only when the new one is ready, and krab, the key server, has one pod, whose
/// restart has no better moment. What holds a restart back is the step: a part whose step is not reached keeps its pods as they
/// are (`order.rs`, and `deployment` in `desire.rs`).
pub(super) fn gate() -> Gate {
    Gate::Open
}
