//! Carries out a plan: applies and deletes objects, then makes the writes to the product.

use std::collections::VecDeque;

use kube::{Resource, ResourceExt, core::Status};
use tokio::time::Instant;

use super::{
    error::Error,
    memory::{Stage, backoff},
    pass::{Ending, Pass, Planned, about, stalled_by},
    passes::{NextPass, Passes, Result},
    plan::{Plan, Write},
    report::{PassOutcome, is_reported_ready},
    write::{Written, is_leaving_status, write},
};
use crate::{
    component::{Component, Intent},
    condition::reason,
    failure::{LONGEST, bounded, printable},
    manifest::{Manifest, Operator, hash},
    readiness::refusal,
    world::silent_webhook,
};

/// How many passes in a row may repeat the work of an earlier one before they slow down.
const PATIENCE: u32 = 10;
/// How many passes in a row may change something before they slow down: far more than any rollout has. A product that reports a
/// new difference each time would keep the controller busy for ever.
const LONGEST_WORK: u32 = 500;
/// The work of how many passes is remembered.
const REMEMBERED: usize = 64;
/// How many refused children a message names.
const MOST_REFUSED: usize = 3;

/// A child that the API server refused.
struct Refused {
    kind: String,
    /// The child, and the answer of the API server.
    message: String,
}

/// The result of applying a plan.
struct Applied {
    /// Whether the cache has changed.
    changed: bool,
    refused: Vec<Refused>,
}

impl<C: Component> Pass<'_, C> {
    /// Applies the plan, then acts on the product. `None`: nothing was left to do but upkeep.
    pub(super) async fn carry_out(&self, planned: &Planned<C>) -> Result<Option<Ending>, C> {
        let Planned { intent: Intent { actions, upkeep, .. }, plan, .. } = planned;
        self.memory.enter(Stage::CarryOut);
        self.act(upkeep).await?;
        if plan.writes.is_empty() && actions.is_empty() {
            self.memory.with(|state| {
                (state.changes, state.futile) = (0, 0);
                state.done = VecDeque::new();
            });
            return Ok(None);
        }
        let Applied { changed, refused } = match self.apply(planned).await? {
            Ok(applied) => applied,
            Err(outcome) => return Ok(Some(outcome.into())),
        };
        if !refused.is_empty() {
            return Ok(Some(self.stall_on(&refused)));
        }
        self.act(actions).await?;
        // The changes have not been verified yet.
        self.memory.with(|state| state.verdict = None);
        let repeated = self.note_work(plan, actions);
        Ok(Some(self.after_change(changed || !actions.is_empty(), repeated)))
    }

    /// Makes the writes, in order. Writes that depend on a refused one are skipped; an object of another owner ends the pass, and so
    /// does an operator that gives no answer.
    async fn apply(&self, planned: &Planned<C>) -> Result<std::result::Result<Applied, PassOutcome>, C> {
        let (object, namespace) = (self.object, &self.instance.namespace);
        let Planned { intent, plan, .. } = planned;
        let mut applied = Applied { changed: false, refused: Vec::new() };
        for step in &plan.writes {
            let (kind, what) = (step.kind(), step.to_string());
            tracing::info!(object = %object.name_any(), %namespace, "{what}");
            let operator = operator_of(&intent.manifests, step);
            if applied.refused.iter().any(|refused| depends_on(step, operator, refused)) {
                continue;
            }
            let Passes { client, drawing, .. } = self.with;
            let written = match write(client, namespace, &self.owner, drawing, step).await {
                Err(kube::Error::Api(answer)) if is_refusal(&answer) => {
                    let words = bounded(&answer.message, LONGEST);
                    tracing::warn!(object = %object.name_any(), %namespace, "{what}: {words}");
                    if let Some(operator) = operator.filter(|operator| operator.is_silent(&answer)) {
                        return Ok(Err(operator_not_ready(operator, &words)));
                    }
                    applied.refused.push(self.refused(step, &answer.message));
                    continue;
                }
                written => written.map_err(Error::api(&*what))?,
            };
            match written {
                Written::Is { object: made, adopted } => {
                    if adopted {
                        let note = format!("{what}: retained from an earlier object of the same name");
                        self.note("Adopted", "Adopt", note, about(kind, made.meta())).await;
                    }
                    self.memory.with(|state| state.answers.note(step, made.meta()));
                    applied.changed |= self.with.cache.put(kind, *made);
                }
                Written::Gone => applied.changed |= self.with.cache.forget(&self.instance, kind, step.name()),
                Written::Taken(taken) => {
                    let outcome = stalled_by(&taken);
                    self.memory.with(|state| state.taken = Some((Instant::now(), taken)));
                    return Ok(Err(outcome));
                }
                // The watch triggers the next pass when the cache has caught up.
                Written::Overtaken if step.is_guarded() => return Ok(Err(overtaken(step))),
                Written::Overtaken => {}
            }
        }
        Ok(Ok(applied))
    }

    /// The refusal of the API server.
    fn refused(&self, step: &Write, words: &str) -> Refused {
        let reference = format!("{}/{}", step.kind(), step.name());
        let template = step.object().and_then(|object| object.pointer("/spec/template").cloned());
        let template = template.and_then(|template| serde_json::from_value(template).ok());
        let message = refusal::of_child(&reference, words, template.as_ref(), &self.instance.namespace, C::PROGRAMS);
        Refused { kind: step.kind().to_owned(), message }
    }

    /// The user must act, or the refusing component; no watch shows when that has happened, so it is retried with backoff.
    fn stall_on(&self, refused: &[Refused]) -> Ending {
        let wait = self.memory.with(|state| {
            state.verdict = None;
            state.back_off(Instant::now())
        });
        let messages: Vec<&str> = refused.iter().take(MOST_REFUSED).map(|refused| refused.message.as_str()).collect();
        let mut message = messages.join(". ");
        if let Some(more) = refused.len().checked_sub(MOST_REFUSED).filter(|more| *more > 0) {
            message = format!("{message}. {more} more refused");
        }
        Ending::ReportAndThen(PassOutcome::Stalled(reason::CHILD_REFUSED, message), NextPass::After(wait))
    }

    /// Makes these writes to the product, in order.
    async fn act(&self, actions: &[C::Action]) -> Result<(), C> {
        let (object, namespace) = (self.object, &self.instance.namespace);
        for action in actions {
            // Its names may be those that a stranger's server lists.
            let shown = printable(&action.to_string());
            tracing::info!(object = %object.name_any(), %namespace, "{shown}");
            let acted = self.with.component.act(action, &self.memory.memos).await;
            acted.map_err(|source| Error::Act { action: shown, source })?;
        }
        Ok(())
    }

    /// Remembers the work of a pass. Returns how many passes in a row were futile: a long rollout has many different steps, a
    /// conflict with another writer repeats the same ones.
    fn note_work(&self, plan: &Plan, actions: &[C::Action]) -> u32 {
        let writes = plan.writes.iter().map(ToString::to_string);
        let done: Vec<String> = writes.chain(actions.iter().map(ToString::to_string)).collect();
        let done = hash(&done.into());
        self.memory.with(|state| {
            state.changes = state.changes.saturating_add(1);
            if state.done.contains(&done) {
                state.futile = state.futile.saturating_add(1);
            } else {
                state.done.push_back(done);
                if state.done.len() > REMEMBERED {
                    state.done.pop_front();
                }
            }
            state.futile.max(state.changes.saturating_sub(LONGEST_WORK))
        })
    }

    /// Usually the next pass comes at once and reports what it finds. Until then Ready must not remain; anything else may.
    fn after_change(&self, changed: bool, repeated: u32) -> Ending {
        if changed && repeated < PATIENCE && !is_reported_ready(self.object, self.memory) {
            self.memory.with(|state| state.failures = 0);
            return Ending::Again;
        }
        let outcome =
            PassOutcome::Reconciling(reason::APPLYING, "changes applied; waiting for them to take effect".to_owned());
        if !changed {
            // The cache is behind, and the same writes would be repeated: the watch triggers a pass when it has caught up.
            return outcome.into();
        }
        self.memory.with(|state| state.failures = 0);
        let next = match repeated.checked_sub(PATIENCE) {
            None => NextPass::Again,
            // Another writer reverts the changes, or the product loses them: retry with backoff.
            Some(more) => NextPass::After(backoff(more)),
        };
        Ending::ReportAndThen(outcome, next)
    }
}

/// Whether the API server refuses the write itself, so that a retry fails until the cause is removed.
fn is_refusal(answer: &Status) -> bool {
    (matches!(answer.code, 400 | 403 | 422) || silent_webhook(answer).is_some()) && !is_leaving_status(answer)
}

/// Another writer has changed a guarded object since it was read.
fn overtaken(step: &Write) -> PassOutcome {
    let message = format!("{}/{} changed meanwhile; reading it again", step.kind(), step.name());
    PassOutcome::Reconciling(reason::APPLYING, message)
}

/// The operator that admits the object of a write.
fn operator_of(manifests: &[Manifest], step: &Write) -> Option<Operator> {
    let is_it = |manifest: &&Manifest| manifest.resource.kind == step.kind() && manifest.name() == step.name();
    manifests.iter().find(is_it)?.operator
}

/// An operator whose webhook gives no answer is starting, or needs its administrator: the object waits for it.
fn operator_not_ready(Operator { name, pods, .. }: Operator, words: &str) -> PassOutcome {
    let message = format!("{name} not ready: its webhook does not answer ({words}); check its pods: {pods}");
    PassOutcome::Reconciling(reason::OPERATOR_NOT_READY, message)
}

/// Whether a write must not be made after that refusal: pods need the Secrets and ConfigMaps that they read, and must not be
/// reachable before their policy is in force; an object to delete may be the one that the refused one should have replaced.
fn depends_on(step: &Write, operator: Option<Operator>, refused: &Refused) -> bool {
    let stops =
        matches!(step, Write::Stop { .. }) || step.object().is_some_and(|object| object["spec"]["replicas"] == 0);
    let runs = !stops && (matches!(step.kind(), "StatefulSet" | "Deployment" | "Job") || operator.is_some());
    let is_needed = matches!(&*refused.kind, "Secret" | "ConfigMap" | "NetworkPolicy" | "ServiceAccount");
    matches!(step, Write::Delete { .. }) || (runs && is_needed)
}
