//! Volumes for data: whether the requested volume is possible, decided before anything is created so that nothing hangs without
//! an explanation, and the claims for it.

use std::{cmp::Ordering, collections::BTreeMap};

use k8s_openapi::{
    api::{
        core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
        storage::v1::StorageClass,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use serde_json::Value;

use crate::{
    api::{Storage, annotation, label},
    class::{Class, DEFAULT_CLASS, names},
    component::Stalled,
    condition::reason,
    manifest::{bytes, compare_quantities},
    message::kubectl,
    workload::DATA,
    world::{ReadError, World},
};

pub use crate::class::size_of;

/// The `StorageClass`es of the cluster; `None` where the controller may not list them.
type Classes = Option<Vec<StorageClass>>;

/// The claim of each pod in a set. It carries the labels of data and its owner, so that it is identified as ours when it outlives
/// everything else, and so that no write is needed while the scheduler and the provisioner write to it.
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

/// The part of an existing claim that is corrected: its size. The `StatefulSet` controller creates the claim.
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

/// A shell program of an init container, preceded by functions that write its log and distinguish errors from an empty volume.
pub fn script(program: &str) -> String {
    format!("{}{program}", include_str!("volume/reads.sh"))
}

/// The name of the claim that belongs to a pod of a set: composed of the template's name and the pod's.
pub fn claim_name(pod: &str) -> String {
    format!("{DATA}-{pod}")
}

/// The `StorageClass`es and volumes of the cluster, as far as they matter.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    classes: Classes,
    /// Whether a volume of the requested class exists although the class does not; `None` is unknown.
    has_volume: Option<bool>,
}

/// Reads what volumes for these claims depend on: nothing if each exists with the requested size.
pub async fn observe(
    storage: &Storage,
    claims: &[Option<PersistentVolumeClaim>],
    world: &World<'_>,
) -> Result<Offer, ReadError> {
    let is_needed = claims.iter().any(|claim| needs_classes(storage, claim.as_ref()));
    let unread = || ReadError::reading("StorageClasses");
    let classes = if is_needed { world.list_cluster().await.map_err(unread())? } else { None };
    let offer = Offer { classes, has_volume: None };
    // A class need not be an object: volumes that an administrator created refer to it by name alone.
    match (obstacle_to_any("", storage, claims, &offer), &storage.storage_class_name) {
        (Some(Stalled { reason: reason::STORAGE_CLASS_MISSING, .. }), Some(class)) => {
            let volumes = world.volumes_of_class(class).await.map_err(unread())?;
            Ok(Offer { has_volume: volumes.map(|volumes| volumes.total > 0), ..offer })
        }
        _ => Ok(offer),
    }
}

/// What the user must change before the volumes are possible, each with its claim if that exists. `field` is the place of the
/// storage in the spec, for messages.
pub fn obstacle_to_any(
    field: &str,
    storage: &Storage,
    claims: &[Option<PersistentVolumeClaim>],
    offer: &Offer,
) -> Option<Stalled> {
    let found = claims.iter().find_map(|claim| obstacle(field, storage, claim.as_ref(), &offer.classes))?;
    let class = storage.storage_class_name.as_ref().filter(|_| found.reason == reason::STORAGE_CLASS_MISSING);
    match (class, offer.has_volume) {
        (Some(_), Some(true)) => None,
        (Some(class), None) => Some(unknown_class(field, class, &offer.classes)),
        (Some(_), Some(false)) | (None, _) => Some(found),
    }
}

/// The `StorageClass` does not exist, and it is unknown whether a volume refers to it by name.
fn unknown_class(field: &str, class: &str, classes: &Classes) -> Stalled {
    let message = format!(
        "{field}.storageClassName: StorageClass {class} does not exist, and the controller has no permission to list PersistentVolumes. Create the class, grant `list persistentvolumes` by a ClusterRole, or use one of: {}",
        names(classes.as_deref().unwrap_or_default())
    );
    Stalled { reason: reason::STORAGE_CLASS_MISSING, message }
}

/// The relevant sizes: that of the spec, that of the claim, and that of the volume.
struct Sizes<'a> {
    wanted: &'a str,
    requested: &'a str,
    capacity: Option<&'a str>,
}

/// The size that a claim should request.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    /// The size that it requests.
    AsItIs,
    /// The size in the spec.
    Wanted,
    /// The smallest size that the API server accepts: a reduced request must stay above the size of the volume.
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

/// Sets the request in a claim's manifest to one that the API server accepts, if the live claim requests more.
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

/// Whether the classes matter: a volume of the right size needs nothing.
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
) -> Option<Stalled> {
    match claim {
        Some(claim) => obstacle_to_change(field, storage, claim, classes),
        None => obstacle_to_making(field, storage, classes),
    }
}

fn obstacle_to_making(field: &str, storage: &Storage, classes: &Classes) -> Option<Stalled> {
    let available = || names(classes.as_deref().unwrap_or_default());
    match Class::new(storage.storage_class_name.as_deref(), classes.as_deref()) {
        Class::Unknown | Class::Classless | Class::Object(_) => None,
        Class::Missing(name) => Some(Stalled {
            reason: reason::STORAGE_CLASS_MISSING,
            message: format!(
                "{field}.storageClassName: neither StorageClass {name} nor a PersistentVolume of that class exists; create one of them, or use one of: {}",
                available()
            ),
        }),
        Class::NoDefault => Some(Stalled {
            reason: reason::NO_STORAGE_CLASS,
            message: format!(
                "{field}.storageClassName is absent, and the cluster has no default StorageClass; set the field, or give a class the annotation {}=true. Available: {}",
                DEFAULT_CLASS[0],
                available()
            ),
        }),
    }
}

fn obstacle_to_change(
    field: &str,
    storage: &Storage,
    claim: &PersistentVolumeClaim,
    classes: &Classes,
) -> Option<Stalled> {
    let claim_class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    if let (Some(wanted), Some(has)) = (storage.storage_class_name.as_deref(), claim_class)
        && wanted != has
    {
        return Some(Stalled {
            reason: reason::INVALID_SPEC,
            message: format!(
                "{field}.storageClassName is {wanted}, but the volume has class {has}, which cannot change; set the field back to {has}"
            ),
        });
    }
    let wanted = storage.size.0.as_str();
    let size = size_of(claim)?;
    let capacity = claim.status.as_ref().and_then(|status| status.capacity.as_ref()?.get("storage"));
    let sizes = Sizes { wanted, requested: size, capacity: capacity.map(|capacity| capacity.0.as_str()) };
    let (stalled, message) = match (sizes.request(), compare_quantities(wanted, size)?) {
        (Some(Request::BelowCapacity), _) => {
            (reason::VOLUME_CANNOT_SHRINK, shrinks(field, claim, wanted, sizes.capacity.unwrap_or(size)))
        }
        // Not bound: it is empty, and its request cannot be changed.
        (None, Ordering::Less) => (reason::VOLUME_CANNOT_SHRINK, shrinks_unbound(field, claim, wanted, size)),
        (_, Ordering::Less | Ordering::Equal) => return None,
        (_, Ordering::Greater) => {
            let class = classes.as_ref()?.iter().find(|class| Some(class.name_any().as_str()) == claim_class);
            if class.is_some_and(|class| class.allow_volume_expansion == Some(true)) {
                return None;
            }
            (reason::VOLUME_CANNOT_GROW, grows(field, claim, (wanted, size), claim_class.unwrap_or("(none)")))
        }
    };
    Some(Stalled { reason: stalled, message })
}

fn shrinks(field: &str, claim: &PersistentVolumeClaim, wanted: &str, has: &str) -> String {
    format!(
        "{field}.size is {wanted}, but the volume of PersistentVolumeClaim/{} has {has}, and a volume cannot shrink; set the field to {has} or more",
        claim.name_any()
    )
}

fn shrinks_unbound(field: &str, claim: &PersistentVolumeClaim, wanted: &str, size: &str) -> String {
    let delete =
        kubectl(&claim.namespace().unwrap_or_default(), &format!("delete pvc {} --wait=false", claim.name_any()));
    format!(
        "{field}.size is {wanted}, but PersistentVolumeClaim/{} requests {size} and has no volume yet, so its request cannot be changed. Set the field to {size} or more, or, if it never held data, delete the claim: {delete}",
        claim.name_any()
    )
}

fn grows(field: &str, claim: &PersistentVolumeClaim, (wanted, size): (&str, &str), class: &str) -> String {
    format!(
        "{field}.size is {wanted}, but PersistentVolumeClaim/{} has {size} of StorageClass {class}, which does not allow expansion. Set the field back to {size}, or set allowVolumeExpansion on the class if its driver supports it",
        claim.name_any()
    )
}

/// Whether a claim has its volume.
pub fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    claim.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Bound"))
}

#[cfg(test)]
mod tests;
