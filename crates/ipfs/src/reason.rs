//! Why a condition is as it is: the closed list of this component's reasons. Those that all components share, and those of the
//! driver, are in `crates/common/src/condition.rs`.

use temporal_stack_common::condition::Reason;
pub(crate) use temporal_stack_common::condition::reason::*;

/// Peers are not ready.
pub(crate) const PEERS_NOT_READY: Reason = Reason::new("PeersNotReady");
/// A peer is ready but does not answer.
pub(crate) const PEER_UNREACHABLE: Reason = Reason::new("PeerUnreachable");
/// Peers do not see each other.
pub(crate) const NOT_CONNECTED: Reason = Reason::new("NotConnected");
/// Peers run incompatible versions.
pub(crate) const PROTOCOL_MISMATCH: Reason = Reason::new("ProtocolMismatch");
/// Pins get their original options back.
pub(crate) const RESTORING_PINS: Reason = Reason::new("RestoringPins");
/// Peers are joining or leaving.
pub(crate) const SCALING: Reason = Reason::new("Scaling");
/// Pins require more copies than peers would remain.
pub(crate) const SCALE_DOWN_BLOCKED: Reason = Reason::new("ScaleDownBlocked");
/// The remaining peers have no room for the data of those that should leave.
pub(crate) const INSUFFICIENT_STORAGE: Reason = Reason::new("InsufficientStorage");
/// Every peer is connected with every other.
pub(crate) const ALL_CONNECTED: Reason = Reason::new("AllConnected");
/// The cluster has only one peer.
pub(crate) const SINGLE_PEER: Reason = Reason::new("SinglePeer");
/// Every pin has the copies that it needs.
pub(crate) const FULLY_REPLICATED: Reason = Reason::new("FullyReplicated");
/// Copies are being created.
pub(crate) const PINNING: Reason = Reason::new("Pinning");
/// Copies could not be created or removed.
pub(crate) const PIN_ERRORS: Reason = Reason::new("PinErrors");
/// Pins have fewer copies than they need.
pub(crate) const UNDER_REPLICATED: Reason = Reason::new("UnderReplicated");
/// Pins are not in the pinset of every peer.
pub(crate) const PINS_UNLISTED: Reason = Reason::new("PinsUnlisted");
/// A repository has nearly reached its limit.
pub(crate) const NEARLY_FULL: Reason = Reason::new("NearlyFull");
/// A volume is full.
pub(crate) const VOLUME_FULL: Reason = Reason::new("VolumeFull");
