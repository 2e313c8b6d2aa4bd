//! What one custom resource says of itself, as far as somebody who waits for it wants to know.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use temporal_stack_common::condition::{PAUSED, READY, RECONCILING, RESTART_PENDING, STALLED};

/// Which fields of a `Temporal` refer to which kinds.
const REFERENCES: &[(&str, &str)] =
    &[("database", "PostgresDatabase"), ("queue", "MessageQueue"), ("ipfs", "IpfsCluster")];
/// Conditions that are well while they are not `True`.
const WELL_WHEN_FALSE: &[&str] = &[RECONCILING, STALLED, RESTART_PENDING, PAUSED];

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
    /// How it is.
    pub state: State,
    /// What else is not well: conditions that say something that `state` does not.
    pub unwell: Vec<Condition>,
    /// What it waits for.
    pub refers_to: Vec<Id>,
}

/// How a custom resource is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Whether it does what it is for, in its newest generation.
    pub word: Word,
    /// Why.
    pub reason: String,
    /// The same for people, with what to do next.
    pub message: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// A state in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It has been used, and that worked.
    Ready,
    /// It is being made, or waits for something that is expected to come.
    NotReady,
    /// Somebody must act.
    Stalled,
}

impl Component {
    /// Reads an object.
    pub fn of(object: &Value) -> Self {
        let metadata = &object["metadata"];
        let id =
            Id { namespace: text(&metadata["namespace"]), kind: text(&object["kind"]), name: text(&metadata["name"]) };
        let conditions = conditions(object);
        let state = state(object, &conditions);
        let mut unwell: Vec<Condition> = conditions.into_values().filter(|condition| !is_well(condition)).collect();
        // Said already.
        unwell.retain(|condition| condition.type_ != READY && condition.message != state.message);
        let refers_to = REFERENCES.iter().filter(|_| id.kind == "Temporal").filter_map(|(field, kind)| {
            let name = object["spec"][field]["name"].as_str()?.to_owned();
            Some(Id { namespace: id.namespace.clone(), kind: (*kind).to_owned(), name })
        });
        let refers_to = refers_to.collect();
        Self { id, state, unwell, refers_to }
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
    let unseen = |reason: &str, message: &str, since: &str| State {
        word: Word::NotReady,
        reason: reason.to_owned(),
        message: message.to_owned(),
        since: metadata[since].as_str().and_then(|time| time.parse().ok()),
    };
    if metadata["deletionTimestamp"].is_string() {
        return unseen("Deleting", "it is being deleted", "deletionTimestamp");
    }
    let Some(ready) = conditions.get(READY) else {
        return unseen("NotSeen", "its controller has not looked at it yet", "creationTimestamp");
    };
    let of = |word, condition: &Condition| State {
        word,
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        since: Some(time(&condition.last_transition_time)),
    };
    let generation = metadata["generation"].as_i64();
    if ready.observed_generation.is_some() && ready.observed_generation < generation {
        let message = "its controller has not looked at its newest generation yet";
        return State { message: message.to_owned(), reason: "NotSeen".to_owned(), ..of(Word::NotReady, ready) };
    }
    match conditions.get(STALLED) {
        _ if ready.status == "True" => of(Word::Ready, ready),
        Some(stalled) if stalled.status == "True" => of(Word::Stalled, stalled),
        _ => of(Word::NotReady, ready),
    }
}

fn is_well(condition: &Condition) -> bool {
    if WELL_WHEN_FALSE.contains(&condition.type_.as_str()) {
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
    fn ready_counts_for_the_newest_generation_only() {
        let of = |generation| Component::of(&object(&json!([condition("Ready", "True", generation)]))).state;
        assert_eq!(of(2).word, Word::Ready);
        assert_eq!((of(1).word, of(1).reason.as_str()), (Word::NotReady, "NotSeen"));
    }

    #[test]
    fn an_object_without_conditions_has_not_been_seen() {
        let component = Component::of(&object(&json!([])));
        assert_eq!(component.state.reason, "NotSeen");
        assert_eq!(component.state.since, "2026-11-20T10:00:00Z".parse().ok());
    }

    #[test]
    fn what_a_stalled_object_says_is_said_once() {
        let mut stalled = condition("Stalled", "True", 2);
        stalled["message"] = json!("Ready is False");
        let conditions = json!([condition("Ready", "False", 2), stalled, condition("QuorumSafe", "False", 2)]);
        let component = Component::of(&object(&conditions));
        assert_eq!(component.state.word, Word::Stalled);
        assert_eq!(component.unwell.iter().map(|one| one.type_.as_str()).collect::<Vec<_>>(), ["QuorumSafe"]);
    }

    #[test]
    fn a_condition_may_be_well_when_it_is_false() {
        let well = json!([condition("Ready", "True", 2), condition("RestartPending", "False", 2)]);
        assert!(Component::of(&object(&well)).unwell.is_empty());
        let unwell = json!([condition("Ready", "True", 2), condition("RestartPending", "True", 2)]);
        assert_eq!(Component::of(&object(&unwell)).unwell.len(), 1);
    }
}
