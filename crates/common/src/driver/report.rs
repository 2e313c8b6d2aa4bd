//! Status and events: the only place of the workspace that writes either.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    events::{self, Happening},
    memory::Memory,
    volumes::{self, Recorded, Replaced},
    write::{is_conflict, is_not_found},
};
use crate::{
    api::{Status, annotation},
    cache::Children,
    component::{Facts, Kind},
    condition::{PAUSED, READY, RECONCILING, Reason, STALLED, Statement, VOLUMES_KEPT, dated, find, reason},
};

/// How a pass ended, in the terms of kstatus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Used, and it worked.
    Ready(String),
    /// At work, or waiting for something that is expected to come.
    Reconciling(Reason, String),
    /// The user must act.
    Stalled(Reason, String),
    /// Held back by the user.
    Paused(String),
}

impl Outcome {
    /// The conditions that every kind has.
    fn statements(&self) -> Vec<Statement> {
        match self {
            Self::Ready(message) => vec![Statement::holds(READY, reason::VERIFIED, message)],
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
        }
    }
}

/// Writes status and events.
#[derive(Clone)]
pub(super) struct Reporter {
    client: Client,
    component: &'static str,
}

impl Reporter {
    pub(super) fn new(client: Client, component: &'static str) -> Self {
        Self { client, component }
    }

    /// Writes the status if it says something else than the one that is there, and one event if Ready has changed.
    pub(super) async fn report<K: Kind>(
        &self,
        object: &K,
        memory: &Memory,
        outcome: &Outcome,
        facts: Facts<K::Status>,
        children: &Children,
    ) -> kube::Result<()> {
        let Facts { mut status, mut statements } = facts;
        let known = known_conditions(object, memory);
        let replaced = self.record_volumes(object, memory, outcome, &mut status, children).await;
        statements.extend(replaced);
        let all = outcome.statements().into_iter().chain(statements).collect();
        let generation = object.meta().generation;
        status.report(generation, dated(all, &known, generation, Timestamp::now()));
        let event = transition(&known, status.conditions());
        let next = serde_json::to_value(&status).map_err(kube::Error::SerdeError)?;
        self.tell(object, memory, &next, event).await
    }

    /// Records the volumes that the object is Ready with, and states which were replaced, with an event for each of them.
    async fn record_volumes<K: Kind>(
        &self,
        object: &K,
        memory: &Memory,
        outcome: &Outcome,
        status: &mut K::Status,
        children: &Children,
    ) -> Option<Statement> {
        let accepted = object.meta().annotations.as_ref().and_then(|notes| notes.get(annotation::ACCEPT_VOLUMES));
        let is_ready = matches!(outcome, Outcome::Ready(_));
        let (recorded, replaced) =
            volumes::compare(&known_volumes(object, memory), children, accepted.map(String::as_str), is_ready);
        status.record_volumes(recorded);
        let namespace = object.meta().namespace.as_deref().unwrap_or_default();
        let name = object.meta().name.as_deref().unwrap_or_default();
        let reference = format!("{}/{name}", K::plural(&()));
        let message = Replaced::message(&replaced, namespace, &reference)?;
        let is_said = find(&known_conditions(object, memory), VOLUMES_KEPT).is_some_and(|said| said.message == message);
        if !is_said {
            let happening = Happening {
                is_warning: true,
                reason: reason::VOLUME_REPLACED.as_str().to_owned(),
                action: "Observe",
                note: message.clone(),
                about: None,
            };
            self.note(object, memory, happening).await;
        }
        Some(Statement::fails(VOLUMES_KEPT, reason::VOLUME_REPLACED, message))
    }

    /// Keeps what was known of the status, and reports that a pass failed.
    pub(super) async fn report_failure<K: Kind>(
        &self,
        object: &K,
        memory: &Memory,
        reason: Reason,
        message: &str,
    ) -> kube::Result<()> {
        let known = known_conditions(object, memory);
        let outcome = Outcome::Reconciling(reason, message.to_owned());
        let generation = object.meta().generation;
        let conditions = with_outcome(&outcome, known.clone(), generation);
        let event = transition(&known, &conditions);
        // A failure takes nothing away.
        let mut next = known_status(object, memory)?;
        next["observedGeneration"] = json!(generation);
        next["conditions"] = json!(conditions);
        self.tell(object, memory, &next, event).await
    }

    /// Says of an object that does not parse what is wrong with it, once for each of its generations.
    pub(super) async fn report_unparsable<K: Kind>(
        &self,
        error: &kube::core::error_boundary::InvalidObject,
        memory: &Memory,
    ) -> kube::Result<()> {
        let generation = error.metadata.generation;
        if memory.with(|state| state.reported_unparsable == generation.or(Some(0))) {
            return Ok(());
        }
        // Read as it is: for the field that is wrong, and for what else is in the status, on which others rely.
        let name = error.metadata.name.as_deref().unwrap_or_default();
        let Some(live) = self.api::<K>(&error.metadata).get_opt(name).await? else { return Ok(()) };
        let live = serde_json::to_value(live).map_err(kube::Error::SerdeError)?;
        let field = serde_path_to_error::deserialize::<_, K>(&live).err().map(|error| error.path().to_string());
        let message = format!(
            "{} does not parse: {}; correct the field, or update the CustomResourceDefinition if the controller is newer than it",
            field.as_deref().unwrap_or("the object"),
            error.error
        );
        let outcome = Outcome::Stalled(reason::UNPARSABLE, message);
        let before: Value = live.get("status").cloned().unwrap_or_else(|| json!({}));
        let conditions = serde_json::from_value(before["conditions"].clone()).unwrap_or_default();
        let mut status = before.clone();
        status["conditions"] = json!(with_outcome(&outcome, conditions, generation));
        status["observedGeneration"] = json!(generation);
        match self.patch::<K>(&error.metadata, &before, &status).await {
            Err(error) if !is_not_found(&error) && !is_conflict(&error) => return Err(error),
            Ok(_) | Err(_) => {}
        }
        memory.with(|state| state.reported_unparsable = generation.or(Some(0)));
        Ok(())
    }

    /// Records something that happened, beside the transitions of Ready. Events are a courtesy: one that cannot be recorded
    /// fails no pass.
    pub(super) async fn note<K: Kind>(&self, object: &K, memory: &Memory, happening: Happening) {
        let (regarding, reason) = (object.object_ref(&()), happening.reason.clone());
        if let Err(error) = events::record(&self.client, self.component, memory, regarding, happening).await {
            tracing::warn!(%error, reason, "could not record an event");
        }
    }

    /// Writes the status, and where it was news, the event that goes with it.
    async fn tell<K: Kind>(
        &self,
        object: &K,
        memory: &Memory,
        next: &Value,
        event: Option<Happening>,
    ) -> kube::Result<()> {
        if self.write(object, memory, next).await?
            && let Some(event) = event
        {
            self.note(object, memory, event).await;
        }
        Ok(())
    }

    /// `true` if the status was written.
    async fn write<K: Kind>(&self, object: &K, memory: &Memory, next: &Value) -> kube::Result<bool> {
        let known = known_status(object, memory)?;
        if same(&known, next) {
            return Ok(false);
        }
        match self.patch::<K>(object.meta(), &known, next).await {
            Ok(version) => {
                memory.with(|state| state.written = version.map(|version| (version, next.to_string().into())));
                Ok(true)
            }
            // It has gone, or another one has its name.
            Err(error) if is_not_found(&error) || is_conflict(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn api<K: Kind>(&self, meta: &ObjectMeta) -> Api<DynamicObject> {
        let resource = kube::api::ApiResource::erase::<K>(&());
        Api::namespaced_with(self.client.clone(), meta.namespace.as_deref().unwrap_or_default(), &resource)
    }

    /// Writes the status by a merge patch, which works on an object whose spec does not parse, too; server-side apply does
    /// not. Lists are replaced whole, and what is known and no longer wanted is set to null. Returns the version of the
    /// object that has this status.
    async fn patch<K: Kind>(&self, meta: &ObjectMeta, known: &Value, status: &Value) -> kube::Result<Option<u64>> {
        let mut status = status.clone();
        for gone in known.as_object().into_iter().flat_map(|known| known.keys()) {
            if status.get(gone).is_none() {
                status[gone] = Value::Null;
            }
        }
        let patch = json!({ "metadata": { "uid": meta.uid }, "status": status });
        let params = PatchParams { field_manager: Some(self.component.to_owned()), ..PatchParams::default() };
        let name = meta.name.as_deref().unwrap_or_default();
        let patched = self.api::<K>(meta).patch_status(name, &params, &Patch::Merge(patch)).await?;
        Ok(version(&patched.metadata))
    }
}

/// Whether the newest status says that the object is Ready, for whichever generation.
pub(super) fn says_ready<K: Kind>(object: &K, memory: &Memory) -> bool {
    find(&known_conditions(object, memory), READY).is_some_and(|ready| ready.status == "True")
}

/// The conditions as they were written last, even if the watch has not shown them yet.
fn known_conditions<K: Kind>(object: &K, memory: &Memory) -> Vec<Condition> {
    unseen(object, memory)
        .and_then(|status| serde_json::from_value(status["conditions"].clone()).ok())
        .unwrap_or_else(|| object.status().map(|status| status.conditions().to_vec()).unwrap_or_default())
}

/// The volumes as they were recorded last, even if the watch has not shown them yet.
fn known_volumes<K: Kind>(object: &K, memory: &Memory) -> Recorded {
    unseen(object, memory)
        .map(|status| serde_json::from_value(status["volumes"].clone()).unwrap_or_default())
        .or_else(|| object.status().map(Status::volumes))
        .unwrap_or_default()
}

/// The status as it was written last, even if the watch has not shown it yet; null if there is none.
fn known_status<K: Kind>(object: &K, memory: &Memory) -> kube::Result<Value> {
    match unseen(object, memory) {
        Some(written) => Ok(written),
        None => serde_json::to_value(object.status()).map_err(kube::Error::SerdeError),
    }
}

/// The status that was written last, if the object is older than that.
fn unseen<K: Kind>(object: &K, memory: &Memory) -> Option<Value> {
    let seen = version(object.meta())?;
    let text = memory.with(|state| {
        state.written.take_if(|(version, _)| seen >= *version);
        state.written.as_ref().map(|(_, status)| status.clone())
    })?;
    serde_json::from_str(&text).ok()
}

fn version(meta: &ObjectMeta) -> Option<u64> {
    meta.resource_version.as_deref()?.parse().ok()
}

/// Whether two statuses say the same. The API server decides in which order it keeps conditions.
fn same(one: &Value, other: &Value) -> bool {
    let sorted = |status: &Value| {
        let mut status = status.clone();
        if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
            conditions.sort_by_key(|condition| condition["type"].to_string());
        }
        status
    };
    one == other || sorted(one) == sorted(other)
}

/// The conditions as they were, with those that the driver states replaced.
fn with_outcome(outcome: &Outcome, before: Vec<Condition>, generation: Option<i64>) -> Vec<Condition> {
    let mut conditions = dated(outcome.statements(), &before, generation, Timestamp::now());
    let of_driver = |kind: &str| [READY, RECONCILING, STALLED, PAUSED].contains(&kind);
    conditions.extend(before.into_iter().filter(|condition| !of_driver(&condition.type_)));
    conditions
}

/// One event for each transition of Ready: a new status, or a new reason.
fn transition(before: &[Condition], after: &[Condition]) -> Option<Happening> {
    let ready = find(after, READY)?;
    let old = find(before, READY);
    if old.is_some_and(|old| old.status == ready.status && old.reason == ready.reason) {
        return None;
    }
    let stalled = find(after, STALLED).is_some();
    let failures = [reason::RECONCILE_ERROR, reason::INTERNAL_ERROR, reason::DEADLINE_EXCEEDED];
    let failed = failures.iter().any(|failure| failure.as_str() == ready.reason);
    let lost = old.is_some_and(|old| old.status == "True")
        && ready.status != "True"
        && ready.reason != reason::APPLYING.as_str();
    Some(Happening {
        is_warning: stalled || failed || lost,
        reason: ready.reason.clone(),
        action: "Reconcile",
        note: ready.message.clone(),
        about: None,
    })
}
