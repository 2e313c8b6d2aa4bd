use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::json;

use super::*;
use crate::{testkit::FakeApi, world::fixture::Surroundings};

fn storage(size: &str, class: Option<&str>) -> Storage {
    Storage { size: Quantity(size.to_owned()), storage_class_name: class.map(str::to_owned) }
}

fn class(name: &str, grows: bool, default: bool) -> StorageClass {
    serde_json::from_value(json!({
        "metadata": {"name": name, "annotations": {DEFAULT_CLASS[0]: default.to_string()}},
        "provisioner": "x",
        "allowVolumeExpansion": grows,
    }))
    .unwrap()
}

fn claim(size: &str, class: &str) -> PersistentVolumeClaim {
    serde_json::from_value(live(size, class, Some(size))).unwrap()
}

fn live(size: &str, class: &str, capacity: Option<&str>) -> Value {
    json!({
        "metadata": {"name": "data-0", "namespace": "a"},
        "spec": {"storageClassName": class, "resources": {"requests": {"storage": size}}},
        "status": {"capacity": capacity.map(|capacity| json!({"storage": capacity}))},
    })
}

/// What the claim asks for when `wanted` is in the spec.
fn fitted(wanted: &str, live: &Value) -> String {
    let mut manifest = serde_json::to_value(super::claim("data-0", &storage(wanted, None))).unwrap();
    fit_request(&mut manifest, live);
    manifest.pointer("/spec/resources/requests/storage").unwrap().as_str().unwrap().to_owned()
}

#[test]
fn size_is_reduced_down_to_the_capacity_of_the_volume() {
    let classes = Some(vec![class("c", true, true)]);
    let typo = live("100Ti", "c", Some("10Gi"));
    let claim: PersistentVolumeClaim = serde_json::from_value(typo.clone()).unwrap();
    for wanted in ["10Gi", "11Gi"] {
        assert_eq!(obstacle("spec.storage", &storage(wanted, None), Some(&claim), &classes), None, "{wanted}");
    }
    assert_eq!(
        reason_of(obstacle("spec.storage", &storage("9Gi", None), Some(&claim), &classes)),
        Some("VolumeCannotShrink")
    );
    assert_eq!(fitted("11Gi", &typo), "11Gi");
    // The API server takes no less than a byte more than the volume has.
    assert_eq!(fitted("10Gi", &typo), "10737418241");
    // Whatever the driver makes of that byte, it is not asked for again.
    let grown = live("10737418241", "c", Some("11Gi"));
    assert_eq!(fitted("10Gi", &grown), "10737418241");
    let grown: PersistentVolumeClaim = serde_json::from_value(grown).unwrap();
    assert_eq!(obstacle("spec.storage", &storage("10Gi", None), Some(&grown), &classes), None);
}

#[test]
fn default_class_by_the_earlier_annotation_is_accepted() {
    let mut earlier = class("fast", false, false);
    earlier.metadata.annotations = Some(BTreeMap::from([(DEFAULT_CLASS[1].to_owned(), "true".to_owned())]));
    assert_eq!(obstacle("spec.storage", &storage("1Gi", None), None, &Some(vec![earlier])), None);
}

#[test]
fn unbound_claim_is_named_with_the_remedy() {
    let pending: PersistentVolumeClaim = serde_json::from_value(live("100Ti", "c", None)).unwrap();
    let Some(Stalled { message, .. }) =
        obstacle("spec.storage", &storage("10Gi", None), Some(&pending), &Some(Vec::new()))
    else {
        panic!("no obstacle")
    };
    assert!(message.contains("kubectl -n a delete pvc data-0"), "{message}");
}

#[test]
fn empty_class_name_needs_no_class() {
    assert_eq!(obstacle("spec.storage", &storage("1Gi", Some("")), None, &Some(Vec::new())), None);
}

fn reason_of(stalled: Option<Stalled>) -> Option<&'static str> {
    Some(stalled?.reason.as_str())
}

#[test]
fn volume_of_a_missing_class_stalls() {
    let none = Some(Vec::new());
    let some = Some(vec![class("slow", false, false)]);
    let default = Some(vec![class("fast", false, true)]);
    assert_eq!(reason_of(obstacle("spec.storage", &storage("1Gi", None), None, &none)), Some("NoStorageClass"));
    assert_eq!(reason_of(obstacle("spec.storage", &storage("1Gi", None), None, &some)), Some("NoStorageClass"));
    assert_eq!(
        reason_of(obstacle("spec.storage", &storage("1Gi", Some("fast")), None, &some)),
        Some("StorageClassMissing")
    );
    assert_eq!(obstacle("spec.storage", &storage("1Gi", Some("slow")), None, &some), None);
    assert_eq!(obstacle("spec.storage", &storage("1Gi", None), None, &default), None);
}

/// The obstacle to a volume of a class that is no object, where a list of volumes is answered with this code.
async fn missing_class(code: Option<u16>) -> String {
    let api = FakeApi::new();
    if let Some(code) = code {
        api.refuse("persistentvolumes", "", code);
    }
    let storage = storage("1Gi", Some("static"));
    let offer = observe(&storage, &[None], &Surroundings::new(&api).world()).await.unwrap();
    match obstacle_to_any("spec.storage", &storage, &[None], &offer) {
        Some(Stalled { reason: reason::STORAGE_CLASS_MISSING, message }) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn unlistable_volumes_do_not_count_as_absent() {
    let absent = missing_class(None).await;
    assert!(absent.contains("nor a PersistentVolume of that class"), "{absent}");
    let unknown = missing_class(Some(403)).await;
    assert!(unknown.contains("no permission to list PersistentVolumes") && !unknown.contains("no volume"), "{unknown}");
}

#[test]
fn volume_grows_where_its_class_can_but_never_shrinks() {
    let fixed = Some(vec![class("c", false, true)]);
    let elastic = Some(vec![class("c", true, true)]);
    let live = claim("10Gi", "c");
    assert_eq!(
        reason_of(obstacle("spec.storage", &storage("5Gi", None), Some(&live), &elastic)),
        Some("VolumeCannotShrink")
    );
    assert_eq!(
        reason_of(obstacle("spec.storage", &storage("20Gi", None), Some(&live), &fixed)),
        Some("VolumeCannotGrow")
    );
    assert_eq!(obstacle("spec.storage", &storage("20Gi", None), Some(&live), &elastic), None);
    assert_eq!(obstacle("spec.storage", &storage("10240Mi", None), Some(&live), &fixed), None);
}

#[test]
fn volume_does_not_change_its_class() {
    let classes = Some(vec![class("a", true, true), class("b", true, false)]);
    assert_eq!(
        reason_of(obstacle("spec.storage", &storage("1Gi", Some("b")), Some(&claim("1Gi", "a")), &classes)),
        Some("InvalidSpec")
    );
}

#[test]
fn unlistable_classes_stall_nothing() {
    assert_eq!(obstacle("spec.storage", &storage("1Gi", Some("x")), None, &None), None);
}
