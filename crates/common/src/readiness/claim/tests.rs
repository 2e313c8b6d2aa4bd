use serde_json::json;

use super::*;
use crate::class::CLASS;

const NAMESPACE: &str = "a";
const NAME: &str = "data-x-0";

fn claim(class: Option<&str>, annotations: &Value) -> PersistentVolumeClaim {
    serde_json::from_value(json!({
        "metadata": {"name": NAME, "namespace": NAMESPACE, "uid": "1", "annotations": annotations},
        "spec": {
            "storageClassName": class,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "10Gi"}},
        },
        "status": {"phase": "Pending"},
    }))
    .unwrap()
}

fn class(name: &str, fields: &Value) -> StorageClass {
    let mut class = json!({"metadata": {"name": name}, "provisioner": "csi.example.com"});
    for (key, value) in fields.as_object().into_iter().flatten() {
        class[key] = value.clone();
    }
    serde_json::from_value(class).unwrap()
}

fn default(name: &str, annotation: &str) -> StorageClass {
    class(name, &json!({"metadata": {"name": name, "annotations": {annotation: "true"}}}))
}

fn with(classes: Vec<StorageClass>) -> Evidence {
    Evidence { classes: Some(classes), volumes: Some(Volumes::default()), ..Evidence::default() }
}

fn volume(name: &str, capacity: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        phase: "Available".to_owned(),
        capacity: capacity.to_owned(),
        modes: vec!["ReadWriteOnce".to_owned()],
        is_block: false,
        reserved: None,
    }
}

fn explained(class: Option<&str>, evidence: &Evidence, parts: &[&str]) -> String {
    of(&claim(class, &json!({})), evidence, parts)
}

fn of(claim: &PersistentVolumeClaim, evidence: &Evidence, parts: &[&str]) -> String {
    let message = unbound(claim, evidence).unwrap_or_default();
    assert!(message.starts_with("PersistentVolumeClaim/data-x-0 is not bound: "), "{message}");
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    message
}

#[test]
fn bound_claim_has_no_cause() {
    let mut bound = claim(None, &json!({}));
    bound.status.as_mut().unwrap().phase = Some("Bound".to_owned());
    assert_eq!(unbound(&bound, &with(Vec::new())), None);
}

#[test]
fn claim_without_a_default_class_names_the_annotation() {
    explained(
        None,
        &with(vec![class("slow", &json!({}))]),
        &["no StorageClass", "storageclass.kubernetes.io/is-default-class=true", "Available: slow"],
    );
    explained(None, &with(Vec::new()), &["Available: none"]);
}

#[test]
fn either_annotation_makes_a_default_class() {
    for annotation in DEFAULT_CLASS {
        explained(
            None,
            &with(vec![default("fast", annotation)]),
            &["the default StorageClass fast will be assigned shortly"],
        );
    }
}

#[test]
fn newest_of_several_default_classes_counts() {
    let made = |name: &str, at: &str| {
        let annotations = json!({DEFAULT_CLASS[0]: "true"});
        class(name, &json!({"metadata": {"name": name, "annotations": annotations, "creationTimestamp": at}}))
    };
    let classes = vec![made("new", "2026-02-01T00:00:00Z"), made("old", "2026-01-01T00:00:00Z")];
    explained(None, &with(classes), &["default StorageClass new"]);
}

#[test]
fn missing_class_names_the_existing_ones() {
    explained(
        Some("gold"),
        &with(vec![class("slow", &json!({}))]),
        &["StorageClass gold does not exist", "no PersistentVolume of class gold exists", "create", "Available: slow"],
    );
}

#[test]
fn class_that_only_volumes_name_describes_them() {
    let volumes = Volumes {
        total: 4,
        bound: 1,
        released: 1,
        others: vec![
            volume("small", "5Gi"),
            Volume { modes: vec!["ReadOnlyMany".to_owned()], ..volume("read-only", "10Gi") },
        ],
    };
    let evidence = Evidence { volumes: Some(volumes), ..with(Vec::new()) };
    explained(
        Some("by-hand"),
        &evidence,
        &[
            "none of 4 PersistentVolumes of class by-hand is free and fits",
            "PersistentVolume/small has 5Gi",
            "PersistentVolume/read-only lacks the access mode ReadWriteOnce",
            "1 bound to other claims",
            "1 released",
            "create one of 10Gi with access mode ReadWriteOnce",
        ],
    );
}

#[test]
fn empty_class_needs_a_volume_without_a_class() {
    explained(Some(""), &with(Vec::new()), &["no PersistentVolume without a class exists", "10Gi", "ReadWriteOnce"]);
    let fits = Volumes { total: 1, others: vec![volume("pv", "10Gi")], ..Volumes::default() };
    explained(Some(""), &Evidence { volumes: Some(fits), ..with(Vec::new()) }, &["PersistentVolume/pv is suitable"]);
}

#[test]
fn unlistable_volumes_leave_the_controllers_words() {
    let events = ClaimEvents { unmatched: Some("no volumes available".to_owned()), ..ClaimEvents::default() };
    let evidence = Evidence { volumes: None, events, ..with(Vec::new()) };
    explained(Some(""), &evidence, &["no volumes available", "create a PersistentVolume without a class of 10Gi"]);
}

#[test]
fn volume_reserved_for_another_claim_is_not_named() {
    let reserved = |namespace: &str, name: &str, uid: Option<&str>| {
        let reserved = Some((namespace.to_owned(), name.to_owned(), uid.map(str::to_owned)));
        let volumes = Volumes {
            total: 1,
            others: vec![Volume { reserved, ..volume("secret-volume", "10Gi") }],
            ..Volumes::default()
        };
        explained(Some(""), &Evidence { volumes: Some(volumes), ..with(Vec::new()) }, &[])
    };
    for other in [reserved("b", NAME, None), reserved(NAMESPACE, "other", None)] {
        assert!(other.contains("reserved for another claim") && !other.contains("secret-volume"), "{other}");
    }
    assert!(reserved(NAMESPACE, NAME, None).contains("is suitable"));
    let earlier = reserved(NAMESPACE, NAME, Some("0"));
    assert!(earlier.contains("remove spec.claimRef.uid"), "{earlier}");
}

#[test]
fn class_without_a_provisioner_needs_a_volume() {
    let local = class("local", &json!({"provisioner": NO_PROVISIONER, "volumeBindingMode": "WaitForFirstConsumer"}));
    let unscheduled = Some("Pod/x-0 cannot be scheduled: none".to_owned());
    let evidence = Evidence { unscheduled, ..with(vec![local]) };
    explained(Some("local"), &evidence, &["creates no volumes", "no PersistentVolume of that class", "Pod/x-0 cannot"]);
}

#[test]
fn silent_provisioner_is_named() {
    let evidence = with(vec![class("slow", &json!({}))]);
    explained(
        Some("slow"),
        &evidence,
        &["provisioner csi.example.com of StorageClass slow has not answered", "running"],
    );
    for annotation in PROVISIONER {
        let asked = claim(Some("slow"), &json!({annotation: "migrated.example.com"}));
        of(&asked, &evidence, &["provisioner migrated.example.com of StorageClass slow has not answered"]);
    }
}

#[test]
fn refusal_of_the_provisioner_is_quoted_with_the_remedy() {
    let failed = |words: &str| {
        let events = ClaimEvents { warning: Some(words.to_owned()), is_provisioning: true, ..ClaimEvents::default() };
        Evidence { events, ..with(vec![class("slow", &json!({}))]) }
    };
    let prefix = "failed to provision volume with StorageClass \"slow\": rpc error: code = ResourceExhausted desc = ";
    let full = failed(&format!("{prefix}not enough free storage."));
    let full = explained(Some("slow"), &full, &["cannot create the volume: not enough free storage; make room"]);
    assert!(!full.contains("rpc error"), "{full}");
    explained(Some("slow"), &failed("exceeded quota of the project"), &["raise the quota, or lower the size"]);
    explained(Some("slow"), &failed("no topology key found on node"), &["topologies that the nodes have"]);
    explained(Some("slow"), &failed("broken"), &["broken; correct StorageClass slow or its driver"]);
    // The class exists by now.
    let outdated = failed("storageclass.storage.k8s.io \"slow\" not found");
    explained(Some("slow"), &outdated, &["csi.example.com is creating the volume"]);
}

#[test]
fn working_provisioner_is_awaited() {
    let events = ClaimEvents { is_provisioning: true, ..ClaimEvents::default() };
    let evidence = Evidence { events, ..with(vec![class("slow", &json!({}))]) };
    explained(
        Some("slow"),
        &evidence,
        &["csi.example.com is creating the volume", "kubectl -n a describe pvc data-x-0"],
    );
}

#[test]
fn claim_that_waits_for_its_pod_has_the_pods_cause() {
    let late = || class("late", &json!({"volumeBindingMode": "WaitForFirstConsumer"}));
    assert_eq!(unbound(&claim(Some("late"), &json!({})), &with(vec![late()])), None);
    let unscheduled = Some("Pod/x-0 cannot be scheduled: 0/1 nodes are available: 1 Insufficient memory".to_owned());
    let evidence = Evidence { unscheduled, ..with(vec![late()]) };
    explained(Some("late"), &evidence, &["WaitForFirstConsumer", "Insufficient memory"]);
    let selected = claim(Some("late"), &json!({SELECTED_NODE: "n"}));
    of(&selected, &evidence, &["csi.example.com of StorageClass late has not answered"]);
}

#[test]
fn class_of_the_earlier_annotation_counts() {
    let annotated = claim(None, &json!({CLASS: "gold"}));
    of(&annotated, &with(Vec::new()), &["StorageClass gold does not exist"]);
}

#[test]
fn unlistable_classes_leave_the_words_of_the_events() {
    let unknown = |warning: Option<&str>| Evidence {
        events: ClaimEvents { warning: warning.map(str::to_owned), ..ClaimEvents::default() },
        ..Evidence::default()
    };
    explained(
        Some("x"),
        &unknown(Some("storageclass \"x\" not found")),
        &["storageclass \"x\" not found; see kubectl"],
    );
    explained(Some("x"), &unknown(None), &["no event names the cause", "describe pvc"]);
}

#[test]
fn claim_deleted_before_it_was_bound_is_named() {
    let mut leaving = claim(None, &json!({}));
    leaving.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    of(&leaving, &with(Vec::new()), &["is being deleted"]);
}

fn growing(conditions: &Value, resize: Option<&str>) -> PersistentVolumeClaim {
    let mut live = serde_json::to_value(claim(Some("slow"), &json!({}))).unwrap();
    live["status"] = json!({
        "phase": "Bound", "capacity": {"storage": "10Gi"}, "conditions": conditions,
        "allocatedResourceStatuses": resize.map(|resize| json!({"storage": resize})),
    });
    serde_json::from_value(live).unwrap()
}

#[test]
fn volume_that_does_not_grow_has_the_drivers_words() {
    let wanted = json!({"spec": {"resources": {"requests": {"storage": "20Gi"}}}});
    let condition = json!([{"type": "ControllerResizeError", "status": "True", "message": "disk is busy"}]);
    let message = ungrown(&growing(&condition, None), &wanted).unwrap();
    assert!(message.contains("10Gi of 20Gi: ControllerResizeError disk is busy"), "{message}");
    let message = ungrown(&growing(&json!([]), Some("ControllerResizeInfeasible")), &wanted).unwrap();
    assert!(message.contains("cannot reach that size"), "{message}");
}

#[test]
fn class_that_forbids_expansion_is_named() {
    let live = growing(&json!([]), None);
    let fixed = with(vec![class("slow", &json!({}))]);
    let message = not_growing(&live, &fixed).unwrap();
    assert!(message.contains("StorageClass slow does not allow expansion; set allowVolumeExpansion"), "{message}");
    let mut elastic = with(vec![class("slow", &json!({"allowVolumeExpansion": true}))]);
    assert_eq!(not_growing(&live, &elastic), None);
    elastic.events.warning = Some("rpc error: code = Internal desc = disk is busy.".to_owned());
    assert_eq!(not_growing(&live, &elastic).as_deref(), Some("its driver reports: disk is busy"));
}

#[test]
fn cluster_is_read_again_where_something_is_missing() {
    let events = ClaimEvents::default();
    let classes = [class("slow", &json!({}))];
    for (named, is_outdated) in [(None, true), (Some(""), true), (Some("gold"), true), (Some("slow"), false)] {
        assert_eq!(may_be_outdated(&claim(named, &json!({})), Some(&classes), &events), is_outdated, "{named:?}");
    }
    let missing = ClaimEvents { warning: Some("storageclass \"slow\" not found".to_owned()), ..events };
    assert!(may_be_outdated(&claim(Some("slow"), &json!({})), Some(&classes), &missing));
}
