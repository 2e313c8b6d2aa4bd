//! Whether the pod may be restarted now.

use temporal_stack_common::component::Gate;

/// The gate is always open: a single server has no better moment, its restart is always an outage. The driver decides whether a newer
/// template is rolled out (`spec.rollout`), and restarts no pod while another is not ready (`crates/common/src/driver/restart.rs`).
pub(super) fn gate() -> Gate {
    Gate::Open
}
