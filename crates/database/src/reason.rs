//! Why a condition is as it is: the closed list of this component's reasons. Those that all components share, and those of the
//! driver, are in `crates/common/src/condition.rs`.

use temporal_stack_common::condition::Reason;
pub(crate) use temporal_stack_common::condition::reason::*;

/// The server runs but does not answer.
pub(crate) const SERVER_UNREACHABLE: Reason = Reason::new("ServerUnreachable");
/// The database of the binding does not exist.
pub(crate) const DATABASE_MISSING: Reason = Reason::new("DatabaseMissing");
/// The cluster does not have CloudNativePG.
pub(crate) const CLOUD_NATIVE_PG_MISSING: Reason = Reason::new("CloudNativePgMissing");
/// The cluster has a version of CloudNativePG that lacks what the spec needs.
pub(crate) const CLOUD_NATIVE_PG_UNSUPPORTED: Reason = Reason::new("CloudNativePgUnsupported");
/// Two operators of CloudNativePG work on the same `Cluster`.
pub(crate) const OPERATOR_CONFLICT: Reason = Reason::new("OperatorConflict");
/// The spec names another provider than the one that has the data.
pub(crate) const PROVIDER_CHANGED: Reason = Reason::new("ProviderChanged");
/// The `Cluster` with the data was deleted.
pub(crate) const CLUSTER_LOST: Reason = Reason::new("ClusterLost");
/// CloudNativePG has not created the `Cluster`, or not taken up its newest change.
pub(crate) const CLUSTER_PENDING: Reason = Reason::new("ClusterPending");
/// CloudNativePG has stopped the servers, because an annotation asks for it.
pub(crate) const HIBERNATED: Reason = Reason::new("Hibernated");
/// CloudNativePG is making another server the primary.
pub(crate) const PRIMARY_CHANGING: Reason = Reason::new("PrimaryChanging");
/// CloudNativePG is restarting or upgrading servers.
pub(crate) const ROLLING_OUT: Reason = Reason::new("RollingOut");
/// CloudNativePG waits for the user.
pub(crate) const USER_ACTION_REQUIRED: Reason = Reason::new("UserActionRequired");
/// CloudNativePG refuses the definition of the `Cluster`.
pub(crate) const CLUSTER_REFUSED: Reason = Reason::new("ClusterRefused");
/// CloudNativePG cannot run the `Cluster`.
pub(crate) const CLUSTER_FAILED: Reason = Reason::new("ClusterFailed");
/// There is one server, and none to take its place.
pub(crate) const SINGLE_INSTANCE: Reason = Reason::new("SingleInstance");
/// Some servers are not ready.
pub(crate) const UNDER_REPLICATED: Reason = Reason::new("UnderReplicated");
/// A certificate ends soon, and was not renewed.
pub(crate) const CERTIFICATE_EXPIRING: Reason = Reason::new("CertificateExpiring");
/// A certificate has ended.
pub(crate) const CERTIFICATE_EXPIRED: Reason = Reason::new("CertificateExpired");
/// The write-ahead log cannot be archived.
pub(crate) const ARCHIVING_FAILED: Reason = Reason::new("ArchivingFailed");
/// A Job reports the version of PostgreSQL in a new image, before the server restarts with it.
pub(crate) const CHECKING_IMAGE: Reason = Reason::new("CheckingImage");
/// A new image has another major version of PostgreSQL than the data.
pub(crate) const MAJOR_VERSION_CHANGED: Reason = Reason::new("MajorVersionChanged");
/// The data are moving to another provider.
pub(crate) const MOVING: Reason = Reason::new("Moving");
/// The Job of a move tries whether it can copy.
pub(crate) const REHEARSING: Reason = Reason::new("Rehearsing");
/// The database takes no clients while its data are copied.
pub(crate) const COPYING: Reason = Reason::new("Copying");
/// The database takes no clients while its copy is compared with it.
pub(crate) const COMPARING: Reason = Reason::new("Comparing");
/// The binding is about to lead to the new server.
pub(crate) const SWITCHING: Reason = Reason::new("Switching");
/// The new server serves, and the old one is being stopped.
pub(crate) const SWITCHED: Reason = Reason::new("Switched");
/// The old server serves, and the new one is being removed.
pub(crate) const RETURNING: Reason = Reason::new("Returning");
/// The data cannot move to another provider.
pub(crate) const MOVE_BLOCKED: Reason = Reason::new("MoveBlocked");
/// The data did not move to another provider.
pub(crate) const MOVE_FAILED: Reason = Reason::new("MoveFailed");
/// Data are kept because the policy for deletion asks for it.
pub(crate) const RETAINED: Reason = Reason::new("Retained");
