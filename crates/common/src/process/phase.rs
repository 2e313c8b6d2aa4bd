//! The phase of the controller, set by its supervisor.

use tokio::sync::watch;

/// Only ever advances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Standby,
    Leading,
    Ending,
}

/// How the wait for leadership ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Leadership {
    /// This process leads, until its shutdown.
    Held,
    /// The process must end; it may or may not have led.
    Ended,
}

/// Tells a [`Process`](super::Process) to lead and to end; [`run`](super::run) does so by signals and the Lease, a test by hand.
///
/// Dropping it ends the process's work too.
#[derive(Debug)]
pub struct Control(watch::Sender<Phase>);

impl Control {
    pub(super) fn new() -> (Self, Phases) {
        let (sender, receiver) = watch::channel(Phase::Standby);
        (Self(sender), Phases(receiver))
    }

    /// Makes it lead, unless it is ending already.
    pub fn lead(&self) {
        self.advance(Phase::Leading);
    }

    /// Makes it end its work.
    pub fn end(&self) {
        self.advance(Phase::Ending);
    }

    fn advance(&self, next: Phase) {
        self.0.send_if_modified(|phase| {
            let advances = next > *phase;
            *phase = next.max(*phase);
            advances
        });
    }
}

/// The other end of a [`Control`].
#[derive(Clone, Debug)]
pub(super) struct Phases(watch::Receiver<Phase>);

impl Phases {
    pub(super) async fn leadership(mut self) -> Leadership {
        match self.0.wait_for(|phase| *phase > Phase::Standby).await {
            Ok(phase) if *phase == Phase::Leading => Leadership::Held,
            _ => Leadership::Ended,
        }
    }

    pub(super) async fn shutdown(mut self) {
        // An error means that the sender is gone, which is the end, too.
        let _ = self.0.wait_for(|phase| *phase == Phase::Ending).await;
    }
}
