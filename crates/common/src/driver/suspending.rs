//! How a pass over a suspended object ends; which workloads stop is decided in [`super::suspend`].

use kube::ResourceExt;

use super::{
    error::Error,
    intent::Owner,
    pass::{Ending, Pass, Planned, is_paused, paused},
    passes::Result,
    plan::Write,
    report::PassOutcome,
    suspend::{remaining, running, start_all, stop_all},
    write::{Written, write},
};
use crate::{
    cache::Children,
    component::{Component, Stalled},
    condition::reason,
    suspension::Suspension,
    world::World,
};

/// What is said of a suspended object.
const SUSPENDED: &str = "suspended: no pod runs, and the data are kept; set spec.suspend to false to start again";

fn outcome(owner: &Owner, children: &Children, suspension: &Suspension, stalled: Option<&Stalled>) -> PassOutcome {
    if let Some(remaining) = remaining(owner, children, suspension) {
        return PassOutcome::Reconciling(reason::SUSPENDING, remaining);
    }
    let held_back = |Stalled { reason, message }: &Stalled| format!("; held back: {reason}: {message}");
    let more = stalled.map(held_back).unwrap_or_default();
    PassOutcome::Suspended(format!("{SUSPENDED}{more}"))
}

impl<C: Component> Pass<'_, C> {
    /// How the pass over a suspended object ends once nothing is left to write.
    pub(super) async fn settle_suspended(
        &self,
        planned: &Planned<C>,
        suspension: &Suspension,
        world: &World<'_>,
    ) -> Result<Ending, C> {
        if let Some(ending) = self.recreating(planned).await? {
            return Ok(ending);
        }
        let outcome = outcome(&self.owner, world.children, suspension, planned.intent.stalled.as_ref());
        let sooner = if matches!(outcome, PassOutcome::Suspended(_)) { None } else { planned.intent.look_again };
        Ok(Ending::Report(outcome, sooner))
    }

    /// Stops the workloads of a suspended object that is stalled. Nothing else of it is applied. What runs elsewhere for it can only
    /// be stopped by applying it, so the object stays stalled then.
    pub(super) async fn suspend_stalled(
        &self,
        suspension: &Suspension,
        stalled: Stalled,
        world: &World<'_>,
    ) -> Result<Ending, C> {
        let stops = stop_all(&self.with.owned, &self.owner, &self.children);
        if stops.is_empty() {
            let is_elsewhere = suspension.awaited.is_some() && running(world.children).is_empty();
            let outcome = if is_elsewhere {
                stalled.into()
            } else {
                outcome(&self.owner, world.children, suspension, Some(&stalled))
            };
            return Ok(outcome.into());
        }
        if is_paused(self.object) {
            return Ok(paused("the suspension is", None).into());
        }
        self.scale(&stops).await?;
        let message = "suspension in progress: the pods are stopping".to_owned();
        Ok(PassOutcome::Reconciling(reason::SUSPENDING, message).into())
    }

    /// Starts what a suspension has stopped of an object that is stalled: it ran before, and is no longer suspended.
    pub(super) async fn start_stalled(&self, stalled: Stalled) -> Result<Ending, C> {
        let starts = start_all(&self.with.owned, &self.owner, &self.children);
        if !starts.is_empty() && !is_paused(self.object) {
            self.scale(&starts).await?;
        }
        Ok(PassOutcome::from(stalled).into())
    }

    async fn scale(&self, steps: &[Write]) -> Result<(), C> {
        for step in steps {
            let what = step.to_string();
            tracing::info!(object = %self.object.name_any(), namespace = %self.instance.namespace, "{what}");
            let written =
                write(&self.with.client, &self.instance.namespace, &self.owner, &self.with.drawing, step).await;
            if let Written::Is { object, .. } = written.map_err(Error::api(&*what))? {
                self.with.cache.put(step.kind(), *object);
            }
        }
        self.memory.with(|state| state.verdict = None);
        Ok(())
    }
}
