//! The state of one custom resource, as its conditions report it.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use temporal_stack_common::condition::{
    DATA_SET_ASIDE, PAUSED, READY, RECONCILING, RESTART_PENDING, ROTATION_PENDING, STALLED, SUSPENDED, reason,
};

/// The fields of a `Temporal` that refer to other kinds.
const REFERENCES: &[(&str, &str)] =
    &[("database", "PostgresDatabase"), ("queue", "MessageQueue"), ("ipfs", "IpfsCluster")];
/// Conditions whose normal status is `False`; that of all others is `True`.
pub(super) const NORMALLY_FALSE: &[&str] = &[
    RECONCILING,
    STALLED,
    PAUSED,
    SUSPENDED,
    RESTART_PENDING,
    ROTATION_PENDING,
    DATA_SET_ASIDE,
    "Moving",
    "PreviousDataKept",
];

/// A custom resource's kind and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// Its namespace.
    pub namespace: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// A custom resource.
#[derive(Debug, Clone)]
pub struct Component {
    /// Which one it is.
    pub id: Id,
    /// Its state.
    pub state: State,
    /// Abnormal conditions, besides those in `state`.
    pub abnormal: Vec<Condition>,
    /// What it waits for.
    pub refers_to: Vec<Id>,
}

/// The state of a custom resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Whether it works, in its newest generation.
    pub word: Word,
    /// The reason.
    pub reason: String,
    /// The message, with the remedy.
    pub message: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// A state in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It has been used, and that worked.
    Ready,
    /// It is being reconciled, or waits for something that is expected.
    NotReady,
    /// The user must act.
    Stalled,
    /// The user has stopped it, and nothing of it runs.
    Suspended,
}

impl Component {
    /// Reads an object.
    pub fn parse(object: &Value) -> Self {
        let metadata = &object["metadata"];
        let id =
            Id { namespace: text(&metadata["namespace"]), kind: text(&object["kind"]), name: text(&metadata["name"]) };
        let conditions = conditions(object);
        let state = state(object, &conditions);
        let mut abnormal: Vec<Condition> = conditions.into_values().filter(|condition| !is_normal(condition)).collect();
        // `state` has these already.
        abnormal.retain(|condition| condition.type_ != READY && condition.message != state.message);
        // What is unknown because nothing runs.
        abnormal.retain(|condition| state.word != Word::Suspended || condition.reason != reason::SUSPENDED.as_str());
        let refers_to = REFERENCES.iter().filter(|_| id.kind == "Temporal").filter_map(|(field, kind)| {
            let name = object["spec"][field]["name"].as_str()?.to_owned();
            Some(Id { namespace: id.namespace.clone(), kind: (*kind).to_owned(), name })
        });
        let refers_to = refers_to.collect();
        Self { id, state, abnormal, refers_to }
    }

    /// Whether the user has stopped it.
    pub fn is_suspended(&self) -> bool {
        self.state.word == Word::Suspended
    }

    /// Whether it is Ready.
    pub fn is_ready(&self) -> bool {
        self.state.word == Word::Ready
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ready => "Ready",
            Self::NotReady => "not Ready",
            Self::Stalled => "Stalled",
            Self::Suspended => "Suspended",
        })
    }
}

fn conditions(object: &Value) -> BTreeMap<String, Condition> {
    let list = object["status"]["conditions"].as_array().into_iter().flatten();
    let list = list.filter_map(|condition| serde_json::from_value::<Condition>(condition.clone()).ok());
    list.map(|condition| (condition.type_.clone(), condition)).collect()
}

fn state(object: &Value, conditions: &BTreeMap<String, Condition>) -> State {
    let metadata = &object["metadata"];
    let unreported = |reason: &str, message: &str, since: &str| State {
        word: Word::NotReady,
        reason: reason.to_owned(),
        message: message.to_owned(),
        since: metadata[since].as_str().and_then(|time| time.parse().ok()),
    };
    if metadata["deletionTimestamp"].is_string() {
        return unreported("Deleting", "being deleted", "deletionTimestamp");
    }
    // A suspended object has no Ready.
    let suspended = conditions.get(SUSPENDED).filter(|suspended| suspended.status == "True");
    let Some(ready) = conditions.get(READY).or(suspended) else {
        return unreported("NotReconciled", "not reconciled by its controller yet", "creationTimestamp");
    };
    let reported = |word, condition: &Condition| State {
        word,
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        since: Some(time(&condition.last_transition_time)),
    };
    let generation = metadata["generation"].as_i64();
    if ready.observed_generation.is_some() && ready.observed_generation < generation {
        let message = "newest generation not reconciled by its controller yet";
        return State {
            message: message.to_owned(),
            reason: "NotReconciled".to_owned(),
            ..reported(Word::NotReady, ready)
        };
    }
    match conditions.get(STALLED) {
        _ if ready.type_ == SUSPENDED => reported(Word::Suspended, ready),
        _ if ready.status == "True" => reported(Word::Ready, ready),
        Some(stalled) if stalled.status == "True" => reported(Word::Stalled, stalled),
        _ => reported(Word::NotReady, ready),
    }
}

fn is_normal(condition: &Condition) -> bool {
    if NORMALLY_FALSE.contains(&condition.type_.as_str()) {
        condition.status == "False"
    } else {
        condition.status == "True"
    }
}

fn time(time: &Time) -> Timestamp {
    time.0
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(conditions: &Value) -> Value {
        json!({
            "kind": "PostgresDatabase",
            "metadata": {"name": "temporal", "namespace": "default", "generation": 2,
                "creationTimestamp": "2026-11-20T10:00:00Z"},
            "status": {"conditions": conditions},
        })
    }

    fn condition(kind: &str, status: &str, generation: i64) -> Value {
        json!({"type": kind, "status": status, "reason": "Because", "message": format!("{kind} is {status}"),
            "observedGeneration": generation, "lastTransitionTime": "2026-11-20T10:01:00Z"})
    }

    #[test]
    fn ready_of_an_older_generation_is_not_ready() {
        let state = |generation| Component::parse(&object(&json!([condition("Ready", "True", generation)]))).state;
        assert_eq!(state(2).word, Word::Ready);
        assert_eq!((state(1).word, state(1).reason.as_str()), (Word::NotReady, "NotReconciled"));
    }

    #[test]
    fn suspended_object_has_no_abnormal_conditions() {
        let mut unknown = condition("QuorumSafe", "Unknown", 2);
        unknown["reason"] = json!("Suspended");
        let pending = condition("RestartPending", "True", 2);
        let component = Component::parse(&object(&json!([condition("Suspended", "True", 2), unknown, pending])));
        assert_eq!((component.state.word, component.is_ready()), (Word::Suspended, false));
        assert_eq!(component.abnormal.iter().map(|one| one.type_.as_str()).collect::<Vec<_>>(), ["RestartPending"]);
        let older = Component::parse(&object(&json!([condition("Suspended", "True", 1)])));
        assert_eq!((older.state.word, older.state.reason.as_str()), (Word::NotReady, "NotReconciled"));
    }

    #[test]
    fn object_without_conditions_is_not_reconciled() {
        let component = Component::parse(&object(&json!([])));
        assert_eq!(component.state.reason, "NotReconciled");
        assert_eq!(component.state.since, "2026-11-20T10:00:00Z".parse().ok());
    }

    #[test]
    fn message_of_a_stalled_object_appears_once() {
        let mut stalled = condition("Stalled", "True", 2);
        stalled["message"] = json!("Ready is False");
        let conditions = json!([condition("Ready", "False", 2), stalled, condition("QuorumSafe", "False", 2)]);
        let component = Component::parse(&object(&conditions));
        assert_eq!(component.state.word, Word::Stalled);
        assert_eq!(component.abnormal.iter().map(|one| one.type_.as_str()).collect::<Vec<_>>(), ["QuorumSafe"]);
    }

    #[test]
    fn normally_false_condition_is_abnormal_only_if_true() {
        for kind in NORMALLY_FALSE {
            let abnormal = |status| {
                let conditions = json!([condition("Ready", "True", 2), condition(kind, status, 2)]);
                Component::parse(&object(&conditions)).abnormal.len()
            };
            assert_eq!((abnormal("False"), abnormal("True")), (0, 1), "{kind}");
        }
    }
}
