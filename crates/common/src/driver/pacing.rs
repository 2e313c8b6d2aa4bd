//! When the next pass over an object comes, if nothing is watched to change before.

use std::time::Duration;

use super::{pass::Pass, passes::NextPass, report::PassOutcome};
use crate::{component::Component, condition::Reason};

/// The longest time between two passes while something is awaited.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl<C: Component> Pass<'_, C> {
    /// When the next pass comes: when the outcome requires it, or after this time if that is sooner.
    pub(super) fn next_pass(&self, outcome: &PassOutcome, sooner: Option<Duration>) -> NextPass {
        match outcome {
            PassOutcome::Ready(_) => {
                self.memory.with(|state| state.awaited = None);
                NextPass::After(self.until_verification()).or_after(sooner)
            }
            PassOutcome::Serving(_, awaited) => self.next_pass(awaited, sooner),
            PassOutcome::Paused(_) => NextPass::After(LONGEST_WAIT).or_after(sooner),
            PassOutcome::Stalled(..) | PassOutcome::Suspended(_) => NextPass::After(LONGEST_WAIT),
            PassOutcome::Reconciling(reason, _) => NextPass::After(self.until_retry(*reason)).or_after(sooner),
        }
    }

    /// How long to wait: longer with each pass that waits for the same reason.
    fn until_retry(&self, reason: Reason) -> Duration {
        let waits = self.memory.with(|state| {
            // A new reason may be resolved sooner than the previous one.
            let is_same = state.awaited.replace(reason) == Some(reason);
            state.waits = if is_same { state.waits.saturating_add(1) } else { 1 };
            state.waits
        });
        Duration::from_millis(500 << waits.min(6)).min(LONGEST_WAIT)
    }
}
