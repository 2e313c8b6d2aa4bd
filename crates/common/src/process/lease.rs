//! Leader election: of all processes of one name, one leads.
//!
//! A process that wants to lead calls [`Lease::acquire`], keeps the [`HeldLease`] it gets while it leads, ends when
//! [`HeldLease::lost`] resolves, and calls [`HeldLease::release`] when it has stopped changing things.
//!
//! # Guarantees
//!
//! * A standby follows the Lease by a watch, so a released Lease is taken as soon as the event arrives, without requests while it
//!   is held.
//! * After a crash a standby takes over when it has seen no renewal for the duration in the Lease (15 s). It measures that on
//!   its own monotonic clock, from when it saw the last change: no other machine's clock matters.
//! * A holder renews every 4 to 5 s and gives up 10 s after it *began* its last successful renewal, so 5 s pass between its
//!   end and the earliest take-over.
//! * Every write names the resource version it was decided on: of two claims one fails, and a late one always fails.
//! * A process that finds a version of the Lease older than one before, because the cluster was restored from a backup, does not
//!   lead: its caches describe a state that no longer exists, and its watches would miss events. It ends, and restarts.
//! * A Lease deleted while it is held is recreated by its holder; a standby that saw it held waits as after a crash.
//! * Refused requests are retried, with a warning that names the missing permission: an API server that is starting refuses many
//!   requests for a moment.
//!
//! # Caveats
//!
//! * This is no fencing. A process that was frozen may finish a write that it had started as the holder.
//! * A process that *starts* just after someone deleted the Lease by hand finds none and takes it; the former holder
//!   notices when it renews, up to 5 s later.
//!
//! # Rights
//!
//! `get`, `list`, `watch`, `create` and `update` on `leases.coordination.k8s.io` in the Lease's namespace.

use std::{fs, sync::Arc, time::Duration};

use futures::{StreamExt as _, pin_mut};
use kube::{
    Api, Client,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::time::{Instant, sleep_until};

use self::{access::Access, record::Record};

pub use self::{
    access::Failure,
    held::{HeldLease, Lost},
};

mod access;
#[cfg(test)]
pub(super) mod fake;
mod held;
mod record;

/// How long a holder without renewals counts as alive.
const DURATION: Duration = Duration::from_secs(15);
/// How long after its last renewal a holder gives up.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How long to wait before a failed request is retried.
const RETRY: Duration = Duration::from_secs(2);

/// The leader election of processes of one name.
#[derive(Clone, Debug)]
pub struct Lease {
    access: Access,
}

impl Lease {
    /// The Lease `name` in `namespace`, for a candidate named after this pod with a random suffix.
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        let suffix: u64 = rand::random();
        Self {
            access: Access {
                api: Api::namespaced(client, namespace),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                identity: format!("{}_{suffix:016x}", pod(name)),
                history: Arc::default(),
            },
        }
    }

    /// The identity of this candidate, for `holderIdentity`.
    pub fn identity(&self) -> &str {
        &self.access.identity
    }

    /// Waits until this candidate holds the Lease.
    ///
    /// Dropping it stops waiting. A claim that is being sent may then still succeed, and lasts until it expires.
    ///
    /// # Errors
    ///
    /// The cluster was restored from a backup while this candidate stood by, so its caches are wrong.
    pub async fn acquire(&self) -> Result<HeldLease, Lost> {
        let Access { api, name, .. } = &self.access;
        let changes = watcher::watch_object(api.clone(), name).default_backoff();
        pin_mut!(changes);
        let mut record = Record::new(Instant::now());
        let mut warned = Warnings::default();
        let mut retry_at = Instant::now();
        loop {
            let attempt_at = record.free_at(self.identity()).max(retry_at);
            tokio::select! {
                change = changes.next() => match change {
                    Some(Ok(lease)) => {
                        if let Some(lease) = &lease {
                            self.access.history.seen(lease);
                        }
                        record.observe(lease, Instant::now());
                    }
                    Some(Err(error)) => warned.warn(&self.access.watch_failure(error)),
                    None => {}
                },
                () = sleep_until(attempt_at) => {
                    let started = Instant::now();
                    let claimed = self.access.acquire(&mut record).await;
                    if self.access.history.has_gone_back() {
                        return Err(Lost::Restored);
                    }
                    match claimed {
                        Ok(Some(lease)) => {
                            tracing::info!(lease = name, identity = self.identity(), "lease acquired");
                            return Ok(HeldLease::new(self.access.clone(), lease, started));
                        }
                        Ok(None) => {}
                        Err(failure) => {
                            warned.warn(&failure);
                            retry_at = Instant::now() + jittered(RETRY);
                        }
                    }
                }
            }
            warned.waiting(record.holder());
        }
    }
}

/// Logs each message once, until it changes.
#[derive(Debug, Default)]
struct Warnings {
    failure: String,
    holder: String,
}

impl Warnings {
    fn warn(&mut self, failure: &Failure) {
        let failure = failure.chain();
        if self.failure != failure {
            tracing::warn!(failure, "the lease cannot be claimed at the moment");
            self.failure = failure;
        }
    }

    fn waiting(&mut self, holder: Option<&str>) {
        if let Some(holder) = holder.filter(|holder| *holder != self.holder) {
            tracing::info!(holder, "standing by");
            holder.clone_into(&mut self.holder);
        }
    }
}

/// Between four fifths of `duration` and all of it, so that candidates do not act at the same time.
fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(rand::random_range(0.8..=1.0))
}

/// The pod's name, which is its host name.
fn pod(fallback: &str) -> String {
    std::env::var("HOSTNAME")
        .or_else(|_| fs::read_to_string("/proc/sys/kernel/hostname"))
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| fallback.to_owned())
}

#[cfg(test)]
mod tests;
