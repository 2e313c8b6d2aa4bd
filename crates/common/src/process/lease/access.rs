//! The requests for the Lease, each with a timeout, and the meaning of their answers.

use std::{
    error::Error as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::TryFutureExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::PostParams,
    runtime::watcher::{self, Error as WatchError},
};
use tokio::time::{Instant, timeout};

use super::record::{self, Record};

/// How long one request may take: two fit between the time of a renewal and its deadline.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(2500);

/// Why the Lease could not be read or written; such a request is retried.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The service account lacks a permission.
    #[error(
        "not allowed to {verb} the lease: the Role of this controller needs the verb `{verb}` on `leases.coordination.k8s.io` \
         in namespace `{namespace}`"
    )]
    Forbidden {
        /// The verb that is missing.
        verb: &'static str,
        /// Where it is missing.
        namespace: String,
    },
    /// The API server gave no answer.
    #[error("no answer to the request to {verb} the lease within {ANSWER_TIMEOUT:?}")]
    Silent {
        /// What was asked.
        verb: &'static str,
    },
    /// The API server refused, or could not be reached.
    #[error("cannot {verb} the lease")]
    Request {
        /// What was asked.
        verb: &'static str,
        /// The error.
        #[source]
        source: kube::Error,
    },
    /// The watch ended; it is restarted.
    #[error("cannot watch the lease")]
    Watch(#[source] watcher::Error),
}

impl Failure {
    /// The message with all causes, for a log line.
    pub(super) fn chain(&self) -> String {
        let mut chain = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            // kube's messages repeat their causes, and this one all its fields.
            if let Some(kube::Error::Api(status)) = error.downcast_ref() {
                return format!("{chain}: {} ({})", status.message, status.code);
            }
            let message = error.to_string();
            if !chain.contains(&message) {
                chain = format!("{chain}: {message}");
            }
            cause = error.source();
        }
        chain
    }

    fn code(&self) -> Option<u16> {
        match self {
            Self::Request { source: kube::Error::Api(status), .. } => Some(status.code),
            _ => None,
        }
    }
}

/// The result of a renewal.
#[derive(Debug)]
pub(super) enum Renewal {
    /// It is ours for another term.
    Kept(Box<Lease>),
    /// It belongs to another holder, or to none.
    Taken(String),
}

/// Detects that the API server's history went back, as after a restore from a backup.
#[derive(Debug, Default)]
pub(super) struct History {
    newest: AtomicU64,
    went_back: AtomicBool,
}

impl History {
    /// Records an answer to a request: it cannot be older than what was seen before.
    fn answered(&self, lease: &Lease) {
        if version(lease).is_some_and(|version| version < self.newest.fetch_max(version, Ordering::SeqCst)) {
            self.went_back.store(true, Ordering::SeqCst);
        }
    }

    /// Records an event of a watch, which may be older than an answer.
    pub(super) fn seen(&self, lease: &Lease) {
        self.newest.fetch_max(version(lease).unwrap_or_default(), Ordering::SeqCst);
    }

    /// Whether it has.
    pub(super) fn has_gone_back(&self) -> bool {
        self.went_back.load(Ordering::SeqCst)
    }
}

fn version(lease: &Lease) -> Option<u64> {
    lease.metadata.resource_version.as_deref()?.parse().ok()
}

/// The Lease in the API, and the candidate.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) api: Api<Lease>,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) identity: String,
    pub(super) history: Arc<History>,
}

impl Access {
    /// Claims the Lease in `record`; `None` if another candidate was faster, which is then in `record`.
    pub(super) async fn acquire(&self, record: &mut Record) -> Result<Option<Lease>, Failure> {
        if record.is_known() {
            let claim = record.claimed(&self.name, &self.identity);
            if let Some(lease) = self.write(&claim).await? {
                return Ok(Some(lease));
            }
        }
        record.observe(self.read().await?, Instant::now());
        Ok(None)
    }

    /// Renews `held`, recreating it if it was deleted.
    pub(super) async fn renew(&self, held: &Lease) -> Result<Renewal, Failure> {
        let mut renewal = record::renewed(held.clone());
        loop {
            if let Some(lease) = self.write(&renewal).await? {
                return Ok(Renewal::Kept(Box::new(lease)));
            }
            renewal = match self.read().await? {
                None => record::for_creation(renewal),
                Some(lease) if self.holds(&lease) => record::renewed(lease),
                Some(lease) => return Ok(Renewal::Taken(holder(&lease))),
            };
        }
    }

    /// Releases `held`, unless it is not ours any more.
    pub(super) async fn release(&self, held: &Lease) -> Result<(), Failure> {
        let mut held = held.clone();
        loop {
            if self.write(&record::released(held)).await?.is_some() {
                return Ok(());
            }
            held = match self.read().await? {
                Some(lease) if self.holds(&lease) => lease,
                _ => return Ok(()),
            };
        }
    }

    /// The failure for a watch that ended with `error`.
    pub(super) fn watch_failure(&self, error: WatchError) -> Failure {
        let (verb, code) = match &error {
            WatchError::InitialListFailed(kube::Error::Api(status)) => ("list", status.code),
            WatchError::WatchStartFailed(kube::Error::Api(status))
            | WatchError::WatchFailed(kube::Error::Api(status))
            | WatchError::WatchError(status) => ("watch", status.code),
            _ => ("watch", 0),
        };
        if code == 403 { self.forbidden(verb) } else { Failure::Watch(error) }
    }

    async fn read(&self) -> Result<Option<Lease>, Failure> {
        let read = self.ask("get", self.api.get_opt(&self.name)).await?;
        if let Some(lease) = &read {
            self.history.answered(lease);
        }
        Ok(read)
    }

    /// Replaces the version that `lease` names, or creates it if it names none; `None` if the Lease has changed.
    async fn write(&self, lease: &Lease) -> Result<Option<Lease>, Failure> {
        let params = PostParams::default();
        let written = if lease.metadata.resource_version.is_some() {
            let replacing = self.api.replace(&self.name, &params, lease);
            self.ask("update", replacing).await
        } else {
            self.ask("create", self.api.create(&params, lease)).await
        };
        let replaces = lease.metadata.resource_version.is_some();
        match written {
            Ok(lease) => {
                self.history.answered(&lease);
                Ok(Some(lease))
            }
            Err(failure) => match failure.code() {
                Some(409) => Ok(None),
                Some(404) if replaces => Ok(None),
                _ => Err(failure),
            },
        }
    }

    async fn ask<T>(&self, verb: &'static str, request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
        let request = request.map_err(|source| match source {
            kube::Error::Api(status) if status.code == 403 => self.forbidden(verb),
            source => Failure::Request { verb, source },
        });
        timeout(ANSWER_TIMEOUT, request).await.unwrap_or(Err(Failure::Silent { verb }))
    }

    fn forbidden(&self, verb: &'static str) -> Failure {
        Failure::Forbidden { verb, namespace: self.namespace.clone() }
    }

    fn holds(&self, lease: &Lease) -> bool {
        holder(lease) == self.identity
    }
}

fn holder(lease: &Lease) -> String {
    let holder = lease.spec.as_ref().and_then(record::holder);
    holder.unwrap_or("nobody").to_owned()
}
