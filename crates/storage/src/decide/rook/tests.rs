use serde_json::{Value, json};
use temporal_stack_common::s3::{Address, Failure, Key, Style};

use super::*;
use crate::rook::{Around, Class, STORE, STORE_NAMESPACE};

static NO_BINDINGS: BTreeMap<String, Bound> = BTreeMap::new();

fn object(buckets: &[&str]) -> ObjectStorage {
    let buckets: Vec<Value> = buckets.iter().map(|name| json!({"name": name})).collect();
    serde_json::from_value(json!({
        "apiVersion": "temporal-stack.dev/v1alpha1", "kind": "ObjectStorage",
        "metadata": {"name": "x", "namespace": "a", "uid": "u"},
        "spec": {"provider": {"rook": {"storageClassName": "buckets"}}, "buckets": buckets},
    }))
    .unwrap()
}

fn claim(bucket: &str, change: &Value) -> ObjectBucketClaim {
    let mut claim = json!({
        "apiVersion": "objectbucket.io/v1alpha1", "kind": "ObjectBucketClaim",
        "metadata": {"name": format!("x-{bucket}"), "namespace": "a"},
        "spec": {"storageClassName": "buckets"},
        "status": {"phase": "Pending"},
    });
    for (key, value) in change.as_object().into_iter().flatten() {
        claim[key] = value.clone();
    }
    serde_json::from_value(claim).unwrap()
}

fn granted(bucket: &str) -> Granted {
    let address = Address {
        endpoint: "http://rgw:80".to_owned(),
        region: "us-east-1".to_owned(),
        style: Style::Path,
        authority: None,
    };
    Granted { address, bucket: format!("{bucket}-1"), key: Key { id: "id".to_owned(), secret: "s".to_owned() } }
}

fn claimed(bucket: &str, claim: ObjectBucketClaim, granted: Option<Result<Granted, Unusable>>) -> Claimed {
    Claimed { bucket: bucket.to_owned(), claim, granted }
}

fn installed(claims: Vec<Claimed>) -> Observed {
    Observed { is_installed: true, claims, ..Observed::default() }
}

fn class(provisioner: &str) -> Around {
    let parameters = [(STORE, "s"), (STORE_NAMESPACE, "rook-ceph")];
    let parameters = parameters.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let class =
        Class::Found { provisioner: provisioner.to_owned(), parameters: parameters.into(), suitable: Vec::new() };
    Around { class, ..Around::default() }
}

fn stalled(object: &ObjectStorage, observed: &Observed) -> Option<(&'static str, String)> {
    let stalled = View::new(object, &BTreeMap::new(), observed).check().err()?;
    Some((stalled.reason.as_str(), stalled.message))
}

#[test]
fn absent_kind_stalls_with_the_name_of_its_crd() {
    let (reason, message) = stalled(&object(&["photos"]), &Observed::default()).unwrap();
    assert_eq!(reason, "RookMissing");
    assert!(message.contains("objectbucketclaims.objectbucket.io is missing; install Rook"), "{message}");
}

#[test]
fn wrong_class_stalls_only_before_the_claim_is_made() {
    let disks = || class("rook-ceph.rbd.csi.ceph.com");
    let unclaimed = Observed { around: disks(), ..installed(Vec::new()) };
    assert_eq!(stalled(&object(&["photos"]), &unclaimed).unwrap().0, "StorageClassMissing");
    assert_eq!(stalled(&object(&[]), &unclaimed), None);
    let bound = claimed("photos", claim("photos", &json!({"status": {"phase": "Bound"}})), Some(Ok(granted("photos"))));
    let bound = Observed { around: disks(), ..installed(vec![bound]) };
    assert_eq!(stalled(&object(&["photos"]), &bound), None);
}

#[test]
fn changed_class_of_a_claim_is_refused() {
    let other = claim("photos", &json!({"spec": {"storageClassName": "old"}}));
    let (reason, message) = stalled(&object(&["photos"]), &installed(vec![claimed("photos", other, None)])).unwrap();
    assert_eq!(reason, "InvalidSpec");
    assert!(
        message.contains("ObjectBucketClaim/x-photos has old") && message.contains("set the field back"),
        "{message}"
    );
}

#[test]
fn access_is_that_of_the_bound_claim() {
    let object = object(&["photos", "logs"]);
    let bound = claimed("photos", claim("photos", &json!({"status": {"phase": "Bound"}})), Some(Ok(granted("photos"))));
    let observed = installed(vec![bound, claimed("logs", claim("logs", &json!({})), None)]);
    let view = View::new(&object, &NO_BINDINGS, &observed);
    let access = view.access("photos").unwrap();
    assert!(access.is_restricted && access.bucket == "photos-1");
    assert!(view.access("logs").is_none() && view.store("logs").is_none());
    let waiting = view.waiting().unwrap();
    assert_eq!(waiting.reason.as_str(), "ClaimPending");
    assert!(waiting.message.contains("x-logs") && !waiting.message.contains("x-photos"), "{}", waiting.message);
}

#[test]
fn unusable_result_is_named() {
    let broken = Some(Err(Unusable("Secret/x-photos does not exist".to_owned())));
    let bound = claimed("photos", claim("photos", &json!({"status": {"phase": "Bound"}})), broken);
    let observed = installed(vec![bound]);
    let object = object(&["photos"]);
    let waiting = View::new(&object, &NO_BINDINGS, &observed).waiting().unwrap();
    assert!(
        waiting.message.contains("is bound, but its result cannot be used: Secret/x-photos"),
        "{}",
        waiting.message
    );
}

#[test]
fn claim_that_left_the_spec_waits_for_nothing_until_it_goes() {
    let object = object(&[]);
    let left = installed(vec![claimed("photos", claim("photos", &json!({})), None)]);
    assert_eq!(View::new(&object, &NO_BINDINGS, &left).waiting(), None);
    let metadata = json!({"name": "x-photos", "deletionTimestamp": "2026-01-01T00:00:00Z"});
    let going = installed(vec![claimed("photos", claim("photos", &json!({"metadata": metadata})), None)]);
    assert!(View::new(&object, &NO_BINDINGS, &going).waiting().unwrap().message.contains("is being deleted"));
}

#[test]
fn recreated_claim_is_not_taken_for_the_lost_bucket() {
    let bound = |scope: &str| {
        let bound = Bound { number: None, username: "id".to_owned(), scope: scope.to_owned() };
        BTreeMap::from([("photos".to_owned(), bound)])
    };
    let claim = claim("photos", &json!({"status": {"phase": "Bound"}}));
    let observed = installed(vec![claimed("photos", claim, Some(Ok(granted("photos"))))]);
    let object = object(&["photos"]);
    assert!(View::new(&object, &bound("photos-1"), &observed).check().is_ok());
    let stalled = View::new(&object, &bound("photos-0"), &observed).check().unwrap_err();
    assert_eq!(stalled.reason.as_str(), "BucketReplaced");
    let accept = "kubectl -n a delete secret x-objectstorage-photos-binding";
    assert!(stalled.message.contains(accept), "{}", stalled.message);
}

#[test]
fn silent_object_store_is_no_fault_of_an_external_secret() {
    let object = object(&["photos"]);
    let told = |status: u16, code: Code| {
        let failure = Failure::Refused {
            address: "rgw:80".to_owned(),
            request: "GET /photos-1".to_owned(),
            status,
            code,
            message: "no".to_owned(),
        };
        let claim = claim("photos", &json!({"status": {"phase": "Bound"}}));
        let claims = vec![claimed("photos", claim, Some(Ok(granted("photos"))))];
        let observed = Observed { survey: Survey::Silent(failure), ..installed(claims) };
        View::new(&object, &NO_BINDINGS, &observed).find_waiting().unwrap().unwrap()
    };
    let refused = told(403, Code::InvalidAccessKeyId);
    assert_eq!(refused.reason.as_str(), "LoginRefused");
    assert!(refused.message.contains("restore the Secret") && !refused.message.contains("external"));
    let silent = told(503, Code::Other("SlowDown".to_owned()));
    assert_eq!(silent.reason.as_str(), "StorageUnreachable");
    assert!(silent.message.contains("check the CephObjectStore"), "{}", silent.message);
}
