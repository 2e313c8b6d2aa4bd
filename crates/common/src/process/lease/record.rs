//! A candidate's knowledge of the Lease, and when it may claim it.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use tokio::time::Instant;

use super::{DURATION, RETRY};

/// The Lease as last seen.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// The object: a claim replaces exactly this version; `None` if it does not exist.
    lease: Option<Lease>,
    /// The spec of the object, or the last one if it was deleted; `None` before the first read.
    spec: Option<LeaseSpec>,
    /// When `spec` was last seen to change.
    changed: Instant,
}

impl Record {
    /// A record without a Lease yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { lease: None, spec: None, changed: now }
    }

    /// Records the object. Only writes of its holder count as a sign of life.
    pub(super) fn observe(&mut self, lease: Option<Lease>, now: Instant) {
        let spec = match &lease {
            Some(lease) => Some(lease.spec.clone().unwrap_or_default()),
            // The holder of the deleted Lease still leads.
            None => Some(self.spec.take().unwrap_or_default()),
        };
        if self.spec != spec && lease.is_some() {
            self.changed = now;
        }
        self.spec = spec;
        self.lease = lease;
    }

    /// Whether the Lease was read.
    pub(super) fn is_known(&self) -> bool {
        self.spec.is_some()
    }

    /// The holder, or the holder when it was deleted.
    pub(super) fn holder(&self) -> Option<&str> {
        self.spec.as_ref().and_then(holder)
    }

    /// When a candidate may claim it, if nothing changes until then.
    pub(super) fn free_at(&self, identity: &str) -> Instant {
        match (&self.spec, self.holder()) {
            // The watch should report it, but may not be permitted.
            (None, _) => self.changed + RETRY,
            (Some(spec), Some(holder)) if holder != identity => self.changed + duration(spec),
            // Free, or our own claim whose answer was lost.
            _ => self.changed,
        }
    }

    /// The object that a claim by `identity` writes.
    pub(super) fn claimed(&self, name: &str, identity: &str) -> Lease {
        let now = Some(MicroTime(Timestamp::now()));
        let mut lease = self.lease.clone().unwrap_or_else(|| empty(name));
        let before = lease.spec.take();
        let transitions = before.as_ref().and_then(|spec| spec.lease_transitions);
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(identity.to_owned()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: now.clone(),
            renew_time: now,
            lease_transitions: Some(transitions.map_or(0, |count| count.saturating_add(1))),
            ..before.unwrap_or_default()
        });
        lease
    }
}

/// The holder of a Lease, if any.
pub(super) fn holder(spec: &LeaseSpec) -> Option<&str> {
    spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// The object that a renewal writes.
pub(super) fn renewed(mut lease: Lease) -> Lease {
    if let Some(spec) = &mut lease.spec {
        spec.renew_time = Some(MicroTime(Timestamp::now()));
    }
    lease
}

/// The object that a release writes.
pub(super) fn released(mut lease: Lease) -> Lease {
    if let Some(spec) = &mut lease.spec {
        spec.holder_identity = None;
        spec.renew_time = Some(MicroTime(Timestamp::now()));
    }
    lease
}

/// The same content, to be created instead of replaced.
pub(super) fn for_creation(lease: Lease) -> Lease {
    let name = lease.metadata.name.unwrap_or_default();
    Lease { spec: lease.spec, ..empty(&name) }
}

fn empty(name: &str) -> Lease {
    Lease { metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }, spec: None }
}

/// The duration that the holder requested.
fn duration(spec: &LeaseSpec) -> Duration {
    spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(DURATION, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(holder: &str, version: &str) -> Lease {
        let mut lease = Record::new(Instant::now()).claimed("turn", holder);
        lease.metadata.resource_version = Some(version.to_owned());
        lease
    }

    #[test]
    fn held_lease_is_free_after_its_duration_without_renewal() {
        let start = Instant::now();
        let mut record = Record::new(start);
        let lease = held("other", "1");
        record.observe(Some(lease.clone()), start);
        assert_eq!(record.free_at("me"), start + DURATION);

        // An edit that is no renewal does not prolong it, but is what the claim must replace.
        let mut edited = lease;
        edited.metadata.resource_version = Some("2".to_owned());
        record.observe(Some(edited.clone()), start + RETRY);
        assert_eq!(record.free_at("me"), start + DURATION);
        let claimed = record.claimed("turn", "me");
        assert_eq!(claimed.metadata.resource_version.as_deref(), Some("2"));
        let spec = claimed.spec.unwrap();
        assert_eq!(spec.lease_transitions, Some(1));
        assert_eq!(holder(&spec), Some("me"));

        record.observe(Some(renewed(edited)), start + RETRY);
        assert_eq!(record.free_at("me"), start + RETRY + DURATION);
    }

    #[test]
    fn released_absent_and_own_leases_are_free_at_once() {
        let now = Instant::now();
        let mut record = Record::new(now);
        for lease in [Some(released(held("other", "1"))), Some(held("me", "2")), None] {
            record.observe(lease, now);
            assert_eq!(record.free_at("me"), now);
        }
    }

    #[test]
    fn deleted_held_lease_is_not_free_before_its_expiry() {
        let start = Instant::now();
        let mut record = Record::new(start);
        record.observe(Some(held("other", "1")), start);
        record.observe(None, start + RETRY);
        assert_eq!(record.free_at("me"), start + DURATION);
        let claimed = record.claimed("turn", "me");
        assert_eq!(claimed.metadata.resource_version, None);
    }

    #[test]
    fn lease_duration_of_the_holder_counts() {
        let now = Instant::now();
        let mut record = Record::new(now);
        let mut lease = held("other", "1");
        lease.spec.as_mut().unwrap().lease_duration_seconds = Some(60);
        record.observe(Some(lease), now);
        assert_eq!(record.free_at("me"), now + Duration::from_secs(60));
    }
}
