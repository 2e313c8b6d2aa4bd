//! Fields of the status.

use temporal_stack_common::{
    api::{BindingReference, BucketStatus, ObjectStorageStatus},
    login,
};

use crate::{
    decide::{
        leaving, origin,
        view::{Bucket, Keys, View},
    },
    names,
    observed::{Found, Survey},
};

/// The fields. Those of a stalled object are kept, except for what the spec says of buckets that leave: the provider in its spec may
/// not be the one that has the data.
pub(crate) fn status(view: &View<'_>, is_stalled: bool) -> ObjectStorageStatus {
    let mut before = view.object.status.clone().unwrap_or_default();
    if is_stalled {
        for kept in &mut before.buckets {
            let wanted = view.object.spec.buckets.iter().find(|wanted| wanted.name == kept.name);
            kept.deletion_policy = wanted.map_or(kept.deletion_policy, |wanted| wanted.deletion_policy);
        }
        return before;
    }
    let version =
        view.embedded().and_then(super::decide::view::EmbeddedView::health).and_then(|health| health.version.clone());
    let buckets: Vec<BucketStatus> =
        view.buckets.iter().filter(|bucket| is_listed(view, bucket)).map(|bucket| entry(view, bucket)).collect();
    let request = login::rotation_request(&view.object.metadata);
    let is_rotated = !buckets.is_empty() && buckets.iter().all(|bucket| bucket.rotation.as_deref() == request);
    ObjectStorageStatus {
        provider: Some(view.provider_name().to_owned()),
        engine_version: version.or(before.engine_version.filter(|_| view.embedded().is_some())),
        rotation: if is_rotated { request.map(str::to_owned) } else { before.rotation },
        buckets,
        ..ObjectStorageStatus::default()
    }
}

/// Whether the bucket exists, as far as is known, or has something left that must go. A binding proves that it existed: one that is
/// refused or lost may come back.
fn is_listed(view: &View<'_>, bucket: &Bucket<'_>) -> bool {
    if bucket.wanted.is_none() {
        return !leaving::is_gone(bucket);
    }
    match (view.survey(), bucket.found) {
        (Survey::Known(_), _) if bucket.bound.is_some() || origin::origin(view, bucket).is_some() => true,
        (Survey::Known(_), Some(Found::Failed(_))) => !view.has_strangers(),
        (Survey::Known(_), _) => bucket.usable().is_some(),
        _ => view.object.status.iter().any(|status| status.buckets.iter().any(|known| known.name == bucket.name)),
    }
}

fn entry(view: &View<'_>, bucket: &Bucket<'_>) -> BucketStatus {
    let rotation = match &bucket.keys {
        Keys::Own { rotation, .. } => rotation.active().and_then(|login| login.rotation.clone()),
        Keys::Given(_) => None,
    };
    BucketStatus {
        name: bucket.name.to_owned(),
        binding: bucket.bound.map(|_| BindingReference { name: names::bucket_binding(&view.names, bucket.name) }),
        origin: origin::origin(view, bucket),
        deletion_policy: bucket.policy,
        rotation,
    }
}
