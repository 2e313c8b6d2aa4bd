//! Why a condition is as it is: the closed list of this component's reasons. Those that all components share, and those of the
//! driver, are in `crates/common/src/condition.rs`.

use temporal_stack_common::condition::Reason;
pub(crate) use temporal_stack_common::condition::reason::*;

/// The server runs but does not answer.
pub(crate) const SERVER_UNREACHABLE: Reason = Reason::new("ServerUnreachable");
/// The database of the binding does not exist.
pub(crate) const DATABASE_MISSING: Reason = Reason::new("DatabaseMissing");
