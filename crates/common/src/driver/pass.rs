//! One pass: observe, decide, plan, carry out, restart, settle, verify, report.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Resource, ResourceExt};

use super::{
    error::Error,
    events::NewEvent,
    hold::{Holding, hold},
    intent::Owner,
    memory::{Memory, Stage},
    passes::{NextPass, Passes, Result},
    plan::{self, NameConflict, Plan},
    report::{Facts, PassOutcome},
    restart,
    suspend::{start_kept, suspend},
    volumes::{self, Endangered},
    write::is_leaving,
};
use crate::{
    api::{annotation, check::wrong_with_spec},
    cache::{Children, Instance},
    component::{Component, Decision, Intent, Stalled, StatusOf, Waiting},
    condition::{Statement, reason},
    message::counted,
    readiness,
    suspension::Suspension,
    world::{RETRY, World},
};

impl<C: Component> Passes<C> {
    /// Runs one pass over an object.
    pub(super) async fn pass(&self, object: &C::Kind, memory: &Memory) -> Result<NextPass, C> {
        let (Some(owner), Some(namespace)) = (owner::<C>(object), object.namespace()) else {
            return Ok(NextPass::Never);
        };
        let instance = Instance { namespace, name: object.name_any() };
        let children = self.cache.children(&instance, &owner.reference.uid);
        let pass = Pass { with: self, object, memory, owner, instance, children };
        match pass.live().await {
            Err(Error::Api { source, .. }) if is_leaving(&source) => Ok(NextPass::Never),
            result => result,
        }
    }
}

/// One pass over one object.
pub(super) struct Pass<'a, C: Component> {
    pub(super) with: &'a Passes<C>,
    pub(super) object: &'a C::Kind,
    pub(super) memory: &'a Memory,
    pub(super) owner: Owner,
    pub(super) instance: Instance,
    /// The children as they were at the beginning.
    pub(super) children: Children,
}

/// An intent that may be carried out, with its changes in the cluster.
pub(super) struct Planned<C: Component> {
    pub(super) intent: Intent<C>,
    pub(super) plan: Plan,
    holding: Holding,
    suspension: Option<Suspension>,
}

/// How a pass ends.
pub(super) enum Ending {
    /// Reports the outcome; the next pass comes when the outcome requires it, or after this time if that is sooner.
    Report(PassOutcome, Option<Duration>),
    /// Reports the outcome; the next pass comes then.
    ReportAndThen(PassOutcome, NextPass),
    /// Reports nothing: the next pass comes at once, and reports what it finds.
    Again,
}

impl From<PassOutcome> for Ending {
    fn from(outcome: PassOutcome) -> Self {
        Self::Report(outcome, None)
    }
}

impl From<Waiting> for PassOutcome {
    fn from(Waiting { reason, message }: Waiting) -> Self {
        Self::Reconciling(reason, message)
    }
}

impl From<Stalled> for PassOutcome {
    fn from(Stalled { reason, message }: Stalled) -> Self {
        Self::Stalled(reason, message)
    }
}

impl<C: Component> Pass<'_, C> {
    async fn live(&self) -> Result<NextPass, C> {
        if self.object.meta().deletion_timestamp.is_some() {
            // Garbage collection does the rest, by owner references.
            return self.part().await;
        }
        if let Some(next) = self.hold_on().await? {
            return Ok(next);
        }
        self.run().await
    }

    pub(super) async fn run(&self) -> Result<NextPass, C> {
        self.discard_reads_after_edit().await;
        let world = self.world();
        let Decision { status, conditions, copy_commands, intent, serving, suspension } = self.decide(&world).await?;
        let (mut facts, is_suspended) = (Facts { status, conditions }, suspension.is_some());
        let outcome = self.blocking_outcome(&copy_commands);
        let ending = match (outcome, intent) {
            (Some(outcome), _) => outcome.into(),
            (None, Err(stalled)) => match suspension.filter(|_| stalled.reason != reason::INVALID_SPEC) {
                Some(suspension) => self.suspend_stalled(&suspension, stalled, &world).await?,
                None if is_suspended || stalled.reason == reason::INVALID_SPEC => PassOutcome::from(stalled).into(),
                None => self.start_stalled(stalled).await?,
            },
            (None, Ok(intent)) => match self.plan(intent, suspension, &world).await? {
                Err(taken) => stalled_by(&taken).into(),
                Ok(planned) => {
                    let (ending, condition) = self.change(&planned, &world).await?;
                    facts.conditions.extend(condition);
                    ending
                }
            },
        };
        let ending = match &serving {
            Some(probe) => self.beside_serving(ending, probe).await,
            None => ending,
        };
        // While anything runs, the component's conditions are about that.
        if matches!(ending, Ending::Report(PassOutcome::Suspended(_), _)) {
            facts.conditions = facts.conditions.into_iter().map(Statement::while_suspended).collect();
        }
        self.report(ending, facts).await
    }

    /// Why nothing may be done for this object, whatever its component has decided.
    fn blocking_outcome(&self, copy_commands: &BTreeMap<String, String>) -> Option<PassOutcome> {
        // This comes first, because anything else may end the pod.
        if let Some(message) = self.endangered(copy_commands) {
            return Some(PassOutcome::Stalled(reason::VOLUME_BEING_DELETED, message));
        }
        if let Some(message) = self.invalid() {
            return Some(PassOutcome::Stalled(reason::INVALID_SPEC, message));
        }
        // Taken a moment ago: a request in every pass would be useless.
        let taken = self.memory.with(|state| state.taken.clone());
        let taken = taken.filter(|(at, _)| at.elapsed() < RETRY);
        taken.map(|(_, taken)| stalled_by(&taken))
    }

    /// Compares the intent with what exists. A foreign object ends the pass.
    async fn plan(
        &self,
        mut intent: Intent<C>,
        suspension: Option<Suspension>,
        world: &World<'_>,
    ) -> Result<std::result::Result<Planned<C>, NameConflict>, C> {
        let rollout = (!intent.keeps_templates).then_some(intent.rollout);
        let holding = self
            .memory
            .with(|state| hold(&mut intent.manifests, &self.children, rollout, C::NAME, &mut state.templates));
        if let Some(taken) = self.taken_by_others(&intent.manifests, world).await? {
            return Ok(Err(taken));
        }
        let scaled = match suspension {
            Some(_) => suspend(&mut intent, &self.owner, &self.children),
            None => start_kept(&intent.manifests, &self.owner, &self.children),
        };
        let (manifests, owned) = (&intent.manifests, &self.with.owned);
        let plan = self
            .memory
            .with(|state| plan::plan(&self.owner, manifests, &holding, &self.children, owned, &state.answers));
        Ok(plan.map(|mut plan| {
            plan.writes.extend(scaled);
            Planned { intent, plan, holding, suspension }
        }))
    }

    /// The stages that change something, up to the verification; each may end the pass. Also returns the condition about a
    /// deferred rollout.
    async fn change(&self, planned: &Planned<C>, world: &World<'_>) -> Result<(Ending, Option<Statement>), C> {
        if let Some(outcome) = self.held_back(planned, world).await {
            return Ok((outcome.into(), None));
        }
        if let Some(ending) = self.carry_out(planned).await? {
            return Ok((ending, None));
        }
        let Planned { intent, holding, suspension, .. } = planned;
        self.memory.enter(Stage::Settle);
        if let Some(suspension) = suspension {
            return Ok((self.settle_suspended(planned, suspension, world).await?, None));
        }
        let outdated = restart::outdated(&intent.manifests, &self.children);
        let pending = if intent.keeps_templates { None } else { restart::pending(&outdated, holding, intent.rollout) };
        let ending = match self.restart(intent, &outdated).await? {
            Some(outcome) => Ending::Report(outcome, intent.look_again),
            None => match self.settle(planned, world).await? {
                Some(ending) => ending,
                None => self.verify(intent).await,
            },
        };
        Ok((ending, pending))
    }

    /// The changes that a paused object holds back.
    async fn held_back(&self, planned: &Planned<C>, world: &World<'_>) -> Option<PassOutcome> {
        let Planned { intent, plan, .. } = planned;
        let count = plan.writes.len() + intent.actions.len() + intent.upkeep.len();
        if count == 0 || !is_paused(self.object) {
            return None;
        }
        let held_back = format!("{} {}", counted(count, "change"), if count == 1 { "is" } else { "are" });
        let missing = readiness::missing(&intent.manifests, world, C::PROGRAMS).await;
        Some(paused(&held_back, missing.as_deref()))
    }

    /// Whether everything that was applied is ready, and nothing is awaited any more.
    async fn settle(&self, planned: &Planned<C>, world: &World<'_>) -> Result<Option<Ending>, C> {
        let Planned { intent, .. } = planned;
        let Intent { manifests, waiting, stalled, look_again, .. } = intent;
        if let Some(ending) = self.recreating(planned).await? {
            return Ok(Some(ending));
        }
        if let Some(stalled) = stalled.clone() {
            return Ok(Some(PassOutcome::from(stalled).into()));
        }
        if let Some(missing) = readiness::missing(manifests, world, C::PROGRAMS).await {
            // The component's cause is more specific than the number of ready pods.
            let outcome = match waiting {
                Some(Waiting { reason, message }) if *reason != reason::CHILDREN_NOT_READY => {
                    PassOutcome::Reconciling(*reason, format!("{message} ({missing})"))
                }
                _ => PassOutcome::Reconciling(reason::CHILDREN_NOT_READY, missing),
            };
            return Ok(Some(outcome.into()));
        }
        if let Some(waiting) = waiting {
            // Shared reads may be outdated: the next pass reads them again.
            self.with.cluster.doubt(RETRY).await;
            return Ok(Some(Ending::Report(waiting.clone().into(), *look_again)));
        }
        let unserved = readiness::unserved(manifests, &self.children);
        let outcome = unserved.map(|unserved| PassOutcome::Reconciling(reason::NO_ENDPOINTS, unserved));
        Ok(outcome.map(|outcome| Ending::Report(outcome, *look_again)))
    }

    /// Whether objects are being deleted that must be created again.
    pub(super) async fn recreating(&self, Planned { intent, plan, .. }: &Planned<C>) -> Result<Option<Ending>, C> {
        if plan.leaving.is_empty() {
            return Ok(None);
        }
        if self.forget_the_gone(&intent.manifests, &plan.leaving).await? {
            return Ok(Some(Ending::Again));
        }
        let message = format!("{} is being deleted and will be recreated", plan.leaving.join(", "));
        Ok(Some(PassOutcome::Reconciling(reason::APPLYING, message).into()))
    }

    /// Errors in the spec that the schema, or an older one, accepted.
    fn invalid(&self) -> Option<String> {
        let object = serde_json::to_value(self.object).unwrap_or_default();
        let wrong = wrong_with_spec(&object["spec"]);
        (!wrong.is_empty()).then(|| wrong.join(". "))
    }

    /// The message about volumes that are lost when a pod ends.
    fn endangered(&self, copy_commands: &BTreeMap<String, String>) -> Option<String> {
        let endangered = volumes::endangered(&self.children);
        let copy = endangered.first().and_then(|first| copy_commands.get(&first.pod));
        Endangered::message(&endangered, &self.instance.namespace, copy.map(String::as_str))
    }

    /// Records an event about a child.
    pub(super) async fn note(&self, reason: &str, action: &'static str, note: String, about: ObjectReference) {
        let event = NewEvent { is_warning: false, reason: reason.to_owned(), action, note, about: Some(about) };
        self.with.reporter.note(self.object, self.memory, event).await;
    }

    /// Writes the status, and decides when the next pass runs.
    async fn report(&self, ending: Ending, facts: Facts<StatusOf<C>>) -> Result<NextPass, C> {
        let (outcome, sooner, then) = match ending {
            Ending::Again => return Ok(NextPass::Again),
            Ending::Report(outcome, sooner) => (outcome, sooner, None),
            Ending::ReportAndThen(outcome, next) => (outcome, None, Some(next)),
        };
        self.memory.enter(Stage::Report);
        let report = self.with.reporter.report(self.object, self.memory, &outcome, facts, &self.children).await;
        report.map_err(Error::api("write the status"))?;
        if let Some(next) = then {
            return Ok(next);
        }
        self.memory.with(|state| state.failures = 0);
        Ok(self.next_pass(&outcome, sooner))
    }
}

/// The reference to a child in an event.
pub(super) fn about(kind: &str, meta: &ObjectMeta) -> ObjectReference {
    ObjectReference {
        kind: Some(kind.to_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        ..ObjectReference::default()
    }
}

pub(super) fn is_paused(object: &impl ResourceExt) -> bool {
    object.annotations().get(annotation::PAUSED).is_some_and(|value| value == "true")
}

/// The outcome while changes are held back, with what is missing meanwhile.
pub(super) fn paused(held_back: &str, missing: Option<&str>) -> PassOutcome {
    let missing = missing.map(|missing| format!(". {missing}")).unwrap_or_default();
    PassOutcome::Paused(format!(
        "{held_back} held back; remove the annotation {} to continue{missing}",
        annotation::PAUSED
    ))
}

pub(super) fn stalled_by(taken: &NameConflict) -> PassOutcome {
    PassOutcome::Stalled(
        reason::NAME_TAKEN,
        format!(
            "{} exists and belongs to another owner; rename this object, or delete the other one if nobody needs it",
            taken.reference
        ),
    )
}

fn owner<C: Component>(object: &C::Kind) -> Option<Owner> {
    let reference = object.controller_owner_ref(&())?;
    Some(Owner { component: C::NAME, reference })
}
