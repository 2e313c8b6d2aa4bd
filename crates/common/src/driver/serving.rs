//! A product that serves while the intent prepares another one in its place: Ready is about it, and the rest is said beside it.

use super::{
    pass::{Ending, Pass},
    report::PassOutcome,
};
use crate::component::{Component, Verdict};

impl<C: Component> Pass<'_, C> {
    /// How the pass ends while this product serves. A failure of it is more urgent than what the intent waits for.
    pub(super) async fn beside_serving(&self, ending: Ending, probe: &C::Probe) -> Ending {
        let outcome = match &ending {
            Ending::Report(outcome, _) | Ending::ReportAndThen(outcome, _) => outcome.clone(),
            Ending::Again => return ending,
        };
        if !matches!(outcome, PassOutcome::Reconciling(..) | PassOutcome::Stalled(..)) {
            return ending;
        }
        let outcome = match (self.verdict(Some(probe), Some(probe)).await, outcome) {
            (Some(Verdict::Verified(message)), outcome) => PassOutcome::Serving(message, Box::new(outcome)),
            (
                Some(Verdict::Failed { reason, message } | Verdict::Stalled { reason, message }),
                PassOutcome::Reconciling(..),
            ) => PassOutcome::Reconciling(reason, message),
            (_, outcome) => outcome,
        };
        match ending {
            Ending::Report(_, sooner) => Ending::Report(outcome, sooner),
            Ending::ReportAndThen(_, next) => Ending::ReportAndThen(outcome, next),
            Ending::Again => Ending::Again,
        }
    }
}
