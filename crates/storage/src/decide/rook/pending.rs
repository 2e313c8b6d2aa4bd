//! Why the bucket of a claim does not come: its provisioner reports nothing, so the cause is found in what it depends on.

use kube::ResourceExt;
use temporal_stack_common::{message::kubectl, world::Elsewhere};

use crate::rook::{
    self, Around, CephObjectStore, Class, EXISTING_BUCKET, MAX_SIZE, ObjectBucketClaim, PROVISIONER, STORE,
    STORE_NAMESPACE,
};

/// The field that names the class.
const FIELD: &str = "spec.provider.rook.storageClassName";

/// What is wrong with the class of the spec, with the remedy, as far as the controller may read classes.
pub(super) fn wrong_with_class(named: &str, around: &Around) -> Option<String> {
    match &around.class {
        Class::Unknown => None,
        Class::Missing { suitable } => Some(format!(
            "{FIELD}: StorageClass {named} does not exist; create it with a provisioner whose name ends in {PROVISIONER}, or use one of: {}",
            listed(suitable)
        )),
        Class::Found { provisioner, suitable, .. } if !provisioner.ends_with(PROVISIONER) => Some(format!(
            "{FIELD}: StorageClass {named} has the provisioner {provisioner}, which creates no buckets; use one of: {}",
            listed(suitable)
        )),
        Class::Found { parameters, .. } => {
            let has = |key: &str| parameters.get(key).is_some_and(|value| !value.is_empty());
            if has(EXISTING_BUCKET) {
                return Some(format!(
                    "{FIELD}: StorageClass {named} names an existing bucket, which all claims of the class would share; use a class without the parameter {EXISTING_BUCKET}"
                ));
            }
            let missing = [STORE, STORE_NAMESPACE].into_iter().find(|key| !has(key))?;
            Some(format!(
                "{FIELD}: StorageClass {named} has no parameter {missing}, so no object store is named; create a class that has it"
            ))
        }
    }
}

/// Why a claim that exists is not bound.
pub(super) fn pending(claim: &ObjectBucketClaim, named: &str, around: &Around) -> String {
    let subject = format!("ObjectBucketClaim/{} is not bound", claim.name_any());
    if let Some(wrong) = wrong_with_class(named, around) {
        return format!("{subject}: {wrong}");
    }
    if let Some(store) = store(around) {
        return format!("{subject}: {store}");
    }
    if let Some(refused) = refused_setting(claim, around) {
        return format!("{subject}: {refused}");
    }
    let operator = operator_namespace(around);
    let logs = operator.map(|namespace| kubectl(namespace, "logs deploy/rook-ceph-operator"));
    let logs = logs.unwrap_or_else(|| "the log of Rook's operator".to_owned());
    let namespace = claim.namespace().unwrap_or_default();
    match claim.phase() {
        None => format!(
            "{subject}: no provisioner has picked it up; check that Rook's operator runs and that ROOK_OBC_WATCH_OPERATOR_NAMESPACE does not exclude namespace {namespace}: {logs}"
        ),
        Some(phase) => format!("{subject}: its phase is {phase}, and Rook reports no cause in the claim; see {logs}"),
    }
}

/// What is wrong with the object store that the class names.
fn store(around: &Around) -> Option<String> {
    let (namespace, name) = around.store_name()?;
    let reference = format!("CephObjectStore {namespace}/{name}");
    let describe = kubectl(namespace, &format!("describe cephobjectstore {name}"));
    match &around.store {
        Elsewhere::Unknown => None,
        Elsewhere::Missing => Some(format!("{reference}, which its StorageClass names, does not exist; create it")),
        Elsewhere::There(store) if is_ready(store) => None,
        Elsewhere::There(store) => {
            let status = store.status.clone().unwrap_or_default();
            let phase = status.phase.filter(|phase| !phase.is_empty());
            let phase = phase.as_deref().unwrap_or("not reported by Rook's operator yet");
            let words = rook::condition_text(&status.conditions).map(|words| format!(" ({})", shortened(words)));
            Some(format!("the phase of {reference} is {phase}{}; see {describe}", words.unwrap_or_default()))
        }
    }
}

fn is_ready(store: &CephObjectStore) -> bool {
    store.status.as_ref().is_some_and(|status| matches!(status.phase.as_deref(), Some("Ready" | "Connected")))
}

/// The quota, if the operator does not accept it.
fn refused_setting(claim: &ObjectBucketClaim, around: &Around) -> Option<String> {
    let allowed = around.allowed.as_ref()?;
    let refused = claim.spec.additional_config.keys().find(|key| !allowed.contains(*key))?;
    let field = if refused == MAX_SIZE { "the quota of the bucket in the spec" } else { "that setting" };
    Some(format!(
        "Rook's operator does not permit {refused}; add it to {} in ConfigMap/{} of the operator, or remove {field}",
        rook::ALLOWED_FIELDS,
        rook::OPERATOR_SETTINGS
    ))
}

/// The namespace of the operator, by the name of its provisioner.
fn operator_namespace(around: &Around) -> Option<&str> {
    match &around.class {
        Class::Found { provisioner, .. } => provisioner.strip_suffix(PROVISIONER),
        Class::Unknown | Class::Missing { .. } => None,
    }
}

fn listed(classes: &[String]) -> String {
    if classes.is_empty() { "none exists".to_owned() } else { classes.join(", ") }
}

/// Foreign text on one line.
fn shortened(words: &str) -> String {
    let plain: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    plain.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::json;

    use super::*;
    use crate::rook::CephObjectStoreSpec;

    const CLASS: &str = "buckets";

    fn class(provisioner: &str, parameters: &[(&str, &str)]) -> Class {
        let parameters = parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Class::Found {
            provisioner: provisioner.to_owned(),
            parameters: parameters.collect::<BTreeMap<_, _>>(),
            suitable: vec!["good".to_owned()],
        }
    }

    fn suitable() -> Class {
        class("rook-ceph.ceph.rook.io/bucket", &[(STORE, "s"), (STORE_NAMESPACE, "rook-ceph")])
    }

    fn store(phase: &str) -> Elsewhere<CephObjectStore> {
        let mut store = CephObjectStore::new("s", CephObjectStoreSpec::default());
        store.status = serde_json::from_value(
            json!({"phase": phase, "conditions": [{"type": "Failure", "message": "no OSD is up"}]}),
        )
        .unwrap();
        Elsewhere::There(store)
    }

    fn around(class: Class) -> Around {
        Around { class, store: store("Ready"), ..Around::default() }
    }

    fn claim(phase: Option<&str>, quota: bool) -> ObjectBucketClaim {
        let config = if quota { json!({MAX_SIZE: "1Gi"}) } else { json!({}) };
        serde_json::from_value(json!({
            "apiVersion": "objectbucket.io/v1alpha1", "kind": "ObjectBucketClaim",
            "metadata": {"name": "c", "namespace": "a"},
            "spec": {"storageClassName": CLASS, "additionalConfig": config},
            "status": {"phase": phase},
        }))
        .unwrap()
    }

    fn told(claim: &ObjectBucketClaim, around: &Around, parts: &[&str]) {
        let told = pending(claim, CLASS, around);
        for part in ["ObjectBucketClaim/c is not bound"].iter().chain(parts) {
            assert!(told.contains(part), "`{part}` is not in: {told}");
        }
    }

    #[test]
    fn class_that_gives_no_bucket_is_explained() {
        let pending = claim(Some("Pending"), false);
        let missing = Class::Missing { suitable: Vec::new() };
        told(&pending, &around(missing), &["StorageClass buckets does not exist", "none exists"]);
        let disks = class("rook-ceph.rbd.csi.ceph.com", &[]);
        told(&pending, &around(disks), &["provisioner rook-ceph.rbd.csi.ceph.com", "creates no buckets", "good"]);
        let storeless = class("rook-ceph.ceph.rook.io/bucket", &[(STORE, "s")]);
        told(&pending, &around(storeless), &["no parameter objectStoreNamespace"]);
    }

    #[test]
    fn class_of_one_existing_bucket_is_refused() {
        let parameters = [(STORE, "s"), (STORE_NAMESPACE, "n"), (EXISTING_BUCKET, "shared")];
        let around = around(class("rook-ceph.ceph.rook.io/bucket", &parameters));
        let wrong = wrong_with_class(CLASS, &around).unwrap();
        assert!(wrong.contains("would share") && !wrong.contains("shared"), "{wrong}");
    }

    #[test]
    fn store_that_is_not_ready_is_named_with_its_words() {
        let pending = claim(Some("Pending"), false);
        let failed = Around { store: store("Failure"), ..around(suitable()) };
        let parts =
            ["CephObjectStore rook-ceph/s is Failure (no OSD is up)", "-n rook-ceph describe cephobjectstore s"];
        told(&pending, &failed, &parts);
        told(&pending, &Around { store: Elsewhere::Missing, ..around(suitable()) }, &["does not exist; create it"]);
    }

    #[test]
    fn quota_that_the_operator_refuses_is_named() {
        let allowed = |fields: &[&str]| {
            let allowed: BTreeSet<String> = fields.iter().map(|field| (*field).to_owned()).collect();
            Around { allowed: Some(allowed), ..around(suitable()) }
        };
        let limited = claim(Some("Pending"), true);
        told(
            &limited,
            &allowed(&["maxObjects"]),
            &["does not permit maxSize", rook::ALLOWED_FIELDS, "remove the quota"],
        );
        told(
            &limited,
            &allowed(&["maxObjects", "maxSize"]),
            &["its phase is Pending", "logs deploy/rook-ceph-operator"],
        );
    }

    #[test]
    fn claim_that_nobody_took_names_the_operator() {
        let parts =
            ["no provisioner has picked it up", "namespace a", "kubectl -n rook-ceph logs deploy/rook-ceph-operator"];
        told(&claim(None, false), &around(suitable()), &parts);
        told(
            &claim(None, false),
            &Around::default(),
            &["no provisioner has picked it up", "the log of Rook's operator"],
        );
    }

    #[test]
    fn unreadable_class_is_not_held_against_the_claim() {
        assert_eq!(wrong_with_class(CLASS, &Around::default()), None);
        assert_eq!(wrong_with_class(CLASS, &around(suitable())), None);
    }
}
