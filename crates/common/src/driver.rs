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
//! * **Ready is earned after the change.** A pass that wrote or acted takes a Ready back, and is followed by another; only one
//!   that found nothing to do, all children at their own observed generation, and a verdict about this very state, reports Ready.
//! * **Nothing is sent when nothing changed.** A child is written only when the intent's hash or a value that was intended is
//!   missing from it; the status only when it says something else.
//! * **Only what is ours is touched.** Objects are made by POST, so one that is already there is never applied over; it is
//!   ours by owner UID, or as data by its labels. Anything else of that name is `NameTaken`. Of what others make for a child of
//!   ours (pods), labels that the component asks for are set, and nothing else.
//! * **Data outlive the object**, and are never pruned. Deletes carry UID and resource version. Data are deleted only when this very
//!   object of the API was recorded as ours: one that was restored under the name of what we made is left alone.
//! * **A volume that is going stops everything**: while a claim is being deleted under a running pod, nothing is applied and no pod is
//!   restarted, and the condition says how to keep the data. A volume that was replaced is reported until the user accepts it.
//! * **Ours by owner, not by label**: a pod is a member when its owner references lead to the object, and nothing else is seen.
//! * **One pod at a time** is restarted, when all others are ready and the component's gate is open; never for a newer
//!   controller's sake unless the user said so.
//! * **First looks come first.** While objects wait for their first pass, the look at what the first pass of another has made
//!   waits for them, half a minute at the most: everybody's children, then everybody's status.
//! * **Waiting is a value.** Only failures back off: 2ⁿ seconds up to five minutes, for each object by itself.
//! * **One bad object harms no other**: one that does not parse is reported in its status, and so are a pass that panics and one
//!   that takes too long; both end, and are retried with backoff. Slow passes never take all places.
//!
//! # Assumptions
//!
//! All children carry the three labels that the driver stamps, and pods get them through their template. Somebody who takes
//! the labels off a child hides it; it is then found again by name, and has them back if it is ours.

mod basis;
mod error;
mod events;
mod hold;
mod intent;
mod keep;
mod memory;
mod metrics;
mod pass;
mod places;
mod plan;
mod report;
mod restart;
mod rules;
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

pub use rules::{lease_rules, rule, rules};

use self::{
    memory::{Memories, Memory, backoff, jittered},
    metrics::Passed,
    pass::{Next, Passes},
    places::{CONCURRENCY, DEADLINE, Overran, Places},
    warmth::Warmth,
    watches::Watches,
};
pub use crate::readiness::{
    deployed as deployment_lacks, is_ready as pod_is_ready, stateful_set as stateful_set_lacks, trouble as pod_trouble,
};
use crate::{
    component::Component,
    condition::{Reason, reason},
    panics::{Panicked, caught},
    process::{Leadership, Process},
};

/// How long the report of a failure may take.
const REPORTING: Duration = Duration::from_secs(60);
/// How long an object whose last pass was slow waits for a long place.
const CROWDED: Duration = Duration::from_secs(5);
/// How long a second look waits for each first look of another, and how long and how often at the most.
const YIELD: Duration = Duration::from_millis(20);
const LONGEST_YIELD: Duration = Duration::from_secs(1);
const YIELDS: u32 = 30;

/// The driver cannot go on, and the process must begin again.
#[derive(Debug, thiserror::Error)]
#[error("a watch ended by itself; report this as a bug")]
pub struct Ended(#[source] Option<tokio::task::JoinError>);

/// Runs a component until the process is to end: the closure that [`crate::process::run`] asks for.
///
/// # Errors
///
/// A watch has ended: what it fills would never change again, and the controller would be blind and seem alive.
pub async fn run<C: Component>(component: C, process: Process) -> Result<(), Ended> {
    let (mut watches, caches, mut news) = Watches::start::<C>(&process);
    let driver = Arc::new(Driver {
        passes: Passes::new(component, process.client.clone(), &caches),
        memories: caches.memories.clone(),
        warmth: caches.warmth.clone(),
        objects: caches.objects.clone(),
        passed: process.metrics.register(Passed::register),
        places: Places::default(),
    });
    tokio::select! {
        () = caches.warmth.ready() => process.ready.set(),
        () = process.shutdown() => return Ok(()),
        error = watches.ended() => return Err(Ended(error)),
    }
    tracing::info!("the caches are warm");
    let leadership = tokio::select! {
        leadership = process.leadership() => leadership,
        error = watches.ended() => return Err(Ended(error)),
    };
    if leadership == Leadership::Ended {
        return Ok(());
    }
    tracing::info!("leading");
    // From here on news are passed on; all that is there already is news to this leader.
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
        error = watches.ended() => return Err(Ended(error)),
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
    places: Places,
}

/// A pass that came to no end of its own.
struct Failed {
    /// As the metrics count it.
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
            // A pass has bounds of its own. These are for what is around it, above all the report of its failure.
            let failed = match timeout(DEADLINE + REPORTING, caught(driver.one(&guarded))).await {
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

    async fn one(&self, guarded: &DeserializeGuard<C::Kind>) -> Action {
        if !self.warmth.serves(guarded.meta().namespace.as_deref().unwrap_or_default()) {
            // Its children are not known. Its watches call when they have listed.
            return Action::await_change();
        }
        let memory = self.memories.of(guarded.meta().uid.as_deref().unwrap_or_default());
        let object = match &guarded.0 {
            Ok(object) => object,
            Err(invalid) => {
                self.passed.count("unparsable");
                let (namespace, object) = (guarded.namespace(), guarded.name_any());
                tracing::warn!(object, ?namespace, error = %invalid.error, "an object does not parse");
                if let Err(error) = self.passes.reporter.report_unparsable::<C::Kind>(invalid, &memory).await {
                    tracing::warn!(%error, "could not say so in its status");
                    return Action::requeue(backoff(3));
                }
                return Action::await_change();
            }
        };
        if let Some(time) = self.others_come_first(object, &memory) {
            return Action::requeue(time);
        }
        let namespace = object.namespace().unwrap_or_default();
        let was_slow = memory.with(|state| state.slow);
        let long = if was_slow { self.places.take(&namespace) } else { None };
        if was_slow && long.is_none() {
            return Action::requeue(jittered(CROWDED));
        }
        let pass = caught(self.passes.pass(object, &memory));
        let (ended, slow) = self.places.run(&namespace, long, pass).await;
        memory.with(|state| state.slow = slow);
        let failed = match ended {
            Ok(Ok(Ok(next))) => {
                self.passed.count(if next == Next::Again { "changed" } else { "unchanged" });
                return match next {
                    Next::Again => Action::requeue(Duration::ZERO),
                    Next::After(time) => Action::requeue(time),
                    Next::Never => Action::await_change(),
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

    /// Reports a failure, and says when to try again.
    async fn failed(&self, object: &C::Kind, memory: &Memory, failed: Failed) -> Action {
        let Failed { result, reason, message } = failed;
        self.passed.count(result);
        let (wait, failures) = memory.with(|state| (state.back_off(Instant::now()), state.failures));
        memory.reads.forget();
        self.passes.cluster.doubt(Duration::ZERO).await;
        tracing::warn!(object = %object.name_any(), namespace = ?object.namespace(), failures, "{message}");
        if let Err(error) = self.passes.reporter.report_failure(object, memory, reason, &message).await {
            tracing::warn!(%error, "could not write the status");
        }
        Action::requeue(wait)
    }

    /// How long to wait with an object of which only what its first pass has made is left to look at, while others wait for
    /// theirs. The queue itself has no order among those that are due.
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
        Overran::Crowded => "slow while too many other passes are slow".to_owned(),
    };
    Failed {
        result: "overran",
        reason: reason::DEADLINE_EXCEEDED,
        message: format!(
            "pass cancelled in stage `{stage}`: {cause}; check that what this object refers to answers in time; retried with backoff"
        ),
    }
}
