//! One pass: observe, decide, act, report.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::core::v1::{ObjectReference, Pod},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Client, Resource, ResourceExt, api::ApiResource, core::object::HasStatus};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    error::Error,
    intent::is_ours,
    memory::{Judged, Memory, backoff},
    plan::{self, Owner, Plan, Taken},
    report::{Outcome, Reporter},
    restart::{self, Outdated, Restart},
    settle,
    write::{Written, is_leaving, restart_pod, write},
};
use crate::{
    api::{Rollout, Status, annotation},
    cache::{Cache, Children, Instance},
    component::{Child, Component, Facts, Progress, Verdict},
    condition::{self, reason},
    manifest::{Making, Manifest, hash},
    world::{RESYNC, RETRY, Watched, World},
};

/// How old a verdict may be before the component is used again.
const VERIFY_EVERY: Duration = Duration::from_secs(180);
/// How many passes in a row may change something before they slow down.
const PATIENCE: u32 = 10;
/// The longest time between two looks at something that is awaited.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// When an object is to be looked at again, if nothing happens before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// At once: the pass changed something.
    Again,
    /// After this time.
    After(Duration),
    /// Not at all.
    Never,
}

/// What passes are made with.
pub(super) struct Passes<C: Component> {
    pub(super) component: C,
    pub(super) client: Client,
    pub(super) cache: Arc<Cache>,
    pub(super) watched: Watched,
    pub(super) reporter: Reporter,
    kept: Vec<ApiResource>,
}

type Result<T, C> = std::result::Result<T, Error<<C as Component>::Error>>;

impl<C: Component> Passes<C> {
    pub(super) fn new(component: C, client: Client, cache: Arc<Cache>, watched: Watched) -> Self {
        let kept = C::children().into_iter().filter(Child::is_kept).map(|child| child.resource).collect();
        let reporter = Reporter::new(client.clone(), C::NAME);
        Self { component, client, cache, watched, reporter, kept }
    }

    /// Makes one pass over an object.
    pub(super) async fn pass(&self, object: &C::Kind, memory: &Memory) -> Result<Next, C> {
        let (Some(owner), Some(namespace)) = (owner::<C>(object), object.namespace()) else { return Ok(Next::Never) };
        if object.meta().deletion_timestamp.is_some() {
            // Garbage collection does the rest: owner references lead to all that is to go.
            return Ok(Next::Never);
        }
        let instance = Instance { namespace, name: object.name_any() };
        match self.steps(object, memory, &owner, &instance).await {
            Err(Error::Api { source, .. }) if is_leaving(&source) => Ok(Next::Never),
            result => result,
        }
    }

    async fn steps(&self, object: &C::Kind, memory: &Memory, owner: &Owner, instance: &Instance) -> Result<Next, C> {
        let generation = object.meta().generation;
        let is_edited = memory.with(|state| std::mem::replace(&mut state.generation, generation) != generation);
        if is_edited {
            // The user has acted, and wants to see what has come of it.
            memory.reads.forget();
            memory.with(|state| state.taken = None);
        }
        let children = self.cache.children(instance);
        let is_ready =
            object.status().is_some_and(|status| condition::is_ready(status.conditions(), object.meta().generation));
        let world = World {
            client: &self.client,
            namespace: &instance.namespace,
            children: &children,
            watched: &self.watched,
            reads: &memory.reads,
            max_age: if is_ready { RESYNC } else { RETRY },
        };
        let observed = self.component.observe(object, &world).await.map_err(Error::Observe)?;
        let mut facts = self.component.facts(object, &observed);
        let progress = self.component.progress(object, &observed);
        if let Progress::Stalled { reason, message } = progress {
            return self.end(object, memory, Outcome::Stalled(reason, message), facts).await;
        }

        // Known to be somebody else's a moment ago: asking again with every pass would only be noise.
        let taken = memory.with(|state| state.taken.clone());
        if let Some((at, taken)) = taken
            && at.elapsed() < RETRY
        {
            return self.end(object, memory, stalled_by(&taken), facts).await;
        }

        let manifests = self.component.desire(object, &observed);
        let planned = match self.strangers(&manifests, owner, &world).await? {
            Some(taken) => Err(taken),
            None => memory.with(|state| plan::plan(owner, &manifests, &children, &self.kept, &state.answers)),
        };
        let plan = match planned {
            Ok(plan) => plan,
            Err(taken) => return self.end(object, memory, stalled_by(&taken), facts).await,
        };
        let actions = self.component.actions(object, &observed);
        if is_paused(object) && (!plan.writes.is_empty() || !actions.is_empty()) {
            let held_back = format!("{} changes are", plan.writes.len() + actions.len());
            let missing = settle::unsettled(&manifests, &children);
            return self.end(object, memory, paused(&held_back, missing.as_deref()), facts).await;
        }
        if !plan.writes.is_empty() || !actions.is_empty() {
            return self.work(object, memory, owner, instance, &observed, (plan, actions), facts).await;
        }

        memory.with(|state| state.changes = 0);
        let outdated = restart::outdated(&manifests, &children);
        if let Some(statement) = restart::pending(&outdated, self.component.rollout(object)) {
            facts.statements.push(statement);
        }
        if let Some(outcome) = self.restart(object, &observed, instance, &outdated).await? {
            return self.end(object, memory, outcome, facts).await;
        }
        if !plan.leaving.is_empty() {
            let message = format!("{} is being deleted, and is made again afterwards", plan.leaving.join(", "));
            return self.end(object, memory, Outcome::Reconciling(reason::APPLYING, message), facts).await;
        }
        if let Some(missing) = settle::unsettled(&manifests, &children) {
            return self.end(object, memory, Outcome::Reconciling(reason::CHILDREN_NOT_READY, missing), facts).await;
        }
        if let Progress::Waiting { reason, message } = progress {
            return self.end(object, memory, Outcome::Reconciling(reason, message), facts).await;
        }
        let outcome = match self.verdict(object, memory, &observed, &children).await {
            Verdict::Verified(message) => Outcome::Ready(message),
            Verdict::Failed { reason, message } => Outcome::Reconciling(reason, message),
            Verdict::Stalled { reason, message } => Outcome::Stalled(reason, message),
        };
        let ready = matches!(outcome, Outcome::Ready(_));
        let next = self.end(object, memory, outcome, facts).await?;
        Ok(match (next, self.component.look_again(object, &observed)) {
            (Next::After(later), Some(sooner)) if ready => Next::After(later.min(sooner)),
            (next, _) => next,
        })
    }

    /// An object that another controller is to make, and that is there without our labels: somebody else's.
    async fn strangers(&self, manifests: &[Manifest], owner: &Owner, world: &World<'_>) -> Result<Option<Taken>, C> {
        for manifest in manifests.iter().filter(|manifest| manifest.making == Making::Existing) {
            if world.children.get(&manifest.resource.kind, manifest.name()).is_some() {
                continue;
            }
            let reference = manifest.reference();
            let found = world
                .get_any(&manifest.resource, manifest.name())
                .await
                .map_err(Error::api(format!("read {reference}")))?;
            if found.is_some_and(|found| !is_ours(owner, &found.metadata)) {
                return Ok(Some(Taken { reference }));
            }
        }
        Ok(None)
    }

    #[allow(clippy::too_many_arguments)] // one caller; a struct for it would only be unpacked again
    async fn work(
        &self,
        object: &C::Kind,
        memory: &Memory,
        owner: &Owner,
        instance: &Instance,
        observed: &C::Observed,
        (plan, actions): (Plan, Vec<C::Action>),
        facts: Facts<<C::Kind as HasStatus>::Status>,
    ) -> Result<Next, C> {
        let mut changed = !actions.is_empty();
        for step in &plan.writes {
            let kind = step.kind();
            let what = step.to_string();
            tracing::info!(object = %object.name_any(), namespace = %instance.namespace, "{what}");
            let written = write(&self.client, &instance.namespace, owner, step).await.map_err(Error::api(&*what))?;
            match written {
                Written::Is { object: made, adopted } => {
                    if adopted {
                        let note = format!("{what}: it was kept from an earlier object of this name");
                        self.reporter.note(object, about(kind, made.meta()), "Adopted", "Adopt", note).await;
                    }
                    memory.with(|state| state.answers.note(step, made.meta()));
                    changed |= self.cache.put(kind, *made);
                }
                Written::Gone => changed |= self.cache.forget(instance, kind, step.name()),
                Written::Taken(taken) => {
                    let outcome = stalled_by(&taken);
                    memory.with(|state| state.taken = Some((Instant::now(), taken)));
                    return self.end(object, memory, outcome, facts).await;
                }
                Written::Overtaken => {}
            }
        }
        for action in &actions {
            tracing::info!(object = %object.name_any(), namespace = %instance.namespace, "{action}");
            self.component
                .act(object, observed, action)
                .await
                .map_err(|source| Error::Act { action: action.to_string(), source })?;
        }
        // What was just changed has not been used yet.
        memory.with(|state| state.verdict = None);
        let outcome = Outcome::Reconciling(reason::APPLYING, "changes were made; their effect is awaited".to_owned());
        let later = self.end(object, memory, outcome, facts).await?;
        // Where the cache is behind, the same writes would be tried again and again: the watch calls when it has caught up.
        let changes = memory.with(|state| {
            state.changes = state.changes.saturating_add(1);
            state.changes
        });
        Ok(match changes.checked_sub(PATIENCE) {
            _ if !changed => later,
            None => Next::Again,
            // Somebody undoes what we do, or the product forgets it: no reason to fight at full speed.
            Some(futile) => Next::After(backoff(futile)),
        })
    }

    /// Restarts at most one pod, when it is safe. Says what it did or waits for.
    async fn restart(
        &self,
        object: &C::Kind,
        observed: &C::Observed,
        instance: &Instance,
        outdated: &Outdated,
    ) -> Result<Option<Outcome>, C> {
        let automatic = self.component.rollout(object) == Rollout::Automatic;
        let pods = self.cache.children(instance).all::<Pod>();
        let gate = || self.component.restart_gate(object, observed);
        let pod = match restart::decide(outdated, &pods, automatic, gate) {
            Restart::None => return Ok(None),
            Restart::Later(why) => return Ok(Some(Outcome::Reconciling(reason::APPLYING, why))),
            Restart::Now(pod) => pod,
        };
        if is_paused(object) {
            return Ok(Some(paused(&format!("the restart of Pod/{} is", pod.name_any()), None)));
        }
        let name = pod.name_any();
        tracing::info!(object = %object.name_any(), namespace = %instance.namespace, "restart Pod/{name}");
        let restarted = restart_pod(&self.client, &instance.namespace, &pod).await;
        if restarted.map_err(Error::api(format!("delete Pod/{name}")))? {
            let note = format!("Pod/{name} runs an outdated template and is restarted");
            self.reporter.note(object, about("Pod", pod.meta()), "Restarted", "Restart", note).await;
        }
        Ok(Some(Outcome::Reconciling(reason::APPLYING, format!("Pod/{name} is restarting"))))
    }

    /// The newest verdict if it is about this very state and fresh, else a new one.
    async fn verdict(&self, object: &C::Kind, memory: &Memory, observed: &C::Observed, children: &Children) -> Verdict {
        let about = fingerprint(object, children);
        let known = memory.with(|state| state.verdict.clone());
        if let Some(known) = known
            && known.about == about
            && known.at.elapsed() < VERIFY_EVERY
            && matches!(known.verdict, Verdict::Verified(_))
        {
            return known.verdict;
        }
        let verdict = self.component.verify(object, observed).await;
        let judged = Judged { at: Instant::now(), about, verdict: verdict.clone() };
        memory.with(|state| state.verdict = Some(judged));
        verdict
    }

    /// Writes the status, and says when to look again.
    async fn end(
        &self,
        object: &C::Kind,
        memory: &Memory,
        outcome: Outcome,
        facts: Facts<<C::Kind as HasStatus>::Status>,
    ) -> Result<Next, C> {
        self.reporter.report(object, memory, &outcome, facts).await.map_err(Error::api("write the status"))?;
        memory.with(|state| state.failures = 0);
        Ok(match outcome {
            Outcome::Ready(_) => {
                memory.with(|state| state.waits = 0);
                let age = memory.with(|state| state.verdict.as_ref().map(|judged| judged.at.elapsed()));
                Next::After(VERIFY_EVERY.saturating_sub(age.unwrap_or_default()).max(Duration::from_secs(1)))
            }
            Outcome::Paused(_) | Outcome::Stalled(..) => Next::After(LONGEST_WAIT),
            Outcome::Reconciling(..) => {
                let waits = memory.with(|state| {
                    state.waits = state.waits.saturating_add(1);
                    state.waits
                });
                Next::After(Duration::from_millis(500 << waits.min(6)).min(LONGEST_WAIT))
            }
        })
    }
}

fn owner<C: Component>(object: &C::Kind) -> Option<Owner> {
    let reference = object.controller_owner_ref(&())?;
    Some(Owner { component: C::NAME, reference })
}

/// What an event names beside the object.
fn about(kind: &str, meta: &ObjectMeta) -> ObjectReference {
    ObjectReference {
        kind: Some(kind.to_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        ..ObjectReference::default()
    }
}

fn is_paused(object: &impl ResourceExt) -> bool {
    object.annotations().get(annotation::PAUSED).is_some_and(|value| value == "true")
}

/// What is held back, and what is missing meanwhile.
fn paused(held_back: &str, missing: Option<&str>) -> Outcome {
    let missing = missing.map(|missing| format!(". {missing}")).unwrap_or_default();
    Outcome::Paused(format!("{held_back} held back; remove the annotation {} to go on{missing}", annotation::PAUSED))
}

fn stalled_by(taken: &Taken) -> Outcome {
    Outcome::Stalled(
        reason::NAME_TAKEN,
        format!(
            "{} is there and belongs to somebody else; it is left alone. Rename or delete it, or give this object another name",
            taken.reference
        ),
    )
}

/// What a verdict is about: the object's intent, and every child as it is now.
fn fingerprint(object: &impl ResourceExt, children: &Children) -> String {
    let parts = children
        .iter()
        .map(|(kind, name, live)| format!("{kind}/{name}@{}", live.meta().resource_version.as_deref().unwrap_or("")))
        .chain([format!("{:?}", object.meta().generation)])
        .collect::<Vec<_>>();
    hash(&Value::from(parts))
}
