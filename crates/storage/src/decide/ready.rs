//! The condition `BucketsReady`: whether each bucket is as the spec has it.

use temporal_stack_common::{
    api::{self, DeletionPolicy},
    condition::Statement,
    message::{capped, listed},
};

use super::{
    buckets::{Problem, is_as_specified, problem},
    leaving, origin,
    ownership::Ownership,
    view::{Bucket, View},
};
use crate::{engine::Fact, names::LISTED, observed::Survey, reason};

/// Whether each bucket is as the spec has it.
const BUCKETS_READY: &str = "BucketsReady";

/// The condition.
pub(super) fn statement(view: &View<'_>) -> Statement {
    match view.survey() {
        Survey::Silent(failure) => {
            let message = format!("buckets unknown: {failure}");
            return Statement::unknown(BUCKETS_READY, view.silence(), message);
        }
        Survey::Unasked => {
            let message = "buckets unknown: the object storage has not been asked yet";
            return Statement::unknown(BUCKETS_READY, reason::CHILDREN_NOT_READY, message);
        }
        Survey::Known(_) => {}
    }
    let problems = view.wanted().filter_map(|(bucket, wanted)| problem(view, bucket, wanted));
    let problems: Vec<Problem> = problems.chain(leaving::problems(view)).collect();
    if let Some(first) = problems.first() {
        let messages: Vec<String> = problems.iter().map(|problem| problem.message.clone()).collect();
        return Statement::fails(BUCKETS_READY, first.reason, capped(messages, LISTED).join("; "));
    }
    let pending = view.wanted().filter(|(bucket, wanted)| !is_as_specified(bucket, wanted));
    let pending: Vec<String> = pending.map(|(bucket, _)| bucket.name.to_owned()).collect();
    if !pending.is_empty() {
        let message = format!("buckets are being prepared: {}", listed(&pending, LISTED));
        return Statement::fails(BUCKETS_READY, reason::PREPARING, message);
    }
    let remarks: Vec<String> = view.wanted().flat_map(|(bucket, wanted)| remarks(view, bucket, wanted)).collect();
    if remarks.is_empty() {
        Statement::holds(BUCKETS_READY, reason::AS_EXPECTED, "every bucket is as specified")
    } else {
        Statement::holds(BUCKETS_READY, reason::ADAPTED, capped(remarks, LISTED).join("; "))
    }
}

/// What the spec asks for and the object storage does not have.
fn remarks(view: &View<'_>, bucket: &Bucket<'_>, wanted: &api::Bucket) -> Vec<String> {
    let Some(facts) = bucket.usable() else { return Vec::new() };
    let title = view.title();
    let remark = |field: &str, is_wanted: bool, why: Option<String>| {
        let why = why.filter(|_| is_wanted)?;
        Some(format!("bucket {}: {field} not applied: {why}", bucket.name))
    };
    [
        remark("versioning", wanted.versioning, why(&facts.versioning, title)),
        remark("objectLock", wanted.object_lock.is_some(), why(&facts.lock, title)),
        remark("expirationDays", wanted.expiration_days.is_some(), why(&facts.expiration, title)),
        remark("quota", wanted.quota.is_some(), why(&facts.quota, title)),
        is_kept(view, bucket, wanted),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The remark that a bucket stays although it should go when it leaves the spec.
fn is_kept(view: &View<'_>, bucket: &Bucket<'_>, wanted: &api::Bucket) -> Option<String> {
    let is_kept = wanted.deletion_policy == DeletionPolicy::Delete && bucket.ownership == Some(Ownership::Used);
    is_kept.then(|| {
        format!(
            "bucket {}: deletionPolicy Delete not applied: nothing shows that this object created it; {}",
            bucket.name,
            origin::adoption(view, bucket)
        )
    })
}

fn why<T>(fact: &Fact<T>, title: &str) -> Option<String> {
    match fact {
        Fact::Is(_) => None,
        Fact::Unsupported => Some(format!("{title} does not support it")),
        Fact::Refused => Some("the key has no permission to read it".to_owned()),
    }
}
