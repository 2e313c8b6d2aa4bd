//! Volumes for data: whether the one that is wanted can be had, decided before anything is made so that nothing hangs
//! unexplained, and the claims for it.

use std::{cmp::Ordering, collections::BTreeMap};

use k8s_openapi::{
    api::{
        core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
        rbac::v1::PolicyRule,
        storage::v1::StorageClass,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use serde_json::Value;

use crate::{
    api::{Storage, annotation, label},
    component::Progress,
    condition::reason,
    driver::rule,
    manifest::{bytes, compare_quantities},
    message::kubectl,
    workload::DATA,
    world::World,
};

const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// The `StorageClass`es of the cluster; `None` where the controller may not list them.
type Classes = Option<Vec<StorageClass>>;

/// The claim of each pod in a set. It carries the labels of data and its owner, so that it is known as ours when it outlives
/// everything else, and so that nobody has to write to it while the scheduler and the provisioner do.
pub fn claim_template(
    owner: &impl ResourceExt,
    selector: &BTreeMap<String, String>,
    storage: &Storage,
) -> PersistentVolumeClaim {
    let mut labels = selector.clone();
    labels.insert(label::DATA.to_owned(), "true".to_owned());
    let mut claim = claim(DATA, storage);
    claim.metadata.labels = Some(labels);
    claim.metadata.annotations = owner.uid().map(|uid| BTreeMap::from([(annotation::OWNER.to_owned(), uid)]));
    if let Some(spec) = &mut claim.spec {
        spec.access_modes = Some(vec!["ReadWriteOnce".to_owned()]);
        spec.storage_class_name.clone_from(&storage.storage_class_name);
    }
    claim
}

/// The permissions that [`obstacle_to_any`] needs beyond the namespace.
pub fn rules() -> Vec<PolicyRule> {
    vec![rule("storage.k8s.io", "storageclasses", &["list"]), rule("", "persistentvolumes", &["list"])]
}

/// What is kept right on a claim that exists: its size. The `StatefulSet` controller makes it.
pub fn claim(name: &str, storage: &Storage) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        spec: Some(PersistentVolumeClaimSpec {
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), storage.size.clone())])),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

/// The name of the claim that belongs to a pod of a set: made of the template's name and the pod's.
pub fn claim_name(pod: &str) -> String {
    format!("{DATA}-{pod}")
}

/// What the user must change before volumes can be had, each with its claim if that is there. `field` is the place of the storage
/// in the spec, for messages. The classes are read only where they matter.
pub async fn obstacle_to_any(
    field: &str,
    storage: &Storage,
    claims: &[Option<PersistentVolumeClaim>],
    world: &World<'_>,
) -> kube::Result<Option<Progress>> {
    let classes = if claims.iter().any(|claim| needs_classes(storage, claim.as_ref())) {
        world.list_cluster().await?
    } else {
        None
    };
    let found = claims.iter().find_map(|claim| obstacle(field, storage, claim.as_ref(), &classes));
    // A class need not be an object: volumes that an administrator made have one by its name alone.
    if let (Some(Progress::Stalled { reason: reason::STORAGE_CLASS_MISSING, .. }), Some(class)) =
        (&found, &storage.storage_class_name)
        && world.has_volume_of_class(class).await? == Some(true)
    {
        return Ok(None);
    }
    Ok(found)
}

/// The sizes that count: what is wanted, what the claim asks for, and what the volume has.
struct Sizes<'a> {
    wanted: &'a str,
    requested: &'a str,
    capacity: Option<&'a str>,
}

/// What a claim should ask for.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    /// What it asks for.
    AsItIs,
    /// What is wanted.
    Wanted,
    /// As little as the API server takes: a request that is taken back must stay above what the volume has.
    JustAbove,
    /// Less than the volume has.
    BelowCapacity,
}

impl Sizes<'_> {
    fn request(&self) -> Option<Request> {
        let (wanted, requested) = (self.wanted, self.requested);
        Some(match compare_quantities(wanted, requested)? {
            Ordering::Equal => Request::AsItIs,
            Ordering::Greater => Request::Wanted,
            Ordering::Less if just_above(wanted).as_deref().is_some_and(|just| is_same(just, requested)) => {
                Request::AsItIs
            }
            Ordering::Less => match compare_quantities(wanted, self.capacity?)? {
                Ordering::Greater => Request::Wanted,
                Ordering::Equal => Request::JustAbove,
                Ordering::Less => Request::BelowCapacity,
            },
        })
    }
}

fn is_same(one: &str, other: &str) -> bool {
    compare_quantities(one, other) == Some(Ordering::Equal)
}

fn just_above(size: &str) -> Option<String> {
    Some((bytes(size)? + 1).to_string())
}

/// Gives the manifest of a claim the request that the API server takes, where the live one had asked for more.
pub(crate) fn fit_request(manifest: &mut Value, live: &Value) {
    const REQUEST: &str = "/spec/resources/requests/storage";
    let text = |object: &Value, pointer| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let (Some(wanted), Some(requested)) = (text(manifest, REQUEST), text(live, REQUEST)) else { return };
    let capacity = text(live, "/status/capacity/storage");
    let sizes = Sizes { wanted: &wanted, requested: &requested, capacity: capacity.as_deref() };
    let fitting = match sizes.request() {
        Some(Request::JustAbove) => just_above(&wanted),
        Some(Request::AsItIs) => Some(requested),
        Some(Request::Wanted | Request::BelowCapacity) | None => None,
    };
    if let (Some(fitting), Some(request)) = (fitting, manifest.pointer_mut(REQUEST)) {
        *request = Value::String(fitting);
    }
}

/// Whether the classes matter at all: a volume of the right size asks for nothing.
fn needs_classes(storage: &Storage, claim: Option<&PersistentVolumeClaim>) -> bool {
    claim.is_none_or(|claim| {
        size_of(claim).is_none_or(|size| compare_quantities(&storage.size.0, size) != Some(Ordering::Equal))
    })
}

fn obstacle(
    field: &str,
    storage: &Storage,
    claim: Option<&PersistentVolumeClaim>,
    classes: &Classes,
) -> Option<Progress> {
    match claim {
        Some(claim) => obstacle_to_change(field, storage, claim, classes),
        None => obstacle_to_making(field, storage, classes),
    }
}

fn obstacle_to_making(field: &str, storage: &Storage, classes: &Classes) -> Option<Progress> {
    let classes = classes.as_ref()?;
    match &storage.storage_class_name {
        // No class at all: a volume that an administrator made.
        Some(name) if name.is_empty() => None,
        Some(name) if !classes.iter().any(|class| class.name_any() == *name) => Some(Progress::Stalled {
            reason: reason::STORAGE_CLASS_MISSING,
            message: format!(
                "{field}.storageClassName: no StorageClass {name} exists, and no volume of that class; make one of them, or name one of: {}",
                names(classes)
            ),
        }),
        None if !classes.iter().any(is_default) => Some(Progress::Stalled {
            reason: reason::NO_STORAGE_CLASS,
            message: format!(
                "{field}.storageClassName is absent, and the cluster has no default StorageClass; set the field, or give a class the annotation {DEFAULT_CLASS}=true. There are: {}",
                names(classes)
            ),
        }),
        _ => None,
    }
}

fn obstacle_to_change(
    field: &str,
    storage: &Storage,
    claim: &PersistentVolumeClaim,
    classes: &Classes,
) -> Option<Progress> {
    let claim_class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    if let (Some(wanted), Some(has)) = (storage.storage_class_name.as_deref(), claim_class)
        && wanted != has
    {
        return Some(Progress::Stalled {
            reason: reason::INVALID_SPEC,
            message: format!(
                "{field}.storageClassName is {wanted}, and the volume is of class {has}: a volume does not change its class; set the field back to {has}"
            ),
        });
    }
    let wanted = storage.size.0.as_str();
    let size = size_of(claim)?;
    let capacity = claim.status.as_ref().and_then(|status| status.capacity.as_ref()?.get("storage"));
    let sizes = Sizes { wanted, requested: size, capacity: capacity.map(|capacity| capacity.0.as_str()) };
    match (sizes.request(), compare_quantities(wanted, size)?) {
        (Some(Request::BelowCapacity), _) => {
            let has = sizes.capacity.unwrap_or(size);
            Some(Progress::Stalled {
                reason: reason::VOLUME_CANNOT_SHRINK,
                message: format!(
                    "{field}.size is {wanted}, and the volume of PersistentVolumeClaim/{} has {has}: a volume cannot shrink; set the field to {has} or more",
                    claim.name_any()
                ),
            })
        }
        // Not bound: nothing is in it, and its request cannot be changed.
        (None, Ordering::Less) => {
            let delete = kubectl(
                &claim.namespace().unwrap_or_default(),
                &format!("delete pvc {} --wait=false", claim.name_any()),
            );
            Some(Progress::Stalled {
                reason: reason::VOLUME_CANNOT_SHRINK,
                message: format!(
                    "{field}.size is {wanted}, and PersistentVolumeClaim/{} asks for {size} and has no volume yet, so it cannot be changed; set the field to {size} or more, or, if it never held data, delete the claim: {delete}",
                    claim.name_any()
                ),
            })
        }
        (_, Ordering::Less | Ordering::Equal) => None,
        (_, Ordering::Greater) => {
            let class = classes.as_ref()?.iter().find(|class| Some(class.name_any().as_str()) == claim_class);
            let can_grow = class.is_some_and(|class| class.allow_volume_expansion == Some(true));
            (!can_grow).then(|| Progress::Stalled {
                reason: reason::VOLUME_CANNOT_GROW,
                message: format!(
                    "{field}.size is {wanted}, and PersistentVolumeClaim/{} has {size} of StorageClass {}, which does not allow volumes to grow; set the field back to {size}, or allowVolumeExpansion on the class if its driver can",
                    claim.name_any(),
                    claim_class.unwrap_or("(none)")
                ),
            })
        }
    }
}

/// Whether a claim has its volume.
pub fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    claim.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Bound"))
}

/// The size that a claim asks for.
pub fn size_of(claim: &PersistentVolumeClaim) -> Option<&str> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    requests.get("storage").map(|size| size.0.as_str())
}

fn is_default(class: &StorageClass) -> bool {
    class.annotations().get(DEFAULT_CLASS).is_some_and(|value| value == "true")
}

fn names(classes: &[StorageClass]) -> String {
    if classes.is_empty() {
        return "none".to_owned();
    }
    classes.iter().map(ResourceExt::name_any).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
    use serde_json::json;

    use super::*;

    fn storage(size: &str, class: Option<&str>) -> Storage {
        Storage { size: Quantity(size.to_owned()), storage_class_name: class.map(str::to_owned) }
    }

    fn class(name: &str, grows: bool, default: bool) -> StorageClass {
        serde_json::from_value(json!({
            "metadata": {"name": name, "annotations": {DEFAULT_CLASS: default.to_string()}},
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
    fn a_size_is_taken_back_down_to_what_the_volume_has() {
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
    fn a_claim_without_a_volume_is_named_with_the_way_out() {
        let pending: PersistentVolumeClaim = serde_json::from_value(live("100Ti", "c", None)).unwrap();
        let Some(Progress::Stalled { message, .. }) =
            obstacle("spec.storage", &storage("10Gi", None), Some(&pending), &Some(Vec::new()))
        else {
            panic!("no obstacle")
        };
        assert!(message.contains("kubectl -n a delete pvc data-0"), "{message}");
    }

    #[test]
    fn no_class_at_all_needs_no_class() {
        assert_eq!(obstacle("spec.storage", &storage("1Gi", Some("")), None, &Some(Vec::new())), None);
    }

    fn reason_of(progress: Option<Progress>) -> Option<&'static str> {
        match progress? {
            Progress::Stalled { reason, .. } => Some(reason.as_str()),
            Progress::Settled | Progress::Waiting { .. } => None,
        }
    }

    #[test]
    fn a_volume_needs_a_class_that_is_there() {
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

    #[test]
    fn a_volume_grows_where_its_class_can_and_never_shrinks() {
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
    fn a_volume_does_not_change_its_class() {
        let classes = Some(vec![class("a", true, true), class("b", true, false)]);
        assert_eq!(
            reason_of(obstacle("spec.storage", &storage("1Gi", Some("b")), Some(&claim("1Gi", "a")), &classes)),
            Some("InvalidSpec")
        );
    }

    #[test]
    fn without_permission_to_list_classes_nothing_is_held_against_the_user() {
        assert_eq!(obstacle("spec.storage", &storage("1Gi", Some("x")), None, &None), None);
    }
}
