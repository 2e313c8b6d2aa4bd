//! Messages for review, as an operator reads them.

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;

use crate::{
    component::{Component, Decision, Gate, Stalled, Verdict, Waiting},
    condition::dated,
};

/// What an operator reads after a decision, a line each: the conditions, what the object waits for or why it is stalled, why no pod
/// may restart, and the actions.
pub fn texts<C: Component>(decision: &Decision<C>) -> Vec<String> {
    let outcome = match &decision.intent {
        Err(Stalled { reason, message }) => Some(format!("Stalled {reason}: {message}")),
        Ok(intent) => {
            intent.waiting.as_ref().map(|Waiting { reason, message }| format!("Reconciling {reason}: {message}"))
        }
    };
    let conditions = dated(decision.conditions.clone(), &[], None, Timestamp::UNIX_EPOCH);
    let conditions = conditions.iter().map(|condition| {
        format!("{}={} {}: {}", condition.type_, condition.status, condition.reason, condition.message)
    });
    let work = decision.intent.iter().flat_map(|intent| {
        let gate = match &intent.restart {
            Gate::Closed(cause) => Some(format!("no restart: {cause}")),
            Gate::Open => None,
        };
        let actions = intent.upkeep.iter().chain(&intent.actions).map(|action| format!("action: {action}"));
        gate.into_iter().chain(actions)
    });
    conditions.chain(outcome).chain(work).collect()
}

/// What an operator reads after a verification.
pub fn verdict_text(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Verified(message) => format!("Verified: {message}"),
        Verdict::Failed { reason, message } => format!("Reconciling {reason}: {message}"),
        Verdict::Stalled { reason, message } => format!("Stalled {reason}: {message}"),
        Verdict::Unknown => "no verdict".to_owned(),
    }
}

/// These lines, each once.
pub fn distinct(lines: impl IntoIterator<Item = String>) -> String {
    let mut seen = BTreeSet::new();
    lines.into_iter().filter(|line| seen.insert(line.clone())).map(|line| line + "\n").collect()
}
