//! One pass: observe, decide, act, report.

use std::{sync::Arc, time::Duration};

use futures::future::try_join_all;
use k8s_openapi::{
    api::core::v1::{ObjectReference, Pod},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DynamicObject},
    core::{DeserializeGuard, Status, object::HasStatus},
    runtime::reflector::Store,
};
use tokio::time::Instant;

use super::{
    basis::Basis,
    error::Error,
    events::Happening,
    hold::hold,
    intent::is_ours,
    memory::{Judged, Memory, Stage, backoff},
    plan::{self, Owner, Plan, Taken, Write},
    report::{Outcome, Reporter, says_ready},
    restart::{self, Outdated, Restart},
    volumes::{self, Endangered},
    watches::Caches,
    write::{Written, is_leaving, is_leaving_status, restart_pod, write},
};
use crate::{
    api::{Rollout, Status as _, annotation, check::wrong_with_spec},
    cache::{Cache, Children, Instance},
    claim::{self, Claim, Configuration},
    component::{Child, Component, Facts, Progress, Verdict},
    condition::{self, reason},
    manifest::{Making, Manifest, hash},
    message::counted,
    neighbour::Neighbours,
    readiness::{self, refusal},
    world::{ClusterReads, RESYNC, RETRY, Watched, World},
};

/// How old a verdict may be before the component is used again.
const VERIFY_EVERY: Duration = Duration::from_secs(180);
/// How many passes in a row may do again what one before had done, before they slow down.
const PATIENCE: u32 = 10;
/// How old a read of something of the cluster may be before the user is called upon for its sake.
const FRESH: Duration = Duration::from_secs(1);
/// How many refused children a message names.
const MOST_REFUSED: usize = 3;
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

impl Next {
    /// The sooner of the two, where there is a time at all.
    fn or_after(self, sooner: Option<Duration>) -> Self {
        match (self, sooner) {
            (Self::After(later), Some(sooner)) => Self::After(later.min(sooner)),
            (next, _) => next,
        }
    }
}

/// What passes are made with.
pub(super) struct Passes<C: Component> {
    pub(super) component: C,
    pub(super) client: Client,
    /// All objects of the kind.
    objects: Store<DeserializeGuard<C::Kind>>,
    pub(super) cache: Arc<Cache>,
    pub(super) watched: Watched,
    pub(super) neighbours: Neighbours,
    pub(super) reporter: Reporter,
    /// What all objects read of the cluster.
    pub(super) cluster: ClusterReads,
    kept: Vec<ApiResource>,
}

type Result<T, C> = std::result::Result<T, Error<<C as Component>::Error>>;

impl<C: Component> Passes<C> {
    pub(super) fn new(component: C, client: Client, caches: &Caches<C>) -> Self {
        let (cache, watched, neighbours) = (caches.children.clone(), caches.watched.clone(), caches.neighbours.clone());
        let kept = C::children().into_iter().filter(Child::is_kept).map(|child| child.resource).collect();
        let reporter = Reporter::new(client.clone(), C::NAME);
        let objects = caches.objects.clone();
        Self {
            component,
            client,
            objects,
            cache,
            watched,
            neighbours,
            reporter,
            cluster: ClusterReads::default(),
            kept,
        }
    }

    /// Makes one pass over an object.
    pub(super) async fn pass(&self, object: &C::Kind, memory: &Memory) -> Result<Next, C> {
        let (Some(owner), Some(namespace)) = (owner::<C>(object), object.namespace()) else { return Ok(Next::Never) };
        if object.meta().deletion_timestamp.is_some() {
            // Garbage collection does the rest: owner references lead to all that is to go.
            return Ok(Next::Never);
        }
        let instance = Instance { namespace, name: object.name_any() };
        let children = self.cache.children(&instance, &owner.reference.uid);
        let pass = Pass { with: self, object, memory, owner, instance, children };
        match pass.run().await {
            Err(Error::Api { source, .. }) if is_leaving(&source) => Ok(Next::Never),
            result => result,
        }
    }
}

/// One pass over one object.
struct Pass<'a, C: Component> {
    with: &'a Passes<C>,
    object: &'a C::Kind,
    memory: &'a Memory,
    owner: Owner,
    instance: Instance,
    /// The children as they were at the beginning.
    children: Children,
}

/// What a component says of its object.
struct Said<C: Component> {
    observed: C::Observed,
    facts: FactsOf<C>,
    progress: Progress,
}

type FactsOf<C> = Facts<<<C as Component>::Kind as HasStatus>::Status>;

impl<C: Component> Pass<'_, C> {
    async fn run(&self) -> Result<Next, C> {
        self.heed_edits().await;
        let world = self.world();
        self.memory.enter(Stage::Observe);
        let Said { observed, mut facts, mut progress } = self.look(&world).await?;
        // Before anything else, because anything else may end the pod.
        if let Some(message) = self.endangered() {
            return self.end(Outcome::Stalled(reason::VOLUME_BEING_DELETED, message), facts).await;
        }
        if let Some(message) = self.invalid() {
            progress = Progress::Stalled { reason: reason::INVALID_SPEC, message };
        }
        if let Progress::Stalled { reason, message } = progress {
            return self.end(Outcome::Stalled(reason, message), facts).await;
        }

        // Known to be somebody else's a moment ago: asking again with every pass would only be noise.
        let taken = self.memory.with(|state| state.taken.clone());
        if let Some((at, taken)) = taken
            && at.elapsed() < RETRY
        {
            return self.end(stalled_by(&taken), facts).await;
        }

        self.memory.enter(Stage::Decide);
        let mut manifests = self.with.component.desire(self.object, &observed);
        let rollout = self.with.component.rollout(self.object);
        let holding =
            self.memory.with(|state| hold(&mut manifests, &self.children, rollout, C::NAME, &mut state.templates));
        let planned = match self.strangers(&manifests, &world).await? {
            Some(taken) => Err(taken),
            None => self.memory.with(|state| {
                plan::plan(&self.owner, &manifests, &holding, &self.children, &self.with.kept, &state.answers)
            }),
        };
        let plan = match planned {
            Ok(plan) => plan,
            Err(taken) => return self.end(stalled_by(&taken), facts).await,
        };
        let actions = self.with.component.actions(self.object, &observed);
        let (upkeep, actions): (Vec<_>, Vec<_>) =
            actions.into_iter().partition(|action| self.with.component.is_upkeep(action));
        if is_paused(self.object) && !(plan.writes.is_empty() && actions.is_empty() && upkeep.is_empty()) {
            let count = plan.writes.len() + actions.len() + upkeep.len();
            let held_back = format!("{} {}", counted(count, "change"), if count == 1 { "is" } else { "are" });
            let missing = readiness::missing(&manifests, &world, C::programs()).await;
            return self.end(paused(&held_back, missing.as_deref()), facts).await;
        }
        self.memory.enter(Stage::CarryOut);
        self.tell(&observed, &upkeep).await?;
        if !plan.writes.is_empty() || !actions.is_empty() {
            return self.work(&observed, &plan, &actions, facts).await;
        }

        self.memory.enter(Stage::Settle);
        self.memory.with(|state| {
            (state.changes, state.futile) = (0, 0);
            state.done = Vec::new();
        });
        let outdated = restart::outdated(&manifests, &self.children);
        if let Some(statement) = restart::pending(&outdated, &holding, rollout) {
            facts.statements.push(statement);
        }
        if let Some(outcome) = self.restart(&observed, &outdated).await? {
            let next = self.end(outcome, facts).await?;
            return Ok(next.or_after(self.with.component.look_again(self.object, &observed)));
        }
        if !plan.leaving.is_empty() {
            if self.forget_the_gone(&manifests, &plan.leaving).await? {
                return Ok(Next::Again);
            }
            let message = format!("{} is being deleted, and is made again afterwards", plan.leaving.join(", "));
            return self.end(Outcome::Reconciling(reason::APPLYING, message), facts).await;
        }
        if let Some(missing) = readiness::missing(&manifests, &world, C::programs()).await {
            // What the component knows of the cause says more than how many pods are ready.
            let outcome = match progress {
                Progress::Waiting { reason, message } if reason != reason::CHILDREN_NOT_READY => {
                    Outcome::Reconciling(reason, format!("{message} ({missing})"))
                }
                _ => Outcome::Reconciling(reason::CHILDREN_NOT_READY, missing),
            };
            return self.end(outcome, facts).await;
        }
        let sooner = self.with.component.look_again(self.object, &observed);
        if let Progress::Waiting { reason, message } = progress {
            // It may be in what all objects share: the next look is at what is there then.
            self.with.cluster.doubt(RETRY).await;
            let next = self.end(Outcome::Reconciling(reason, message), facts).await?;
            return Ok(next.or_after(sooner));
        }
        if let Some(unserved) = readiness::unserved(&manifests, &self.children) {
            let next = self.end(Outcome::Reconciling(reason::NO_ENDPOINTS, unserved), facts).await?;
            return Ok(next.or_after(sooner));
        }
        let outcome = match self.verdict(&observed).await {
            Some(Verdict::Verified(message)) => Outcome::Ready(message),
            Some(Verdict::Failed { reason, message }) => Outcome::Reconciling(reason, message),
            Some(Verdict::Stalled { reason, message }) => Outcome::Stalled(reason, message),
            None => paused("the verification is", None),
        };
        let is_stalled = matches!(outcome, Outcome::Stalled(..));
        let next = self.end(outcome, facts).await?;
        Ok(if is_stalled { next } else { next.or_after(sooner) })
    }

    /// What no kind may have in its spec, although its schema took it, or an older one did.
    fn invalid(&self) -> Option<String> {
        let object = serde_json::to_value(self.object).unwrap_or_default();
        let wrong = wrong_with_spec(&object["spec"]);
        (!wrong.is_empty()).then(|| wrong.join(". "))
    }

    /// Looks whether what is being deleted still exists. The answer to a delete may arrive after the watch has reported the end,
    /// and would then stay in the cache for ever.
    async fn forget_the_gone(&self, manifests: &[Manifest], leaving: &[String]) -> Result<bool, C> {
        let mut has_gone = false;
        for manifest in manifests.iter().filter(|manifest| leaving.contains(&manifest.reference())) {
            let (client, namespace) = (self.with.client.clone(), &self.instance.namespace);
            let api = Api::<DynamicObject>::namespaced_with(client, namespace, &manifest.resource);
            let found = api.get_opt(manifest.name()).await;
            if found.map_err(Error::api(format!("read {}", manifest.reference())))?.is_none() {
                has_gone |= self.with.cache.forget(&self.instance, &manifest.resource.kind, manifest.name());
            }
        }
        Ok(has_gone)
    }

    /// The user has acted, and wants to see what has come of it: nothing that was read before is good enough.
    async fn heed_edits(&self) {
        let generation = self.object.meta().generation;
        let before = self.memory.with(|state| std::mem::replace(&mut state.generation, generation));
        if before == generation {
            return;
        }
        self.memory.reads.forget();
        self.memory.with(|state| state.taken = None);
        // One that is new here has not been edited.
        if before.is_some() {
            self.with.cluster.doubt(Duration::ZERO).await;
        }
    }

    fn world(&self) -> World<'_> {
        let is_ready = |status: &<C::Kind as HasStatus>::Status| {
            condition::is_ready(status.conditions(), self.object.meta().generation)
        };
        World {
            client: &self.with.client,
            namespace: &self.instance.namespace,
            children: &self.children,
            watched: &self.with.watched,
            neighbours: &self.with.neighbours,
            claim: self.claim(),
            reads: &self.memory.reads,
            cluster: &self.with.cluster,
            max_age: if self.object.status().is_some_and(is_ready) { RESYNC } else { RETRY },
        }
    }

    /// Whether the users' source of the default name counts for this object.
    fn claim(&self) -> Claim {
        if C::configuration(self.object) != Configuration::Default {
            return Claim::Ours;
        }
        let namespace = Some(&self.instance.namespace);
        let others = self.with.objects.state_filter(|other| other.meta().namespace.as_ref() == namespace);
        claim::claim::<C>(self.object, others.iter().filter_map(|other| other.0.as_ref().ok()))
    }

    /// Observes, and asks the component what it makes of that. What all objects share may have been read some time ago: it is
    /// read again before the user is called upon.
    async fn look(&self, world: &World<'_>) -> Result<Said<C>, C> {
        let said = self.look_once(world).await?;
        let is_stalled = matches!(said.progress, Progress::Stalled { .. });
        if is_stalled && self.with.cluster.doubt(FRESH).await { self.look_once(world).await } else { Ok(said) }
    }

    async fn look_once(&self, world: &World<'_>) -> Result<Said<C>, C> {
        let component = &self.with.component;
        let observed = component.observe(self.object, world).await.map_err(Error::Observe)?;
        let (facts, progress) = (component.facts(self.object, &observed), component.progress(self.object, &observed));
        Ok(Said { observed, facts, progress })
    }

    /// What the user must know of volumes that are lost when a pod ends.
    fn endangered(&self) -> Option<String> {
        let endangered = volumes::endangered(&self.children);
        let copy = endangered.first().and_then(|first| self.with.component.copy_out(self.object, &first.pod));
        Endangered::message(&endangered, &self.instance.namespace, copy.as_deref())
    }

    /// An object that another controller is to make, and that is there without our labels: somebody else's.
    async fn strangers(&self, manifests: &[Manifest], world: &World<'_>) -> Result<Option<Taken>, C> {
        let unseen = manifests.iter().filter(|manifest| {
            matches!(manifest.making, Making::Existing)
                && world.children.get(&manifest.resource.kind, manifest.name()).is_none()
        });
        let found = unseen.map(async |manifest| {
            let reference = manifest.reference();
            let found = world.get_any(&manifest.resource, manifest.name()).await;
            let found = found.map_err(Error::api(format!("read {reference}")))?;
            let is_strange = found.is_some_and(|found| !is_ours(&self.owner, &found.metadata));
            Ok(is_strange.then_some(Taken { reference }))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().next())
    }

    async fn work(
        &self,
        observed: &C::Observed,
        plan: &Plan,
        actions: &[C::Action],
        facts: FactsOf<C>,
    ) -> Result<Next, C> {
        let (object, namespace) = (self.object, &self.instance.namespace);
        let mut changed = !actions.is_empty();
        let mut refused = Vec::new();
        for step in &plan.writes {
            let kind = step.kind();
            let what = step.to_string();
            tracing::info!(object = %object.name_any(), %namespace, "{what}");
            if refused.iter().any(|refused| is_behind(step, refused)) {
                continue;
            }
            let written = match write(&self.with.client, namespace, &self.owner, step).await {
                Err(kube::Error::Api(answer)) if is_refusal(&answer) => {
                    tracing::warn!(object = %object.name_any(), %namespace, "{what}: {}", answer.message);
                    refused.push(Refused { kind: kind.to_owned(), told: self.told(step, &answer.message) });
                    continue;
                }
                written => written.map_err(Error::api(&*what))?,
            };
            match written {
                Written::Is { object: made, adopted } => {
                    if adopted {
                        let note = format!("{what}: it was kept from an earlier object of this name");
                        self.note("Adopted", "Adopt", note, about(kind, made.meta())).await;
                    }
                    self.memory.with(|state| state.answers.note(step, made.meta()));
                    changed |= self.with.cache.put(kind, *made);
                }
                Written::Gone => changed |= self.with.cache.forget(&self.instance, kind, step.name()),
                Written::Taken(taken) => {
                    let outcome = stalled_by(&taken);
                    self.memory.with(|state| state.taken = Some((Instant::now(), taken)));
                    return self.end(outcome, facts).await;
                }
                Written::Overtaken => {}
            }
        }
        if !refused.is_empty() {
            return self.stall_on(&refused, facts).await;
        }
        self.tell(observed, actions).await?;
        // What was just changed has not been used yet.
        self.memory.with(|state| state.verdict = None);
        let futile = self.note_work(plan, actions);
        let again = changed && futile < PATIENCE;
        // The next pass comes at once and says what it finds. Until then a Ready must not stand; anything else may.
        if again && !says_ready(object, self.memory) {
            self.memory.with(|state| state.failures = 0);
            return Ok(Next::Again);
        }
        let outcome = Outcome::Reconciling(reason::APPLYING, "changes were made; their effect is awaited".to_owned());
        let later = self.end(outcome, facts).await?;
        // Where the cache is behind, the same writes would be tried again and again: the watch calls when it has caught up.
        Ok(match futile.checked_sub(PATIENCE) {
            _ if !changed => later,
            None => Next::Again,
            // Somebody undoes what we do, or the product forgets it: no reason to fight at full speed.
            Some(futile) => Next::After(backoff(futile)),
        })
    }

    /// What the API server refused, in its words.
    fn told(&self, step: &Write, words: &str) -> String {
        let reference = format!("{}/{}", step.kind(), step.name());
        let template = step.object().and_then(|object| object.pointer("/spec/template").cloned());
        let template = template.and_then(|template| serde_json::from_value(template).ok());
        refusal::of_child(&reference, words, template.as_ref(), &self.instance.namespace, C::programs())
    }

    /// The user must act, or whoever refused; nothing tells when that has happened, so it is tried again with backoff.
    async fn stall_on(&self, refused: &[Refused], facts: FactsOf<C>) -> Result<Next, C> {
        let (wait, failures) = self.memory.with(|state| {
            state.verdict = None;
            (state.back_off(Instant::now()), state.failures)
        });
        let told: Vec<&str> = refused.iter().take(MOST_REFUSED).map(|refused| refused.told.as_str()).collect();
        let mut message = told.join(". ");
        if let Some(more) = refused.len().checked_sub(MOST_REFUSED).filter(|more| *more > 0) {
            message = format!("{message}. {more} more are refused");
        }
        self.end(Outcome::Stalled(reason::CHILD_REFUSED, message), facts).await?;
        self.memory.with(|state| state.failures = failures);
        Ok(Next::After(wait))
    }

    /// Tells the product these things, in order.
    async fn tell(&self, observed: &C::Observed, actions: &[C::Action]) -> Result<(), C> {
        let (object, namespace) = (self.object, &self.instance.namespace);
        for action in actions {
            tracing::info!(object = %object.name_any(), %namespace, "{action}");
            let told = self.with.component.act(object, observed, action).await;
            told.map_err(|source| Error::Act { action: action.to_string(), source })?;
        }
        Ok(())
    }

    /// Remembers what a pass did. Says how many passes in a row did what one before them had done: a long way has many
    /// different steps, a fight the same ones.
    fn note_work(&self, plan: &Plan, actions: &[C::Action]) -> u32 {
        let writes = plan.writes.iter().map(ToString::to_string);
        let done: Vec<String> = writes.chain(actions.iter().map(ToString::to_string)).collect();
        let done = hash(&done.into());
        self.memory.with(|state| {
            state.changes = state.changes.saturating_add(1);
            if state.done.contains(&done) {
                state.futile = state.futile.saturating_add(1);
            } else {
                state.done.push(done);
            }
            state.futile
        })
    }

    /// Restarts at most one pod, when it is safe. Says what it did or waits for.
    async fn restart(&self, observed: &C::Observed, outdated: &Outdated) -> Result<Option<Outcome>, C> {
        let (object, component) = (self.object, &self.with.component);
        let automatic = component.rollout(object) == Rollout::Automatic;
        let children = self.with.cache.children(&self.instance, &self.owner.reference.uid);
        if !volumes::endangered(&children).is_empty() {
            // The claim was deleted during this pass; the next one says so.
            return Ok(None);
        }
        let pods = children.all::<Pod>();
        let gate = || component.restart_gate(object, observed);
        let pod = match restart::decide(outdated, &pods, automatic, gate) {
            Restart::None => return Ok(None),
            Restart::Later(why) => return Ok(Some(Outcome::Reconciling(reason::APPLYING, why))),
            Restart::Now(pod) => pod,
        };
        if is_paused(object) {
            return Ok(Some(paused(&format!("the restart of Pod/{} is", pod.name_any()), None)));
        }
        let (name, namespace) = (pod.name_any(), &self.instance.namespace);
        tracing::info!(object = %object.name_any(), %namespace, "restart Pod/{name}");
        let restarted = restart_pod(&self.with.client, namespace, &pod).await;
        if restarted.map_err(Error::api(format!("delete Pod/{name}")))? {
            let note = format!("Pod/{name} runs an outdated template and is restarted");
            self.note("Restarted", "Restart", note, about("Pod", pod.meta())).await;
        }
        Ok(Some(Outcome::Reconciling(reason::APPLYING, format!("Pod/{name} is restarting"))))
    }

    /// The newest verdict if it is about this very state and fresh, else a new one. While the object is paused, nothing is written to
    /// the product: it is inspected, and where that says nothing, a verdict about this very state stands. `None`: there is none.
    async fn verdict(&self, observed: &C::Observed) -> Option<Verdict> {
        let is_inspection = is_paused(self.object);
        let known = self.memory.with(|state| state.verdict.clone());
        let about = Basis::new(self.object, &self.children, known.as_ref().map(|known| &known.about));
        let known = known.filter(|known| known.about.is_as(&about) && matches!(known.verdict, Verdict::Verified(_)));
        if let Some(known) = &known
            && known.at.elapsed() < VERIFY_EVERY
            && known.is_inspection == is_inspection
        {
            return Some(known.verdict.clone());
        }
        self.memory.enter(Stage::Verify);
        let component = &self.with.component;
        let verdict = if is_inspection {
            match component.inspect(self.object, observed).await {
                Some(verdict) => verdict,
                None => return known.map(|known| known.verdict),
            }
        } else {
            component.verify(self.object, observed).await
        };
        let judged = Judged { at: Instant::now(), about, is_inspection, verdict: verdict.clone() };
        self.memory.with(|state| state.verdict = Some(judged));
        Some(verdict)
    }

    /// Records what was done to a child.
    async fn note(&self, reason: &str, action: &'static str, note: String, about: ObjectReference) {
        let happening = Happening { is_warning: false, reason: reason.to_owned(), action, note, about: Some(about) };
        self.with.reporter.note(self.object, self.memory, happening).await;
    }

    /// Writes the status, and says when to look again.
    async fn end(&self, outcome: Outcome, facts: FactsOf<C>) -> Result<Next, C> {
        self.memory.enter(Stage::Report);
        let report = self.with.reporter.report(self.object, self.memory, &outcome, facts, &self.children).await;
        report.map_err(Error::api("write the status"))?;
        self.memory.with(|state| state.failures = 0);
        Ok(match outcome {
            Outcome::Ready(_) => {
                self.memory.with(|state| state.awaited = None);
                let age = self.memory.with(|state| state.verdict.as_ref().map(|judged| judged.at.elapsed()));
                Next::After(VERIFY_EVERY.saturating_sub(age.unwrap_or_default()).max(Duration::from_secs(1)))
            }
            Outcome::Paused(_) | Outcome::Stalled(..) => Next::After(LONGEST_WAIT),
            Outcome::Reconciling(reason, _) => {
                let waits = self.memory.with(|state| {
                    // What is awaited now may come sooner than what was awaited before.
                    let is_same = state.awaited.replace(reason) == Some(reason);
                    state.waits = if is_same { state.waits.saturating_add(1) } else { 1 };
                    state.waits
                });
                Next::After(Duration::from_millis(500 << waits.min(6)).min(LONGEST_WAIT))
            }
        })
    }
}

/// A child that the API server does not take.
struct Refused {
    kind: String,
    told: String,
}

/// Whether the answer is about what was asked, so that asking again is no use before somebody has acted.
fn is_refusal(answer: &Status) -> bool {
    let is_silent_webhook = answer.code == 500 && answer.message.contains("failed calling webhook");
    (matches!(answer.code, 400 | 403 | 422) || is_silent_webhook) && !is_leaving_status(answer)
}

/// Whether a write must not be done after that refusal: pods need the Secrets and ConfigMaps that they read, and must not be
/// open before their policy is in force; what is deleted may be what the refused one should have replaced.
fn is_behind(step: &Write, refused: &Refused) -> bool {
    let runs = matches!(step.kind(), "StatefulSet" | "Deployment" | "Job");
    let is_needed = matches!(&*refused.kind, "Secret" | "ConfigMap" | "NetworkPolicy" | "ServiceAccount");
    matches!(step, Write::Delete { .. }) || (runs && is_needed)
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
