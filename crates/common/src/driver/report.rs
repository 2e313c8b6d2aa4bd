//! Status and events: the only code in the workspace that writes either.

mod known;
mod outcome;

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::ObjectMeta, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

pub(super) use self::{
    known::is_reported_ready,
    outcome::{Facts, PassOutcome},
};

use self::{
    known::{known_conditions, known_status, known_volumes, version},
    outcome::{transition, with_outcome},
};
use super::{
    events::{self, NewEvent},
    memory::Memory,
    volumes::{self, Replaced},
    write::{is_conflict, is_not_found},
};
use crate::{
    api::{Kind, Status, annotation},
    cache::Children,
    component::Component,
    condition::{DATA_SET_ASIDE, Reason, Statement, VOLUMES_KEPT, dated, find, reason},
    metadata::Timeless,
    readiness::Program,
};

/// Writes status and events.
#[derive(Clone)]
pub(super) struct Reporter {
    client: Client,
    component: &'static str,
    programs: &'static [Program],
}

impl Reporter {
    pub(super) fn new<C: Component>(client: Client) -> Self {
        Self { client, component: C::NAME, programs: C::PROGRAMS }
    }

    /// Writes the status if it differs from the existing one, and one event if Ready has changed.
    pub(super) async fn report<K: Kind>(
        &self,
        object: &K,
        memory: &Memory,
        outcome: &PassOutcome,
        facts: Facts<K::Status>,
        children: &Children,
    ) -> kube::Result<()> {
        let Facts { mut status, conditions: mut statements } = facts;
        let known = known_conditions(object, memory);
        let replaced = self.record_volumes(object, memory, outcome, &mut status, children).await;
        statements.extend(replaced);
        statements.extend(self.report_set_aside(object, memory, children).await);
        let all = outcome.statements().into_iter().chain(statements).collect();
        let generation = object.meta().generation;
        status.report(generation, dated(all, &known, generation, Timestamp::now()));
        let event = transition(&known, status.conditions());
        let next = serde_json::to_value(&status).map_err(kube::Error::SerdeError)?;
        self.write_with_event(object, memory, &next, event).await
    }

    /// Records the volumes with which the object is Ready, and reports replaced ones, with an event for each.
    async fn record_volumes<K: Kind>(
        &self,
        object: &K,
        memory: &Memory,
        outcome: &PassOutcome,
        status: &mut K::Status,
        children: &Children,
    ) -> Option<Statement> {
        let accepted = object.meta().annotations.as_ref().and_then(|notes| notes.get(annotation::ACCEPT_VOLUMES));
        let is_ready = matches!(outcome, PassOutcome::Ready(_));
        let (recorded, replaced) =
            volumes::compare(&known_volumes(object, memory), children, accepted.map(String::as_str), is_ready);
        status.record_volumes(recorded);
        let namespace = object.meta().namespace.as_deref().unwrap_or_default();
        let name = object.meta().name.as_deref().unwrap_or_default();
        let reference = format!("{}/{name}", K::plural(&()));
        let message = Replaced::message(&replaced, namespace, &reference)?;
        self.note_once(object, memory, VOLUMES_KEPT, reason::VOLUME_REPLACED, &message).await;
        Some(Statement::fails(VOLUMES_KEPT, reason::VOLUME_REPLACED, message))
    }

    /// Reports data that pods have set aside on their volumes, with an event.
    async fn report_set_aside<K: Kind>(&self, object: &K, memory: &Memory, children: &Children) -> Option<Statement> {
        let message = volumes::set_aside(children, self.programs)?;
        self.note_once(object, memory, DATA_SET_ASIDE, reason::SET_ASIDE, &message).await;
        Some(Statement::holds(DATA_SET_ASIDE, reason::SET_ASIDE, message))
    }

    /// Records a warning unless the condition has the same message already.
    async fn note_once<K: Kind>(&self, object: &K, memory: &Memory, kind: &str, reason: Reason, message: &str) {
        let known = known_conditions(object, memory);
        if find(&known, kind).is_some_and(|said| said.message == message) {
            return;
        }
        let event = NewEvent {
            is_warning: true,
            reason: reason.as_str().to_owned(),
            action: "Observe",
            note: message.to_owned(),
            about: None,
        };
        self.note(object, memory, event).await;
    }

    /// Keeps the known status, and reports that a pass failed.
    pub(super) async fn report_failure<K: Kind>(
        &self,
        object: &K,
        memory: &Memory,
        reason: Reason,
        message: &str,
    ) -> kube::Result<()> {
        let known = known_conditions(object, memory);
        let outcome = PassOutcome::Reconciling(reason, message.to_owned());
        let generation = object.meta().generation;
        let conditions = with_outcome(&outcome, known.clone(), generation);
        let event = transition(&known, &conditions);
        // A failure removes nothing.
        let mut next = known_status(object, memory)?;
        next["observedGeneration"] = json!(generation);
        next["conditions"] = json!(conditions);
        self.write_with_event(object, memory, &next, event).await
    }

    /// Reports the error of an object that does not parse, once per generation.
    pub(super) async fn report_unparsable<K: Kind>(
        &self,
        error: &kube::core::error_boundary::InvalidObject,
        memory: &Memory,
    ) -> kube::Result<()> {
        let generation = error.metadata.generation;
        if memory.with(|state| state.reported_unparsable == generation.or(Some(0))) {
            return Ok(());
        }
        // Read as plain JSON, to find the wrong field, and to keep the rest of the status, on which other components rely.
        let name = error.metadata.name.as_deref().unwrap_or_default();
        let Some(Timeless(live)) = self.api::<K>(&error.metadata).get_opt(name).await? else { return Ok(()) };
        let live = serde_json::to_value(live).map_err(kube::Error::SerdeError)?;
        let field = serde_path_to_error::deserialize::<_, K>(&live).err().map(|error| error.path().to_string());
        let message = format!(
            "{} does not parse: {}; correct the field, or update the CustomResourceDefinition if it is older than the controller",
            field.as_deref().unwrap_or("the object"),
            error.error
        );
        let outcome = PassOutcome::Stalled(reason::UNPARSABLE, message);
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

    /// Records an event other than a transition of Ready. An event that cannot be recorded fails no pass.
    pub(super) async fn note<K: Kind>(&self, object: &K, memory: &Memory, event: NewEvent) {
        let (regarding, reason) = (object.object_ref(&()), event.reason.clone());
        if let Err(error) = events::record(&self.client, self.component, &memory.events, regarding, event).await {
            tracing::warn!(%error, reason, "could not record an event");
        }
    }

    /// Writes the status, and if it changed, the event that belongs to it.
    async fn write_with_event<K: Kind>(
        &self,
        object: &K,
        memory: &Memory,
        next: &Value,
        event: Option<NewEvent>,
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
        if is_same(&known, next) {
            return Ok(false);
        }
        match self.patch::<K>(object.meta(), &known, next).await {
            Ok(version) => {
                memory.with(|state| state.written = version.map(|version| (version, next.to_string().into())));
                Ok(true)
            }
            // It has been deleted, or another object has its name.
            Err(error) if is_not_found(&error) || is_conflict(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn api<K: Kind>(&self, meta: &ObjectMeta) -> Api<Timeless<DynamicObject>> {
        let resource = kube::api::ApiResource::erase::<K>(&());
        Api::namespaced_with(self.client.clone(), meta.namespace.as_deref().unwrap_or_default(), &resource)
    }

    /// Writes the status by a merge patch, which works on an object whose spec does not parse, too; server-side apply does
    /// not. Lists are replaced as a whole, and obsolete fields are set to null. Returns the version of the
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
        let Timeless(patched) = self.api::<K>(meta).patch_status(name, &params, &Patch::Merge(patch)).await?;
        Ok(version(&patched.metadata))
    }
}

/// Whether two statuses are equal. The API server decides the order of conditions.
fn is_same(one: &Value, other: &Value) -> bool {
    let sorted = |status: &Value| {
        let mut status = status.clone();
        if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
            conditions.sort_by_key(|condition| condition["type"].to_string());
        }
        status
    };
    one == other || sorted(one) == sorted(other)
}
