//! A Lease that is held, and kept.

use std::{pin::pin, time::Duration};

use k8s_openapi::api::coordination::v1::Lease;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    DURATION, RENEW_DEADLINE, RETRY,
    access::{Access, Renewal},
    jittered,
};

/// The process has to end soon.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(4);

/// The turn of this process; a task renews it until it is lost, released or dropped.
///
/// Dropped without [`release`](Self::release) it stands until it expires, as after a crash.
#[derive(Debug)]
pub struct Held {
    lost: watch::Receiver<Option<Lost>>,
    release: oneshot::Sender<()>,
    keeping: JoinHandle<()>,
}

/// Why the turn is over.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Lost {
    /// Somebody changed the holder.
    #[error("it is held by {holder}")]
    Taken {
        /// Who holds it instead, or `nobody`.
        holder: String,
    },
    /// The cluster was restored from a backup, so what this process knows is of a time that never was.
    #[error("the cluster was restored from a backup: resource versions went back; the process must start again")]
    Restored,
    /// It could not be renewed in time.
    #[error("it could not be renewed for {RENEW_DEADLINE:?}: {cause}")]
    Expired {
        /// What became of the last attempt.
        cause: String,
    },
}

impl Held {
    /// Keeps `lease`, which was claimed by a request begun at `claimed`.
    pub(super) fn new(access: Access, lease: Lease, claimed: Instant) -> Self {
        let (losing, lost) = watch::channel(None);
        let (release, released) = oneshot::channel();
        let keeping = tokio::spawn(async move {
            let mut keeper = Keeper { access, lease, renewed: claimed };
            let released = tokio::select! {
                reason = keeper.keep() => {
                    tracing::error!(%reason, "the lease is lost: ending");
                    losing.send_replace(Some(reason));
                    return;
                }
                released = released => released,
            };
            // An error says that it was dropped.
            if released.is_ok() {
                keeper.release().await;
            }
        });
        Self { lost, release, keeping }
    }

    /// Resolves when the turn is over: then everything that changes anything has to stop at once.
    pub async fn lost(&self) -> Lost {
        let mut lost = self.lost.clone();
        let lost = lost.wait_for(Option::is_some).await;
        lost.ok()
            .and_then(|lost| lost.clone())
            .unwrap_or_else(|| Lost::Expired { cause: "the renewal ended".to_owned() })
    }

    /// Ends the turn, so that a standby takes it at once; the caller has stopped changing things.
    ///
    /// It is tried for 4 s, and what fails is logged: the standby then waits for the expiry.
    pub async fn release(self) {
        // An error of either says that the turn is over already.
        let _ = self.release.send(());
        let _ = self.keeping.await;
    }
}

struct Keeper {
    access: Access,
    lease: Lease,
    /// When the last successful renewal began, which is before its writing could be seen by others.
    renewed: Instant,
}

impl Keeper {
    async fn keep(&mut self) -> Lost {
        loop {
            sleep_until(self.renewed + jittered(DURATION / 3)).await;
            if let Err(lost) = self.renew().await {
                return lost;
            }
        }
    }

    async fn renew(&mut self) -> Result<(), Lost> {
        let deadline = self.deadline();
        let mut cause = "it was not tried in time".to_owned();
        loop {
            let started = Instant::now();
            // After a freeze others may lead by now, even if a renewal would succeed.
            if started >= deadline {
                return Err(Lost::Expired { cause });
            }
            let renewed = timeout_at(deadline, self.access.renew(&self.lease)).await;
            if self.access.history.went_back() {
                return Err(Lost::Restored);
            }
            match renewed {
                Ok(Ok(Renewal::Kept(lease))) => {
                    self.lease = *lease;
                    self.renewed = started;
                    return Ok(());
                }
                Ok(Ok(Renewal::Taken(holder))) => return Err(Lost::Taken { holder }),
                Ok(Err(failure)) => {
                    cause = failure.chain();
                    tracing::warn!(cause, "the lease is not renewed yet");
                }
                Err(_) => continue,
            }
            sleep_until(deadline.min(started + jittered(RETRY))).await;
        }
    }

    async fn release(&mut self) {
        let mut deadline = pin!(sleep_until(self.deadline().min(Instant::now() + RELEASE_TIMEOUT)));
        loop {
            let failure = tokio::select! {
                released = self.access.release(&self.lease) => match released {
                    Ok(()) => return tracing::info!(lease = self.access.name, "lease released"),
                    Err(failure) => failure,
                },
                () = &mut deadline => return,
            };
            tracing::warn!(cause = failure.chain(), "the lease is not released yet");
            tokio::select! {
                () = tokio::time::sleep(jittered(RETRY)) => {}
                () = &mut deadline => return,
            }
        }
    }

    fn deadline(&self) -> Instant {
        self.renewed + RENEW_DEADLINE
    }
}
