//! Why a condition is as it is: the closed list of this component's reasons. Those that all components share, and those of the
//! driver, are in `crates/common/src/condition.rs`.

use temporal_stack_common::condition::Reason;
pub(crate) use temporal_stack_common::condition::reason::*;

/// The engine runs but does not answer.
pub(crate) const ENGINE_UNREACHABLE: Reason = Reason::new("EngineUnreachable");
/// The object storage that a Secret describes does not answer.
pub(crate) const STORAGE_UNREACHABLE: Reason = Reason::new("StorageUnreachable");
/// The clocks of the controller and the object storage differ too much for a signature.
pub(crate) const CLOCK_SKEWED: Reason = Reason::new("ClockSkewed");
/// The spec names another provider than the one that has the data.
pub(crate) const PROVIDER_CHANGED: Reason = Reason::new("ProviderChanged");
/// A bucket of that name belongs to another account, or nothing shows that it is this object's.
pub(crate) const BUCKET_TAKEN: Reason = Reason::new("BucketTaken");
/// A bucket that exists cannot get the object lock that the spec asks for.
pub(crate) const OBJECT_LOCK_MISSING: Reason = Reason::new("ObjectLockMissing");
/// A bucket that has left the spec has objects.
pub(crate) const BUCKET_NOT_EMPTY: Reason = Reason::new("BucketNotEmpty");
/// A bucket cannot be inspected or set.
pub(crate) const BUCKET_FAILED: Reason = Reason::new("BucketFailed");
/// A key can use a bucket that is not its own.
pub(crate) const KEY_NOT_RESTRICTED: Reason = Reason::new("KeyNotRestricted");
/// Drives are offline.
pub(crate) const DRIVES_OFFLINE: Reason = Reason::new("DrivesOffline");
/// Drives are being healed.
pub(crate) const DRIVES_HEALING: Reason = Reason::new("DrivesHealing");
/// Too many drives are offline to write, or to read.
pub(crate) const QUORUM_LOST: Reason = Reason::new("QuorumLost");
/// Drives are nearly full.
pub(crate) const NEARLY_FULL: Reason = Reason::new("NearlyFull");
/// The engine does not report it.
pub(crate) const NOT_REPORTED: Reason = Reason::new("NotReported");
/// Nobody corrects flaws of this version of the engine.
pub(crate) const UNMAINTAINED: Reason = Reason::new("Unmaintained");
/// The cluster does not have the kinds of Rook.
pub(crate) const ROOK_MISSING: Reason = Reason::new("RookMissing");
/// The claim of a bucket is not bound.
pub(crate) const CLAIM_PENDING: Reason = Reason::new("ClaimPending");
/// The bucket of a binding no longer exists, or a claim was recreated with another bucket.
pub(crate) const BUCKET_REPLACED: Reason = Reason::new("BucketReplaced");
