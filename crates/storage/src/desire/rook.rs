//! The claims of buckets that Rook creates. Their names in the object store are never part of them: the provisioner writes those.

use std::collections::BTreeMap;

use kube::ResourceExt;
use temporal_stack_common::{
    api::{Bucket, DeletionPolicy, ObjectStorage},
    manifest::Manifest,
};

use crate::{
    decide::{
        rook,
        view::{self, View},
    },
    names::{self, BUCKET_LABEL, Names},
    observed::Found,
    rook::{MAX_SIZE, ObjectBucketClaim, ObjectBucketClaimSpec},
};

/// The claims of all buckets. That of a bucket that was removed from the object store must not exist; that of one that stays there
/// after it has left the spec is left alone.
pub(super) fn claims(view: &View<'_>, rook: &rook::View<'_>) -> Vec<Manifest> {
    let of_bucket = |bucket: &view::Bucket<'_>| {
        let existing = rook.claim(bucket.name);
        if let Some(wanted) = bucket.wanted {
            return Some(claim(view.object, &view.names, wanted, existing, rook.class));
        }
        // With its claim Rook removes a bucket with all objects, so one that is refused is not taken for one that is gone.
        let is_removed = bucket.policy == DeletionPolicy::Delete && matches!(bucket.found, Some(Found::Absent));
        let existing = existing.filter(|existing| is_removed && existing.metadata.deletion_timestamp.is_none());
        existing.map(|existing| Manifest::absent::<ObjectBucketClaim>(&existing.name_any()))
    };
    view.buckets.iter().filter_map(of_bucket).collect()
}

/// The claim of a bucket. What a bound claim cannot change is as it is in the existing claim. It is data unless the object and the
/// bucket are both to be deleted: the class decides whether the bucket goes with its claim.
fn claim(
    object: &ObjectStorage,
    names: &Names,
    bucket: &Bucket,
    existing: Option<&ObjectBucketClaim>,
    class: &str,
) -> Manifest {
    let name = match existing {
        Some(existing) => existing.name_any(),
        None => names::bucket_claim(names, &bucket.name, object.uid().as_deref().unwrap_or_default()),
    };
    let spec = existing.map(|existing| &existing.spec);
    let quota = bucket.quota.as_ref().map(|quota| (MAX_SIZE.to_owned(), quota.clone()));
    let mut claim = ObjectBucketClaim::new(
        &name,
        ObjectBucketClaimSpec {
            storage_class_name: spec
                .and_then(|spec| spec.storage_class_name.clone())
                .or_else(|| Some(class.to_owned())),
            generate_bucket_name: spec
                .and_then(|spec| spec.generate_bucket_name.clone())
                .or_else(|| Some(names.child(&bucket.name))),
            additional_config: quota.into_iter().collect(),
            bucket_name: None,
        },
    );
    claim.metadata.labels = Some(BTreeMap::from([(BUCKET_LABEL.to_owned(), bucket.name.clone())]));
    let policy = match (object.spec.deletion_policy, bucket.deletion_policy) {
        (DeletionPolicy::Delete, DeletionPolicy::Delete) => DeletionPolicy::Delete,
        _ => DeletionPolicy::Retain,
    };
    Manifest::new(&claim).data(policy)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use temporal_stack_common::manifest::Lifetime;

    use super::*;

    fn object(policy: &str) -> ObjectStorage {
        serde_json::from_value(json!({
            "apiVersion": "temporal-stack.dev/v1alpha1", "kind": "ObjectStorage",
            "metadata": {"name": "x", "namespace": "a", "uid": "0a1b2c3d-4e5f-0000-0000-000000000000"},
            "spec": {"deletionPolicy": policy},
        }))
        .unwrap()
    }

    fn bucket(fields: &Value) -> Bucket {
        let mut bucket = json!({"name": "photos"});
        for (key, value) in fields.as_object().into_iter().flatten() {
            bucket[key] = value.clone();
        }
        serde_json::from_value(bucket).unwrap()
    }

    fn made(policy: &str, fields: &Value, existing: Option<&ObjectBucketClaim>) -> Manifest {
        let object = object(policy);
        claim(&object, &Names::new(&object), &bucket(fields), existing, "buckets")
    }

    #[test]
    fn claim_has_a_name_of_its_own_and_no_bucket() {
        let manifest = made("Retain", &json!({}), None);
        assert_eq!(manifest.name(), "x-objectstorage-photos-0a1b2c3d");
        assert_eq!(manifest.object["metadata"]["labels"][BUCKET_LABEL], "photos");
        let spec = json!({"storageClassName": "buckets", "generateBucketName": "x-objectstorage-photos"});
        assert_eq!(manifest.object["spec"], spec);
        assert!(manifest.object.get("status").is_none_or(Value::is_null));
    }

    #[test]
    fn retained_claim_keeps_its_name_class_and_prefix() {
        let existing: ObjectBucketClaim = serde_json::from_value(json!({
            "apiVersion": "objectbucket.io/v1alpha1", "kind": "ObjectBucketClaim",
            "metadata": {"name": "x-objectstorage-photos-99999999"},
            "spec": {"storageClassName": "old", "generateBucketName": "g", "bucketName": "g-1", "objectBucketName": "o"},
        }))
        .unwrap();
        let manifest = made("Retain", &json!({"quota": "5Gi"}), Some(&existing));
        assert_eq!(manifest.name(), "x-objectstorage-photos-99999999");
        let spec =
            json!({"storageClassName": "old", "generateBucketName": "g", "additionalConfig": {"maxSize": "5Gi"}});
        assert_eq!(manifest.object["spec"], spec);
    }

    #[test]
    fn claim_is_kept_unless_object_and_bucket_are_deleted() {
        let policy = |object: &str, bucket: &str| made(object, &json!({"deletionPolicy": bucket}), None).lifetime;
        assert_eq!(policy("Delete", "Delete"), Lifetime::Data(DeletionPolicy::Delete));
        for (object, bucket) in [("Retain", "Retain"), ("Retain", "Delete"), ("Delete", "Retain")] {
            assert_eq!(policy(object, bucket), Lifetime::Data(DeletionPolicy::Retain), "{object} {bucket}");
        }
    }
}
