//! The only reconcile function of the workspace.
//!
//! ```text
//!   watches ──▶ cache ──▶ pass: observe ▶ desire, actions, progress ▶ plan ▶ write, act ▶ settle ▶ restart ▶ verify ▶ report
//!      │                   ▲                                                                                        │
//!      └──── news ─────────┴────────────────────── again, later, or after a back-off ◀──────────────────────────────┘
//! ```
//!
//! # Guarantees
//!
//! * **Ready is earned after the change.** A pass that wrote or acted withdraws Ready, and is followed by another; only a pass
//!   that found nothing to do, all children at their own observed generation, and a verdict about exactly this state, reports
//!   Ready. While another product serves in the place of the intended one, Ready is about that one, and Reconciling or Stalled
//!   says that the intent is not reached ([`Decision::serving`](crate::component::Decision::serving)).
//! * **Nothing is sent when nothing changed.** A child is written only if it lacks the intent's hash or an intended value; the
//!   status only if it differs.
//! * **Only what is ours is touched.** Objects are created by POST, so an existing one is never applied over; an object is ours
//!   by owner UID, or as data by its labels. Anything else of that name is `NameTaken`. On objects that other controllers create
//!   for a child of ours (pods), only the labels that the component asks for are set.
//! * **Data outlive the object**, and are never pruned. Deletes carry UID and resource version. Data are deleted only if exactly
//!   this API object was recorded as ours: an object that was restored under its name is left alone.
//! * **A volume that is being deleted stops everything**: while a claim is being deleted under a running pod, nothing is applied
//!   and no pod is restarted, and the condition explains how to keep the data. A volume that was replaced is reported until the
//!   user accepts it.
//! * **Ours by owner, not by label**: a pod is a member if its owner references lead to the object, and all other pods are ignored.
//! * **One pod at a time** is restarted, when all others are ready and the component's gate is open; never because of a newer
//!   controller alone unless the user asked for it.
//! * **First passes come first.** While objects wait for their first pass, the second pass of others waits for them, for at most
//!   half a minute: first the children of all objects are created, then the statuses are written.
//! * **A finalizer only where something remains** outside of the object's children, and it never holds the object for long: after a
//!   few failures the object goes, and an event says what may remain.
//! * **Waiting is a value.** Only failures back off: 2ⁿ seconds up to five minutes, per object.
//! * **One bad object harms no other**: an object that does not parse is reported in its status, and so are a pass that panics
//!   and one that takes too long; both end, and are retried with backoff. Slow passes never take all slots.
//!
//! # Assumptions
//!
//! All children carry the three labels that the driver stamps, and pods get them through their template. A child whose labels
//! were removed is hidden; it is found again by name, and gets the labels back if it is ours.

mod basis;
mod carry_out;
mod error;
mod events;
mod farewell;
mod hold;
mod intent;
mod keep;
mod memory;
mod metrics;
mod observing;
mod pacing;
mod pass;
mod passes;
mod plan;
mod report;
mod restart;
mod restarting;
mod rules;
mod serving;
mod slots;
mod suspend;
mod suspending;
mod verify;
mod volumes;
mod warmth;
mod watches;
mod write;

use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture};
use kube::{
    Resource, ResourceExt,
    core::{DeserializeGuard, object::HasStatus},
    runtime::{
        applier,
        controller::{self, Action},
        reflector::{ObjectRef, Store},
    },
};

use tokio::time::{Instant, timeout};

pub use rules::{is_cluster_wide, lease_rules, rule, rules};

use self::{
    memory::{Memories, Memory, backoff, jittered},
    metrics::{Objects, Passed},
    passes::{NextPass, Passes},
    slots::{CONCURRENCY, DEADLINE, Overran, Slots},
    warmth::Warmth,
    watches::Watches,
};
use crate::{
    component::Component,
    condition::{Reason, reason},
    failure::chain,
    panics::{Panicked, caught},
    process::{Leadership, Process},
    quota::on_behalf_of,
};

/// How long the report of a failure may take.
const REPORTING: Duration = Duration::from_secs(60);
/// The minimum age of a shared read that a failed pass discards.
const DOUBTED: Duration = Duration::from_secs(10);
/// How long an object waits while its namespace runs as many passes as it may.
const BUSY: Duration = Duration::from_millis(500);
/// How long an object whose last pass was slow waits for a long slot.
const CROWDED: Duration = Duration::from_secs(5);
/// How long a second pass waits for each pending first pass, and how long and how often at most.
const YIELD: Duration = Duration::from_millis(20);
const LONGEST_YIELD: Duration = Duration::from_secs(1);
const YIELDS: u32 = 30;

/// The driver cannot continue, and the process must restart.
#[derive(Debug, thiserror::Error)]
#[error("a watch ended unexpectedly; report this as a bug")]
pub struct WatchEnded(#[source] Option<tokio::task::JoinError>);

/// Runs a component until the process shuts down: the closure that [`crate::process::run`] asks for.
///
/// # Errors
///
/// A watch has ended: its cache would never change again, and the controller would seem alive without seeing changes.
pub async fn run<C: Component>(component: C, process: Process) -> Result<(), WatchEnded> {
    process.metrics.register(|registry| component.register(registry));
    let (mut watches, caches, mut news) = Watches::start::<C>(&process);
    process.metrics.register(|registry| Objects::register(&caches, registry));
    let driver = Arc::new(Driver {
        passes: Passes::new(component, process.client.clone(), &caches),
        memories: caches.memories.clone(),
        warmth: caches.warmth.clone(),
        objects: caches.objects.clone(),
        passed: process.metrics.register(Passed::register),
        slots: Slots::default(),
    });
    tokio::select! {
        () = caches.warmth.ready() => process.ready.set(),
        () = process.shutdown() => return Ok(()),
        error = watches.ended() => return Err(WatchEnded(error)),
    }
    tracing::info!("the caches are warm");
    let leadership = tokio::select! {
        leadership = process.leadership() => leadership,
        error = watches.ended() => return Err(WatchEnded(error)),
    };
    if leadership == Leadership::Ended {
        return Ok(());
    }
    tracing::info!("leading");
    // From here on events are passed on; all existing objects are new to this leader.
    caches.leading.store(true, Ordering::SeqCst);
    let all: Vec<_> = caches.objects.state().iter().map(|object| ObjectRef::from_obj(&**object)).collect();
    let queue = futures::stream::iter(all)
        .chain(futures::stream::poll_fn(move |context| news.poll_recv(context)))
        .map(Ok::<_, Infallible>)
        .take_until(process.shutdown());
    let config = controller::Config::default().concurrency(CONCURRENCY);
    let objects: Store<DeserializeGuard<C::Kind>> = caches.objects.clone();
    let passes = applier(
        Driver::reconcile,
        |_, never: &Infallible, _| match *never {},
        driver,
        objects,
        Box::pin(queue),
        config,
    )
    .for_each(|_| std::future::ready(()));
    tokio::select! {
        () = passes => {}
        error = watches.ended() => return Err(WatchEnded(error)),
    }
    tracing::info!("all passes have ended");
    Ok(())
}

struct Driver<C: Component> {
    passes: Passes<C>,
    memories: Arc<Memories>,
    warmth: Warmth,
    objects: Store<DeserializeGuard<C::Kind>>,
    passed: Passed,
    slots: Slots,
}

/// A pass that failed.
struct Failed {
    /// The result in the metrics.
    result: &'static str,
    reason: Reason,
    message: String,
}

impl<C: Component> Driver<C> {
    fn reconcile(
        guarded: Arc<DeserializeGuard<C::Kind>>,
        driver: Arc<Self>,
    ) -> BoxFuture<'static, Result<Action, Infallible>> {
        async move {
            // A pass has its own deadline. This one includes the report of its failure. The futures of a pass are boxed, here and
            // below: each is polled on the stack of a thread, and without optimisation they would exhaust it.
            let failed = match timeout(DEADLINE + REPORTING, caught(Box::pin(driver.run_pass(&guarded)))).await {
                Ok(Ok(action)) => return Ok(action),
                Ok(Err(panicked)) => {
                    driver.passed.count("panicked");
                    panicked.to_string()
                }
                Err(elapsed) => {
                    driver.passed.count("overran");
                    elapsed.to_string()
                }
            };
            let (namespace, object) = (guarded.namespace(), guarded.name_any());
            tracing::error!(object, ?namespace, failed, "could not report on a pass");
            Ok(Action::requeue(backoff(u32::MAX)))
        }
        .boxed()
    }

    async fn run_pass(&self, guarded: &DeserializeGuard<C::Kind>) -> Action {
        if !self.warmth.serves(guarded.meta().namespace.as_deref().unwrap_or_default()) {
            // Its children are not known yet. The watches trigger a pass when they have listed them.
            return Action::await_change();
        }
        let uid = guarded.meta().uid.as_deref().unwrap_or_default();
        let memory = self.memories.get_or_create(uid);
        let object = match &guarded.0 {
            Ok(object) => object,
            Err(invalid) => {
                self.passed.count("unparsable");
                let (namespace, object) = (guarded.namespace(), guarded.name_any());
                tracing::warn!(object, ?namespace, error = %invalid.error, "an object does not parse");
                if let Err(error) = self.passes.reporter.report_unparsable::<C::Kind>(invalid, &memory).await {
                    let error = chain(&error);
                    tracing::warn!(error, "could not report in the status that the object does not parse");
                    return Action::requeue(backoff(3));
                }
                return Action::await_change();
            }
        };
        if let Some(time) = self.others_come_first(object, &memory) {
            return Action::requeue(time);
        }
        let namespace = object.namespace().unwrap_or_default();
        let Some(_running) = self.slots.enter(&namespace) else { return self.await_slot(uid, &memory) };
        let was_slow = memory.with(|state| state.slow);
        let long = if was_slow { self.slots.take(&namespace) } else { None };
        if was_slow && long.is_none() {
            return Action::requeue(jittered(CROWDED));
        }
        let pass = caught(on_behalf_of(&namespace, Box::pin(self.passes.pass(object, &memory))));
        let begun = Instant::now();
        let (ended, slow) = self.slots.run(&namespace, long, pass).await;
        self.passed.time(begun.elapsed());
        memory.with(|state| state.slow = slow);
        let failed = match ended {
            Ok(Ok(Ok(next))) => {
                self.passed.count(if next == NextPass::Again { "changed" } else { "unchanged" });
                return match next {
                    NextPass::Again => Action::requeue(Duration::ZERO),
                    NextPass::After(time) => Action::requeue(time),
                    NextPass::Never => Action::await_change(),
                };
            }
            Ok(Ok(Err(error))) => Failed {
                result: "failed",
                reason: reason::RECONCILE_ERROR,
                message: format!("{}; retried with backoff", error.chain()),
            },
            Ok(Err(panicked)) => internal_error(&panicked, &memory),
            Err(overran) => deadline_exceeded(overran, &memory),
        };
        self.failed(object, &memory, failed).await
    }

    /// Reports a failure, and returns when to retry.
    async fn failed(&self, object: &C::Kind, memory: &Memory, failed: Failed) -> Action {
        let Failed { result, reason, message } = failed;
        self.passed.count(result);
        let (wait, failures) = memory.with(|state| (state.back_off(Instant::now()), state.failures));
        memory.reads.forget();
        // Failures of one object must not make all others read again each time.
        self.passes.cluster.doubt(DOUBTED).await;
        tracing::warn!(object = %object.name_any(), namespace = ?object.namespace(), failures, "{message}");
        if let Err(error) = self.passes.reporter.report_failure(object, memory, reason, &message).await {
            tracing::warn!(error = chain(&error), "could not write the status");
        }
        Action::requeue(wait)
    }

    /// An object without a slot comes back soon. One that waits for its first pass still counts as waiting.
    fn await_slot(&self, uid: &str, memory: &Memory) -> Action {
        if memory.with(|state| state.generation.is_none()) {
            self.memories.forget(uid);
        }
        Action::requeue(jittered(BUSY))
    }

    /// How long an object after its first pass waits while others wait for their first. The queue itself does not order the
    /// objects that are due.
    fn others_come_first(&self, object: &C::Kind, memory: &Memory) -> Option<Duration> {
        let waiting = self.objects.len().saturating_sub(self.memories.len());
        let is_second = object.status().is_none()
            && memory.with(|state| state.changes == 1 && state.generation == object.meta().generation);
        let yields = waiting > 0
            && is_second
            && memory.with(|state| {
                state.yields += 1;
                state.yields <= YIELDS
            });
        let time = YIELD.saturating_mul(u32::try_from(waiting).unwrap_or(u32::MAX));
        yields.then(|| time.min(LONGEST_YIELD))
    }
}

fn internal_error(panicked: &Panicked, memory: &Memory) -> Failed {
    let stage = memory.with(|state| state.stage);
    Failed {
        result: "panicked",
        reason: reason::INTERNAL_ERROR,
        message: format!(
            "pass failed internally: {panicked} in stage `{stage}`; report this location and the version of the controller as a bug; retried with backoff"
        ),
    }
}

fn deadline_exceeded(overran: Overran, memory: &Memory) -> Failed {
    let stage = memory.with(|state| state.stage);
    let cause = match overran {
        Overran::Deadline => format!("not finished within {} s", DEADLINE.as_secs()),
        Overran::Crowded => "too many passes are slow at the same time".to_owned(),
    };
    Failed {
        result: "overran",
        reason: reason::DEADLINE_EXCEEDED,
        message: format!(
            "pass cancelled in stage `{stage}`: {cause}; check that every server this object refers to responds in time; retried with backoff"
        ),
    }
}
