//! Validation: the rules of the CRD's schema, and those that it cannot express.

use std::collections::BTreeSet;

use temporal_stack_common::{
    api::{Bucket, BucketOrigin, BucketStatus, MinioProvider},
    component::Stalled,
    dns, manifest,
    message::listed,
    provider::wrong_with_common,
};

use super::{
    rotation,
    view::{EmbeddedView, View},
};
use crate::{
    engine::Kind,
    names::{LISTED, MOST_DRIVES, MOST_SERVERS},
    reason,
};

/// The most buckets.
const MOST_BUCKETS: usize = 32;
/// The most days of a rule.
const MOST_DAYS: u32 = 36_500;

/// Refuses a spec that cannot work, or that leaves data behind; an object may have bypassed the schema.
pub(super) fn validate(view: &View<'_>) -> Result<(), Stalled> {
    Stalled::if_invalid(wrong_with_spec(view))?;
    if let Some(message) = changed_provider(view) {
        return Err(Stalled::new(reason::PROVIDER_CHANGED, message));
    }
    Stalled::if_invalid(view.embedded().and_then(|embedded| changed_layout(view, embedded)))
}

fn wrong_with_spec(view: &View<'_>) -> Option<String> {
    let (object, names) = (view.object, &view.names);
    let provider = &object.spec.provider;
    let providers = [
        ("minio", provider.minio.is_some()),
        ("versity", provider.versity.is_some()),
        ("rook", provider.rook.is_some()),
        ("external", provider.external.is_some()),
    ];
    wrong_with_common(&names.object, &providers, &object.spec.access, &object.spec.pods)
        .or_else(|| wrong_with_buckets(&object.spec.buckets))
        .or_else(|| provider.minio.as_ref().and_then(wrong_with_minio))
        .or_else(|| {
            let embedded = view.embedded()?;
            dns::wrong_with_host(object, &names.pod_host(embedded.kind.servers() - 1))
        })
}

fn wrong_with_minio(provider: &MinioProvider) -> Option<String> {
    let MinioProvider { servers, drives_per_server: drives, .. } = *provider;
    if servers != 1 && !(4..=MOST_SERVERS).contains(&servers) {
        return Some(format!("spec.provider.minio.servers is {servers}; set it to 1, or to 4 to {MOST_SERVERS}"));
    }
    let is_possible = if servers == 1 { [1, 4].contains(&drives) } else { (1..=MOST_DRIVES).contains(&drives) };
    (!is_possible).then(|| {
        format!(
            "spec.provider.minio.drivesPerServer is {drives}; set it to 1 or 4 with one server, and to 1 to {MOST_DRIVES} with several"
        )
    })
}

fn wrong_with_buckets(buckets: &[Bucket]) -> Option<String> {
    if buckets.len() > MOST_BUCKETS {
        return Some(format!(
            "spec.buckets has {} buckets, more than {MOST_BUCKETS}; use another ObjectStorage for the rest",
            buckets.len()
        ));
    }
    let mut names = BTreeSet::new();
    buckets.iter().find_map(|bucket| {
        let name = &bucket.name;
        let field = format!("spec.buckets[{name:?}]");
        if !is_bucket_name(name) {
            return Some(format!(
                "{field}.name is not a valid bucket name; use 3 to 63 lower-case letters, digits, hyphens and dots"
            ));
        }
        if !names.insert(name) {
            return Some(format!("{field} is listed twice; keep one of the entries"));
        }
        if bucket.object_lock.is_some() && !bucket.versioning {
            return Some(format!("{field}.objectLock needs versioning; set versioning to true"));
        }
        let days =
            [("objectLock.days", bucket.object_lock.map(|lock| lock.days)), ("expirationDays", bucket.expiration_days)];
        if let Some((days, _)) =
            days.into_iter().find(|(_, days)| days.is_some_and(|days| !(1..=MOST_DAYS).contains(&days)))
        {
            return Some(format!("{field}.{days} must be 1 to {MOST_DAYS}; correct it"));
        }
        let quota = bucket.quota.as_deref()?;
        let is_amount = manifest::bytes(quota).is_some_and(|bytes| bytes > 0);
        (!is_amount).then(|| format!("{field}.quota is not a quantity of bytes above zero; write 5Gi, for instance"))
    })
}

/// Whether a name is a bucket's, and a part of a Secret's name.
fn is_bucket_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let ends = [label.bytes().next(), label.bytes().next_back()];
        ends.into_iter().all(|end| end.is_some_and(is_inner))
            && label.bytes().all(|byte| is_inner(byte) || byte == b'-')
    };
    let is_address = name.parse::<std::net::Ipv4Addr>().is_ok();
    (3..=63).contains(&name.len()) && !is_address && name.split('.').all(is_label)
}

/// Why the provider cannot be the one in the spec: another one has the data.
fn changed_provider(view: &View<'_>) -> Option<String> {
    let now = view.provider_name();
    let is_foreign = |claim: &&String| match view.embedded() {
        Some(embedded) => embedded.kind.is_of_another(claim, &view.names),
        None => Kind::is_of_any(claim, &view.names),
    };
    let claims: Vec<String> =
        view.claims.iter().filter(is_foreign).map(|claim| format!("PersistentVolumeClaim/{claim}")).collect();
    let status = view.object.status.as_ref();
    let before = status.and_then(|status| status.provider.as_deref()).filter(|before| *before != now);
    let buckets = before.and(status).map(|status| status.buckets.as_slice()).unwrap_or_default();
    // What was never created has no data.
    let is_there = |bucket: &&BucketStatus| bucket.binding.is_some() || bucket.origin != Some(BucketOrigin::Creating);
    let buckets: Vec<&BucketStatus> = buckets.iter().filter(is_there).collect();
    if claims.is_empty() && buckets.is_empty() {
        return None;
    }
    let data = if claims.is_empty() {
        let names: Vec<String> = buckets.iter().map(|bucket| bucket.name.clone()).collect();
        format!("buckets: {}", listed(&names, LISTED))
    } else {
        format!("volumes: {}", listed(&claims, LISTED))
    };
    let before = before.map_or_else(|| "another provider".to_owned(), |before| format!("provider {before}"));
    Some(format!(
        "spec.provider is {now}, but the data are in {before} ({data}). Set it back, or create another ObjectStorage with provider {now} and copy each bucket: storage-controller copy --from BINDING --to BINDING"
    ))
}

/// Why the layout of drives cannot be the one in the spec: the volumes have another.
fn changed_layout(view: &View<'_>, embedded: &EmbeddedView<'_>) -> Option<String> {
    let (noted, wanted) = (rotation::noted_layout(embedded.observed)?, embedded.kind.layout());
    // Without volumes there is nothing that another layout could harm.
    let is_same = noted == wanted || view.claims.is_empty() || !noted.starts_with(embedded.kind.name());
    (!is_same).then(|| {
        format!(
            "spec.provider.{}: the volumes have the layout {noted} (servers x drives), but the spec asks for {wanted}, and each drive records their number and order. Set it back, or create another ObjectStorage and copy the buckets",
            embedded.kind.name()
        )
    })
}
