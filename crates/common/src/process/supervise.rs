//! The order of events in a process: stand by, lead, drain, release.

use std::{
    io,
    pin::{Pin, pin},
    time::Duration,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::timeout,
};
use tower::BoxError;

use super::{
    Error, Ready,
    lease::{HeldLease, Lease, Lost},
    phase::Control,
};

/// One message for each SIGTERM or SIGINT from now on.
///
/// # Errors
///
/// The kernel refuses a handler.
pub fn signals() -> io::Result<mpsc::Receiver<()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if sender.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// The signals, the Lease and the limits that control a process.
pub(super) struct Supervisor {
    pub(super) control: Control,
    pub(super) ready: Ready,
    /// `None` leads without an election.
    pub(super) lease: Option<Lease>,
    pub(super) signals: mpsc::Receiver<()>,
    pub(super) drain_timeout: Duration,
}

impl Supervisor {
    /// Runs `controller` to its end.
    ///
    /// # Errors
    ///
    /// Those of [`run`](super::run) that come after its preparations.
    pub(super) async fn supervise(
        mut self,
        controller: impl Future<Output = Result<(), BoxError>>,
    ) -> Result<(), Error> {
        let mut controller = pin!(controller);
        let mut turn = pin!(turn(self.ready.clone(), self.lease.take()));
        let (mut leads, mut held) = (false, None);

        let ended = loop {
            tokio::select! {
                biased;
                lost = lost(held.as_ref()) => break Err(Error::LeaseLost(lost)),
                () = signal_of(&mut self.signals) => break self.drain(controller, held.as_ref()).await,
                ended = &mut controller => break Ok(ended),
                turn = &mut turn, if !leads => match turn {
                    Ok(lease) => {
                        (leads, held) = (true, lease);
                        self.control.lead();
                    }
                    Err(lost) => break Err(Error::LeaseLost(lost)),
                },
            }
        };

        self.control.end();
        let ended = ended?;
        if let Some(held) = held {
            held.release().await;
        }
        ended.map_err(Error::Controller)
    }

    /// Lets `controller` come to its end, within limits.
    async fn drain<C: Future>(
        &mut self,
        controller: Pin<&mut C>,
        held: Option<&HeldLease>,
    ) -> Result<C::Output, Error> {
        tracing::info!("shutting down: waiting for running passes");
        self.control.end();
        tokio::select! {
            biased;
            lost = lost(held) => Err(Error::LeaseLost(lost)),
            () = signal_of(&mut self.signals) => Err(Error::Aborted),
            drained = timeout(self.drain_timeout, controller) => drained.map_err(|_| Error::Drain(self.drain_timeout)),
        }
    }
}

/// Waits until the caches are warm, then for the Lease: a process that is not ready does not claim it.
async fn turn(ready: Ready, lease: Option<Lease>) -> Result<Option<HeldLease>, Lost> {
    ready.wait().await;
    match lease {
        Some(lease) => lease.acquire().await.map(Some),
        None => Ok(None),
    }
}

async fn lost(held: Option<&HeldLease>) -> Lost {
    match held {
        Some(held) => held.lost().await,
        None => std::future::pending().await,
    }
}

async fn signal_of(signals: &mut mpsc::Receiver<()>) {
    if signals.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
