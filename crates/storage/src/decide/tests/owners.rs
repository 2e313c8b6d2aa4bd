//! What is decided about buckets of an object storage elsewhere, by their owner. The UID of the object is `0`.

use temporal_stack_common::api::{BucketOrigin, annotation::ADOPT_BUCKET};

use super::*;
use crate::fixture::owned_by;

const NOTHING: [String; 0] = [];

/// An object with a bucket elsewhere, which its status records with this origin.
pub(super) fn with_origin(policy: &str, origin: Option<BucketOrigin>) -> ObjectStorage {
    let bucket = json!({"name": "albums", "deletionPolicy": policy, "versioning": true});
    let spec = json!({"provider": {"external": {"secretName": "theirs"}}, "buckets": [bucket]});
    let mut object = object(&spec);
    if origin.is_some() {
        object = with_status(object, "external", &[("albums", policy)]);
        object.status.as_mut().unwrap().buckets[0].origin = origin;
    }
    object
}

/// The same after the bucket has left the spec.
pub(super) fn leaving(origin: Option<BucketOrigin>) -> ObjectStorage {
    let mut object = with_status(with_origin("Delete", origin), "external", &[("albums", "Delete")]);
    object.spec.buckets.clear();
    object.status.as_mut().unwrap().buckets[0].origin = origin;
    object
}

pub(super) fn found(found: Found, is_bound: bool) -> Observed {
    let buckets = [("albums".to_owned(), found)].into_iter().collect();
    let mut observed = external(Some(&KEYS), Survey::Known(Known { buckets, ..Known::default() }));
    if is_bound {
        observed.bound.insert("albums".to_owned(), bound(1));
        observed.endpoints.insert("albums".to_owned(), KEYS[0].1.to_owned());
    }
    observed
}

pub(super) fn owned(owner: Option<&str>, is_bound: bool) -> Observed {
    found(Found::Usable(Facts { is_empty: Some(true), ..owned_by(owner) }), is_bound)
}

fn upkeep(object: &ObjectStorage, observed: &Observed) -> Vec<String> {
    intent_of(object, observed).upkeep.iter().map(ToString::to_string).collect()
}

fn origin(object: &ObjectStorage, observed: &Observed) -> Option<BucketOrigin> {
    status_of(object, observed).buckets.first()?.origin
}

#[test]
fn bucket_is_created_after_it_is_recorded() {
    let new = with_origin("Retain", None);
    let absent = || found(Found::Absent, false);
    assert_eq!(actions_of(&new, &absent()), NOTHING);
    assert_eq!(origin(&new, &absent()), Some(BucketOrigin::Creating));
    assert_eq!(waiting(&new, &absent()), Some(reason::PREPARING));
    assert_eq!(intent_of(&new, &absent()).look_again, Some(RECORDED_WITHIN));
    let recorded = with_origin("Retain", Some(BucketOrigin::Creating));
    assert_eq!(actions_of(&recorded, &absent()), ["create bucket albums"]);
    assert_eq!(intent_of(&recorded, &absent()).look_again, None);
}

#[test]
fn created_bucket_gets_its_tag() {
    let recorded = with_origin("Retain", Some(BucketOrigin::Creating));
    assert_eq!(upkeep(&recorded, &owned(None, false)), ["set the owner of bucket albums"]);
    assert_eq!(origin(&recorded, &owned(None, false)), Some(BucketOrigin::Creating));
    assert_eq!(upkeep(&recorded, &owned(Some("0"), false)), NOTHING);
    assert_eq!(origin(&recorded, &owned(Some("0"), false)), Some(BucketOrigin::Created));
    assert_eq!(origin(&with_origin("Retain", None), &owned(Some("0"), false)), Some(BucketOrigin::Created));
}

#[test]
fn storage_without_tags_needs_none() {
    let recorded = with_origin("Retain", Some(BucketOrigin::Creating));
    for owner in [Fact::Unsupported, Fact::Refused] {
        let mut facts = owned_by(None);
        facts.evidence.as_mut().unwrap().owner = owner;
        let observed = found(Found::Usable(facts), false);
        assert_eq!(upkeep(&recorded, &observed), NOTHING);
        assert_eq!(origin(&recorded, &observed), Some(BucketOrigin::Created));
    }
}

#[test]
fn creation_that_somebody_forestalled_leaves_no_record() {
    let recorded = with_origin("Retain", Some(BucketOrigin::Creating));
    assert_eq!(status_of(&recorded, &found(Found::Foreign, false)).buckets, []);
}

#[test]
fn existing_bucket_is_taken_until_it_is_adopted() {
    let new = with_origin("Retain", None);
    for owner in [None, Some("another")] {
        let observed = owned(owner, false);
        assert_eq!(actions_of(&new, &observed), NOTHING, "{owner:?}");
        assert_eq!(upkeep(&new, &observed), NOTHING, "{owner:?}");
        let said = condition(&new, &observed, "BucketsReady");
        assert!(said.contains("BucketTaken") && said.contains("adopt-bucket=albums@7"), "{said}");
        assert_eq!(status_of(&new, &observed).buckets, []);
        assert_eq!(intent_of(&new, &observed).manifests.len(), 1, "the name of the binding is reserved");
        assert_eq!(intent_of(&new, &observed).probe.unwrap().obstacle.unwrap().reason, reason::BUCKET_TAKEN);
        let adopted = annotated(new.clone(), ADOPT_BUCKET, "other@7,albums@7");
        assert_eq!(actions_of(&adopted, &observed), ["begin versioning of bucket albums"], "{owner:?}");
        assert_eq!(upkeep(&adopted, &observed), ["set the owner of bucket albums"], "{owner:?}");
        assert_eq!(origin(&adopted, &observed), Some(BucketOrigin::Adopted));
    }
}

#[test]
fn bucket_that_was_used_before_there_were_tags_is_used_and_kept() {
    let before = with_origin("Delete", None);
    let observed = owned(None, true);
    assert_eq!(actions_of(&before, &observed), ["begin versioning of bucket albums"]);
    assert_eq!(upkeep(&before, &observed), NOTHING);
    assert_eq!(origin(&before, &observed), None);
    let versioned = Facts { versioning: Fact::Is(Versioning::Enabled), ..owned_by(None) };
    let said = condition(&before, &found(Found::Usable(versioned), true), "BucketsReady");
    assert!(said.contains("Adapted") && said.contains("adopt-bucket=albums@7"), "{said}");
    let left = leaving(None);
    assert_eq!(actions_of(&left, &observed), NOTHING);
    let said = condition(&left, &observed, "BucketsReady");
    assert!(said.contains("BucketFailed") && said.contains("adopt-bucket=albums@7"), "{said}");
    let adopted = annotated(left, ADOPT_BUCKET, "albums@7");
    assert_eq!(actions_of(&adopted, &observed), ["remove bucket albums"]);
}

#[test]
fn bucket_is_removed_by_the_tag_that_was_seen() {
    let created = leaving(Some(BucketOrigin::Created));
    let intent = intent_of(&created, &owned(Some("0"), true));
    let [action] = &intent.actions[..] else { panic!("{:?}", intent.actions) };
    assert_eq!((action.to_string().as_str(), action.owner.as_deref()), ("remove bucket albums", Some("0")));
    for owner in [None, Some("another")] {
        assert_eq!(actions_of(&created, &owned(owner, true)), NOTHING, "{owner:?}");
    }
    assert_eq!(status_of(&created, &owned(Some("another"), true)).buckets, [], "it is somebody else's");
}

#[test]
fn bucket_that_was_never_created_does_not_fix_the_provider() {
    let mut object = with_origin("Retain", Some(BucketOrigin::Creating));
    object.spec.provider = temporal_stack_common::api::ObjectStorageProvider::default();
    assert!(decision(&object, &embedded()).intent.is_ok());
    object.status.as_mut().unwrap().buckets[0].origin = Some(BucketOrigin::Created);
    assert_eq!(stalled(&object, &embedded()), reason::PROVIDER_CHANGED);
}
