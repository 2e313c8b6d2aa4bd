//! Conditions: how a component reports its state, by the rules of [kstatus].
//!
//! * `Ready` always exists, except while an object is [suspended](SUSPENDED): kstatus takes any other status than `True` for work in
//!   progress, and nothing is in progress then. It becomes `True` when the product has been used successfully, for the generation
//!   that it names.
//! * `Reconciling` and `Stalled` exist only while they are `True`, as kstatus requires.
//! * Every condition has a [`Reason`] from the closed list of its component, and a message that names the remedy.
//! * Messages have no measured numbers and no times, so that a condition changes only when something has happened;
//!   `lastTransitionTime` changes only with the status.
//!
//! [kstatus]: https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md

use std::fmt;

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use crate::failure::{LONGEST, bounded};

/// The component works.
pub const READY: &str = "Ready";
/// The controller is working on the current generation, or waits for something that is expected to happen.
pub const RECONCILING: &str = "Reconciling";
/// The user must act before the controller can continue.
pub const STALLED: &str = "Stalled";
/// Whether the user's configuration is used as written.
pub const CONFIG_HONOURED: &str = "ConfigHonoured";
/// A restart would apply a newer template, and waits for the user's request.
pub const RESTART_PENDING: &str = "RestartPending";
/// A requested rotation of a login waits until applications no longer use the next login.
pub const ROTATION_PENDING: &str = "RotationPending";
/// The volumes are those with which the object was Ready; set when one was replaced.
pub(crate) const VOLUMES_KEPT: &str = "VolumesKept";
/// A pod has set data aside on its volume instead of using them; set until the pod restarts.
pub const DATA_SET_ASIDE: &str = "DataSetAside";
/// The user has paused the object.
pub const PAUSED: &str = "Paused";
/// The user has suspended the object, and nothing of it runs. While it is `True` there is no `Ready`.
pub const SUSPENDED: &str = "Suspended";

/// The reason of a condition: one word in `CamelCase`, part of the API.
///
/// Reasons are constants only, so the list of a component is closed and can be read in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reason(&'static str);

impl Reason {
    /// Declares a reason. Use it in constants.
    pub const fn new(reason: &'static str) -> Self {
        Self(reason)
    }

    /// The reason as it stands in a condition.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Reasons that every component shares.
pub mod reason {
    use super::Reason;

    /// The controller has used the product successfully.
    pub const VERIFIED: Reason = Reason::new("Verified");
    /// The last pass changed something, and the controller waits for the changes to take effect.
    pub const APPLYING: Reason = Reason::new("Applying");
    /// Pods, volumes or other children do not exist yet, or are not at their newest revision.
    pub const CHILDREN_NOT_READY: Reason = Reason::new("ChildrenNotReady");
    /// The controller used the product, and it did not work.
    pub const VERIFICATION_FAILED: Reason = Reason::new("VerificationFailed");
    /// A Service has no endpoints: no ready pod has the labels that it selects.
    pub(crate) const NO_ENDPOINTS: Reason = Reason::new("NoEndpoints");
    /// A pass failed; it is retried with backoff.
    pub(crate) const RECONCILE_ERROR: Reason = Reason::new("ReconcileError");
    /// The controller has a bug: a pass panicked. It is retried with backoff; other objects are not affected.
    pub(crate) const INTERNAL_ERROR: Reason = Reason::new("InternalError");
    /// A pass took too long and was cancelled; it is retried with backoff.
    pub(crate) const DEADLINE_EXCEEDED: Reason = Reason::new("DeadlineExceeded");
    /// The operator of another project gives no answer: it is not running, or its webhook cannot be reached.
    pub const OPERATOR_NOT_READY: Reason = Reason::new("OperatorNotReady");
    /// The API server, an admission webhook or a quota refuses a child; the message quotes the answer.
    pub const CHILD_REFUSED: Reason = Reason::new("ChildRefused");
    /// The spec asks for something impossible.
    pub const INVALID_SPEC: Reason = Reason::new("InvalidSpec");
    /// The object does not parse.
    pub(crate) const UNPARSABLE: Reason = Reason::new("Unparsable");
    /// An object with a name that the controller needs belongs to another owner.
    pub(crate) const NAME_TAKEN: Reason = Reason::new("NameTaken");
    /// The object is paused, and changes are held back.
    pub const PAUSED: Reason = Reason::new("Paused");
    /// The object is suspended: no pod runs, and the data are kept.
    pub const SUSPENDED: Reason = Reason::new("Suspended");
    /// The object is being suspended: its pods are stopping.
    pub(crate) const SUSPENDING: Reason = Reason::new("Suspending");
    /// The configuration is used as written.
    pub const AS_WRITTEN: Reason = Reason::new("AsWritten");
    /// The configuration is used with the changes that the message lists.
    pub const ADAPTED: Reason = Reason::new("Adapted");
    /// A part of the configuration was refused; the user must act.
    pub const REFUSED: Reason = Reason::new("Refused");
    /// Pods or workloads keep a template that an older controller wrote.
    pub(crate) const NEWER_TEMPLATE: Reason = Reason::new("NewerTemplate");
    /// A volume claim is being deleted while a pod uses it.
    pub(crate) const VOLUME_BEING_DELETED: Reason = Reason::new("VolumeBeingDeleted");
    /// A volume claim was deleted and recreated.
    pub(crate) const VOLUME_REPLACED: Reason = Reason::new("VolumeReplaced");
    /// A pod has set aside data that it found on its volume.
    pub(crate) const SET_ASIDE: Reason = Reason::new("SetAside");
    /// The spec asks for a smaller volume than the existing one.
    pub(crate) const VOLUME_CANNOT_SHRINK: Reason = Reason::new("VolumeCannotShrink");
    /// The spec asks for a larger volume, but its StorageClass does not allow expansion.
    pub(crate) const VOLUME_CANNOT_GROW: Reason = Reason::new("VolumeCannotGrow");
    /// No StorageClass is named, and the cluster has no default.
    pub(crate) const NO_STORAGE_CLASS: Reason = Reason::new("NoStorageClass");
    /// The StorageClass in the spec does not exist.
    pub const STORAGE_CLASS_MISSING: Reason = Reason::new("StorageClassMissing");
    /// The product refuses the controller's administrator.
    pub const ADMINISTRATOR_REFUSED: Reason = Reason::new("AdministratorRefused");
    /// The broker gives no answer.
    pub const BROKER_UNREACHABLE: Reason = Reason::new("BrokerUnreachable");
    /// The policy of a mesh refuses the controller.
    pub const REFUSED_BY_MESH: Reason = Reason::new("RefusedByMesh");
    /// The state is as expected; the message describes it.
    pub const AS_EXPECTED: Reason = Reason::new("AsExpected");
    /// A credential in use is a published example.
    pub(crate) const PUBLISHED_CREDENTIAL: Reason = Reason::new("PublishedCredential");
    /// Applications are still connected with the next login.
    pub(crate) const OLD_LOGIN_IN_USE: Reason = Reason::new("OldLoginInUse");
    /// All pods stop before the first starts with another shared secret.
    pub const FULL_RESTART: Reason = Reason::new("FullRestart");
    /// The application's resources, such as its database or login, are being created.
    pub const PREPARING: Reason = Reason::new("Preparing");
    /// The login of the binding is refused.
    pub const LOGIN_REFUSED: Reason = Reason::new("LoginRefused");
    /// A Secret that the spec names does not exist.
    pub const SECRET_MISSING: Reason = Reason::new("SecretMissing");
    /// A Secret that the spec names lacks a key, or a key has no usable value.
    pub const SECRET_INCOMPLETE: Reason = Reason::new("SecretIncomplete");
}

/// Status of a condition, with its reason and message: all but the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    kind: &'static str,
    holds: bool,
    /// Whether there is evidence for it.
    is_known: bool,
    /// Whether it is about something else than the running product.
    lasts: bool,
    reason: Reason,
    message: String,
}

impl Statement {
    /// States that `kind` is `True`.
    pub fn holds(kind: &'static str, reason: Reason, message: impl Into<String>) -> Self {
        Self { kind, holds: true, is_known: true, lasts: false, reason, message: message.into() }
    }

    /// States that `kind` is `False`.
    pub fn fails(kind: &'static str, reason: Reason, message: impl Into<String>) -> Self {
        Self { kind, holds: false, is_known: true, lasts: false, reason, message: message.into() }
    }

    /// States that `kind` is `Unknown`: there is no evidence, or it is too old.
    pub fn unknown(kind: &'static str, reason: Reason, message: impl Into<String>) -> Self {
        Self { kind, holds: false, is_known: false, lasts: false, reason, message: message.into() }
    }

    /// The condition `ConfigHonoured` by what was refused and adapted, a sentence each. `before` is what the message begins with where
    /// there is something to list, `as_written` the message where there is nothing.
    pub fn honoured(before: &str, refused: &[String], adapted: &[String], as_written: String) -> Self {
        let list = || format!("{before}{}", [refused, adapted].concat().join("; "));
        let statement = match (refused, adapted) {
            ([], []) => Self::holds(CONFIG_HONOURED, reason::AS_WRITTEN, as_written),
            ([], _) => Self::holds(CONFIG_HONOURED, reason::ADAPTED, list()),
            _ => Self::fails(CONFIG_HONOURED, reason::REFUSED, list()),
        };
        statement.lasting()
    }

    /// The same, which stays as it is while nothing runs: it is about settings, not about the running product.
    #[must_use]
    pub fn lasting(self) -> Self {
        Self { lasts: true, ..self }
    }

    /// The same about an object that is suspended: nothing runs that could be in a bad state.
    #[must_use]
    pub(crate) fn while_suspended(self) -> Self {
        if self.holds || self.lasts {
            return self;
        }
        Self::unknown(self.kind, reason::SUSPENDED, "unknown while suspended: nothing runs; set spec.suspend to false")
    }

    /// The condition `ConfigHonoured` with one more remark about a setting that is not used as written.
    #[must_use]
    pub fn adapted(self, remark: &str) -> Self {
        let reason = if self.holds { reason::ADAPTED } else { self.reason };
        Self { reason, message: format!("{remark}; {}", self.message), ..self }
    }

    /// The same with a setting that was refused.
    #[must_use]
    pub fn refused(self, what: &str) -> Self {
        Self { holds: false, reason: reason::REFUSED, message: format!("{what}; {}", self.message), ..self }
    }

    /// The type of the condition.
    pub fn kind(&self) -> &'static str {
        self.kind
    }
}

/// Gives statements their times: the previous time if the status has not changed, else `now`.
pub fn dated(
    statements: Vec<Statement>,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    statements
        .into_iter()
        .map(|statement| {
            let status = match (statement.is_known, statement.holds) {
                (false, _) => "Unknown",
                (true, true) => "True",
                (true, false) => "False",
            };
            let since = before
                .iter()
                .find(|old| old.type_ == statement.kind && old.status == status)
                .map_or(Time(now), |old| old.last_transition_time.clone());
            Condition {
                type_: statement.kind.to_owned(),
                status: status.to_owned(),
                reason: statement.reason.as_str().to_owned(),
                message: bounded(&statement.message, LONGEST),
                observed_generation: generation,
                last_transition_time: since,
            }
        })
        .collect()
}

/// The condition of type `kind`, if there is one.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// Whether the conditions report Ready for this generation.
pub fn is_ready(conditions: &[Condition], generation: Option<i64>) -> bool {
    find(conditions, READY).is_some_and(|ready| ready.status == "True" && ready.observed_generation == generation)
}

/// Whether the conditions report, about this generation, that nothing of the object runs because it is suspended.
pub fn is_suspended(conditions: &[Condition], generation: Option<i64>) -> bool {
    find(conditions, SUSPENDED)
        .is_some_and(|suspended| suspended.status == "True" && suspended.observed_generation == generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn transition_time_survives_a_new_reason() {
        let first = dated(vec![Statement::fails(READY, reason::APPLYING, "a")], &[], Some(1), at(1));
        let second = dated(vec![Statement::fails(READY, reason::CHILDREN_NOT_READY, "b")], &first, Some(2), at(2));
        assert_eq!(second[0].last_transition_time, Time(at(1)));
        assert_eq!(second[0].observed_generation, Some(2));
    }

    #[test]
    fn changed_status_gets_a_new_time() {
        let first = dated(vec![Statement::fails(READY, reason::APPLYING, "a")], &[], Some(1), at(1));
        let second = dated(vec![Statement::holds(READY, reason::VERIFIED, "b")], &first, Some(1), at(2));
        assert_eq!(second[0].last_transition_time, Time(at(2)));
    }

    #[test]
    fn message_is_printable_and_bounded() {
        let message = format!("a\n\u{1b}[2J{}", "ü".repeat(40_000));
        let said = dated(vec![Statement::unknown("Known", reason::APPLYING, message)], &[], None, at(1));
        assert_eq!(said[0].status, "Unknown");
        assert!(said[0].message.starts_with("a  [2Jü") && said[0].message.len() < 32_768);
    }

    #[test]
    fn ready_of_an_older_generation_is_not_ready() {
        let conditions = dated(vec![Statement::holds(READY, reason::VERIFIED, "b")], &[], Some(1), at(2));
        assert!(is_ready(&conditions, Some(1)));
        assert!(!is_ready(&conditions, Some(2)));
    }
}
