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

/// Short, because the process must end.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(4);

/// The leadership of this process; a task renews it until it is lost, released or dropped.
///
/// Dropped without [`release`](Self::release) it lasts until it expires, as after a crash.
#[derive(Debug)]
pub struct HeldLease {
    lost: watch::Receiver<Option<Lost>>,
    release: oneshot::Sender<()>,
    keeping: JoinHandle<()>,
}

/// Why the leadership ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Lost {
    /// The holder was changed.
    #[error("held by {holder}")]
    Taken {
        /// The other holder, or `nobody`.
        holder: String,
    },
    /// The cluster was restored from a backup, so the caches of this process are wrong.
    #[error("the cluster was restored from a backup: resource versions went back; the process must restart")]
    Restored,
    /// It could not be renewed in time.
    #[error("not renewed for {RENEW_DEADLINE:?}: {cause}")]
    Expired {
        /// The error of the last attempt.
        cause: String,
    },
}

impl HeldLease {
    /// Keeps `lease`, which was claimed by a request begun at `claimed`.
    pub(super) fn new(access: Access, lease: Lease, claimed: Instant) -> Self {
        let (losing, lost) = watch::channel(None);
        let (release, released) = oneshot::channel();
        let keeping = tokio::spawn(async move {
            let mut renewer = Renewer { access, lease, renewed: claimed };
            let released = tokio::select! {
                reason = renewer.keep() => {
                    tracing::error!(%reason, "lease lost: shutting down");
                    losing.send_replace(Some(reason));
                    return;
                }
                released = released => released,
            };
            // An error means that it was dropped.
            if released.is_ok() {
                renewer.release().await;
            }
        });
        Self { lost, release, keeping }
    }

    /// Resolves when the leadership ends: then all writes must stop at once.
    pub async fn lost(&self) -> Lost {
        let mut lost = self.lost.clone();
        let lost = lost.wait_for(Option::is_some).await;
        lost.ok()
            .and_then(|lost| lost.clone())
            .unwrap_or_else(|| Lost::Expired { cause: "the renewal ended".to_owned() })
    }

    /// Ends the leadership, so that a standby takes over at once; the caller has stopped writing.
    ///
    /// It is tried for 4 s, and failures are logged: the standby then waits for the expiry.
    pub async fn release(self) {
        // An error of either means that the leadership has ended already.
        let _ = self.release.send(());
        let _ = self.keeping.await;
    }
}

struct Renewer {
    access: Access,
    lease: Lease,
    /// When the last successful renewal began, which is before others could see it.
    renewed: Instant,
}

impl Renewer {
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
        let mut cause = "no renewal was attempted in time".to_owned();
        loop {
            let started = Instant::now();
            // After a freeze another process may lead by now, even if a renewal would succeed.
            if started >= deadline {
                return Err(Lost::Expired { cause });
            }
            let renewed = timeout_at(deadline, self.access.renew(&self.lease)).await;
            if self.access.history.has_gone_back() {
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
                    tracing::warn!(cause, "lease not renewed yet");
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
            tracing::warn!(cause = failure.chain(), "lease not released yet");
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
