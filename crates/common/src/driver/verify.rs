//! Verifying the product: when it is used again, and the state that a verdict describes.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    basis::Basis,
    memory::{Judged, Stage},
    pass::{Ending, Pass, is_paused, paused},
    report::PassOutcome,
};
use crate::{
    component::{Component, Intent, Verdict},
    condition::reason,
    failure::{LONGEST, bounded},
};

/// How old a verdict may be before the product is used again.
const VERIFY_EVERY: Duration = Duration::from_secs(180);
/// The least time until then.
const SOONEST: Duration = Duration::from_secs(1);

impl<C: Component> Pass<'_, C> {
    /// Whether the product works.
    pub(super) async fn verify(&self, intent: &Intent<C>) -> Ending {
        match self.verdict(intent.probe.as_ref(), intent.inspection.as_ref()).await {
            Some(Verdict::Verified(message)) => Ending::Report(PassOutcome::Ready(message), intent.look_again),
            Some(Verdict::Failed { reason, message }) => {
                Ending::Report(PassOutcome::Reconciling(reason, message), intent.look_again)
            }
            Some(Verdict::Stalled { reason, message }) => PassOutcome::Stalled(reason, message).into(),
            Some(Verdict::Unknown) | None if is_paused(self.object) => {
                Ending::Report(paused("the verification is", None), intent.look_again)
            }
            Some(Verdict::Unknown) | None => {
                let message = "verification not started: the objects that it uses do not exist yet".to_owned();
                Ending::Report(PassOutcome::Reconciling(reason::PREPARING, message), intent.look_again)
            }
        }
    }

    /// The newest verdict if it describes exactly this state and is fresh, else a new one. While the object is paused, nothing is
    /// written to the product: it is inspected, and without evidence, a verdict about exactly this state stands.
    pub(super) async fn verdict(&self, probe: Option<&C::Probe>, inspection: Option<&C::Probe>) -> Option<Verdict> {
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
        let probe = if is_inspection { inspection } else { probe };
        let verdict = match probe {
            Some(probe) => shortened(self.with.component.verify(probe, &self.memory.memos).await),
            None => Verdict::Unknown,
        };
        if verdict == Verdict::Unknown {
            return known.map(|known| known.verdict);
        }
        let judged = Judged { at: Instant::now(), about, is_inspection, verdict: verdict.clone() };
        self.memory.with(|state| state.verdict = Some(judged));
        Some(verdict)
    }

    /// How long the newest verdict is valid.
    pub(super) fn until_verification(&self) -> Duration {
        let age = self.memory.with(|state| state.verdict.as_ref().map(|judged| judged.at.elapsed()));
        VERIFY_EVERY.saturating_sub(age.unwrap_or_default()).max(SOONEST)
    }
}

/// The same with a message that a condition can have: it is remembered, and may quote a server of any tenant.
fn shortened(verdict: Verdict) -> Verdict {
    let short = |message: String| bounded(&message, LONGEST);
    match verdict {
        Verdict::Verified(message) => Verdict::Verified(short(message)),
        Verdict::Failed { reason, message } => Verdict::Failed { reason, message: short(message) },
        Verdict::Stalled { reason, message } => Verdict::Stalled { reason, message: short(message) },
        Verdict::Unknown => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembered_message_is_bounded() {
        let message = "m".repeat(4 << 20);
        for verdict in [
            Verdict::Verified(message.clone()),
            Verdict::Failed { reason: reason::APPLYING, message: message.clone() },
            Verdict::Stalled { reason: reason::APPLYING, message },
        ] {
            let (Verdict::Verified(message) | Verdict::Failed { message, .. } | Verdict::Stalled { message, .. }) =
                shortened(verdict)
            else {
                panic!("it has a message");
            };
            assert_eq!(message.chars().count(), LONGEST + 1);
        }
    }
}
