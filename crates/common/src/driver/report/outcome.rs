//! How a pass ended, as conditions and as an event.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};

use crate::{
    condition::{PAUSED, READY, RECONCILING, Reason, STALLED, SUSPENDED, Statement, dated, find, reason},
    driver::events::NewEvent,
};

/// The component's own part of the status.
pub(in crate::driver) struct Facts<S> {
    /// Fields; the conditions are added.
    pub(in crate::driver) status: S,
    /// Conditions besides those of an [`PassOutcome`].
    pub(in crate::driver) conditions: Vec<Statement>,
}

/// How a pass ended, in the terms of kstatus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::driver) enum PassOutcome {
    /// The product was used successfully.
    Ready(String),
    /// A product was used successfully that serves until the intent is reached, which ended otherwise.
    Serving(String, Box<Self>),
    /// Working, or waiting for something that is expected to happen.
    Reconciling(Reason, String),
    /// The user must act.
    Stalled(Reason, String),
    /// Paused by the user.
    Paused(String),
    /// Suspended by the user, and nothing runs.
    Suspended(String),
}

impl PassOutcome {
    /// The conditions that every kind has.
    pub(super) fn statements(&self) -> Vec<Statement> {
        match self {
            Self::Ready(message) => vec![Statement::holds(READY, reason::VERIFIED, message)],
            Self::Serving(message, awaited) => {
                let mut statements = Self::Ready(message.clone()).statements();
                statements.extend(awaited.statements().into_iter().filter(|statement| statement.kind() != READY));
                statements
            }
            Self::Reconciling(reason, message) => {
                vec![Statement::fails(READY, *reason, message), Statement::holds(RECONCILING, *reason, message)]
            }
            Self::Stalled(reason, message) => {
                vec![Statement::fails(READY, *reason, message), Statement::holds(STALLED, *reason, message)]
            }
            Self::Paused(message) => vec![
                Statement::fails(READY, reason::PAUSED, message),
                Statement::holds(PAUSED, reason::PAUSED, message),
            ],
            // Without Ready: kstatus would take one that is False for work in progress.
            Self::Suspended(message) => vec![Statement::holds(SUSPENDED, reason::SUSPENDED, message)],
        }
    }
}

/// The previous conditions, with those of the driver replaced.
pub(super) fn with_outcome(outcome: &PassOutcome, before: Vec<Condition>, generation: Option<i64>) -> Vec<Condition> {
    let mut conditions = dated(outcome.statements(), &before, generation, Timestamp::now());
    let of_driver = |kind: &str| [READY, RECONCILING, STALLED, PAUSED, SUSPENDED].contains(&kind);
    conditions.extend(before.into_iter().filter(|condition| !of_driver(&condition.type_)));
    conditions
}

/// One event for each transition of Ready, or of Suspended in its place: a new status, or a new reason. A product may serve although
/// the user must act: then the event is about that.
pub(super) fn transition(before: &[Condition], after: &[Condition]) -> Option<NewEvent> {
    let state = |conditions| find(conditions, READY).or_else(|| find(conditions, SUSPENDED));
    let ready = state(after)?;
    let old = state(before);
    let stalled = find(after, STALLED);
    if old.is_some_and(|old| old.status == ready.status && old.reason == ready.reason) {
        let stalled = stalled.filter(|_| ready.status == "True")?;
        let is_known = find(before, STALLED).is_some_and(|before| before.reason == stalled.reason);
        return (!is_known).then(|| NewEvent {
            is_warning: true,
            reason: stalled.reason.clone(),
            action: "Reconcile",
            note: stalled.message.clone(),
            about: None,
        });
    }
    let stalled = stalled.is_some();
    let failures = [reason::RECONCILE_ERROR, reason::INTERNAL_ERROR, reason::DEADLINE_EXCEEDED];
    let failed = failures.iter().any(|failure| failure.as_str() == ready.reason);
    let expected = [reason::APPLYING, reason::SUSPENDING].map(Reason::as_str);
    let lost = old.is_some_and(|old| old.type_ == READY && old.status == "True")
        && ready.status != "True"
        && !expected.contains(&ready.reason.as_str());
    Some(NewEvent {
        is_warning: stalled || failed || lost,
        reason: ready.reason.clone(),
        action: "Reconcile",
        note: ready.message.clone(),
        about: None,
    })
}
