//! Why a condition is as it is: the closed list of this component's reasons. Those that all components share, and those of the
//! driver, are in `crates/common/src/condition.rs`.

use temporal_stack_common::condition::Reason;
pub(crate) use temporal_stack_common::condition::reason::*;

/// An account of an administrator does not exist yet, or is not an administrator yet.
pub(crate) const ADMIN_MISSING: Reason = Reason::new("AdminMissing");
/// The tables are being created.
pub(crate) const MIGRATING: Reason = Reason::new("Migrating");
/// The migration has succeeded, but the tables do not exist.
pub(crate) const MIGRATION_FAILED: Reason = Reason::new("MigrationFailed");
/// The queues are being declared.
pub(crate) const DECLARING_QUEUES: Reason = Reason::new("DeclaringQueues");
/// The database gives no answer.
pub(crate) const DATABASE_UNREACHABLE: Reason = Reason::new("DatabaseUnreachable");
/// A queue has fewer consumers than its worker has replicas.
pub(crate) const CONSUMERS_MISSING: Reason = Reason::new("ConsumersMissing");
/// The user's variables do not name a server.
pub(crate) const CONFIGURATION_INCOMPLETE: Reason = Reason::new("ConfigurationIncomplete");
/// Temporal cannot use a credential, or the name of a database.
pub(crate) const UNUSABLE_BINDING: Reason = Reason::new("UnusableBinding");
/// The cluster does not have the kind that is referred to.
pub(crate) const KIND_MISSING: Reason = Reason::new("KindMissing");
/// The object that is referred to does not exist in the namespace.
pub(crate) const REFERENCE_MISSING: Reason = Reason::new("ReferenceMissing");
/// The object that is referred to is not Ready.
pub(crate) const DEPENDENCY_NOT_READY: Reason = Reason::new("DependencyNotReady");
/// An object that is referred to is suspended.
pub(crate) const DEPENDENCY_SUSPENDED: Reason = Reason::new("DependencySuspended");
/// A queue has no consumer because its worker has no replicas.
pub(crate) const NO_WORKERS: Reason = Reason::new("NoWorkers");
/// An account that the controller did not create is not an administrator.
pub(crate) const NOT_ADMIN: Reason = Reason::new("NotAdmin");
