//! Why a volume claim is not bound, or its volume does not grow: the only place of the stack that explains it.
//!
//! ```text
//!   class of the claim ─┬─ none ───────────▶ is there a default StorageClass, by either annotation?
//!                       ├─ "" ─────────────▶ a volume without a class that fits
//!                       ├─ only a name ────▶ a volume that has the name and fits
//!                       └─ a StorageClass ─▶ who must act: the scheduler, its provisioner, or an administrator
//! ```
//!
//! A provisioner may run anywhere, so whether it does is concluded from what it reports about the claim: the events, and the
//! annotation with which the claim's controller has asked it.

use std::cmp::Ordering;

use k8s_openapi::api::{core::v1::PersistentVolumeClaim, storage::v1::StorageClass};
use kube::ResourceExt;
use serde_json::Value;

use super::refusal::{self, LONGEST};
use crate::{
    class::{Class, DEFAULT_CLASS, class_of, names, size_of},
    manifest::compare_quantities,
    message::{counted, kubectl, shortened},
    world::{ClaimEvents, Volume, Volumes},
};

/// The provisioner that was asked for a volume.
const PROVISIONER: [&str; 2] =
    ["volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"];
/// The node that the scheduler has chosen for the first pod.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// The provisioner of a class that creates no volumes.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";
/// The most volumes, and the most classes, that a message describes.
const LISTED: usize = 3;

/// What is known about the surroundings of a claim.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// The `StorageClass`es; `None` where the controller may not list them.
    pub(crate) classes: Option<Vec<StorageClass>>,
    /// The volumes of the claim's class; `None` where they are unknown.
    pub(crate) volumes: Option<Volumes>,
    /// What the claim's events report.
    pub(crate) events: ClaimEvents,
    /// Why the scheduler has found no node for the pod that uses the claim, with the remedy.
    pub(crate) unscheduled: Option<String>,
}

/// Whether the claim is waiting for a volume.
pub(crate) fn is_pending(claim: &PersistentVolumeClaim) -> bool {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()).is_none_or(|phase| phase == "Pending")
}

/// Whether a claim can only be bound to a volume that an administrator creates.
pub(super) fn needs_volume(claim: &PersistentVolumeClaim, classes: Option<&[StorageClass]>) -> bool {
    is_pending(claim)
        && match Class::new(class_of(claim), classes) {
            Class::Classless | Class::Missing(_) => true,
            Class::Object(class) => class.provisioner == NO_PROVISIONER,
            Class::Unknown | Class::NoDefault => false,
        }
}

/// Whether the cluster may have changed since its classes and volumes were read: something was missing then, or an event
/// contradicts them.
pub(super) fn may_be_outdated(
    claim: &PersistentVolumeClaim,
    classes: Option<&[StorageClass]>,
    events: &ClaimEvents,
) -> bool {
    needs_volume(claim, classes)
        || Class::new(class_of(claim), classes) == Class::NoDefault
        || events.warning.as_deref().is_some_and(is_about_missing_class)
}

/// The words of the claim's controller about a class that does not exist.
fn is_about_missing_class(words: &str) -> bool {
    words.contains("storageclass") && words.contains("not found")
}

/// Why a claim is not bound, with the remedy; `None` if it is bound, or if only its pod keeps it waiting.
pub(crate) fn unbound(claim: &PersistentVolumeClaim, evidence: &Evidence) -> Option<String> {
    if !is_pending(claim) {
        return None;
    }
    let name = claim.name_any();
    let cause = Unbound { claim, evidence }.cause()?;
    Some(format!("PersistentVolumeClaim/{name} is not bound: {cause}"))
}

/// A claim without a volume.
struct Unbound<'a> {
    claim: &'a PersistentVolumeClaim,
    evidence: &'a Evidence,
}

impl Unbound<'_> {
    fn cause(&self) -> Option<String> {
        let Evidence { classes, events, unscheduled, .. } = self.evidence;
        if self.claim.metadata.deletion_timestamp.is_some() {
            return Some("it is being deleted, and will be recreated; its finalizers keep it until then".to_owned());
        }
        match Class::new(class_of(self.claim), classes.as_deref()) {
            Class::Unknown => Some(match events.warning.as_ref().or(events.unmatched.as_ref()) {
                Some(words) => format!("{}; {}", plain(words), self.describe()),
                None => format!("no event names the cause; {}", self.describe()),
            }),
            Class::NoDefault => Some(format!(
                "it names no StorageClass, and the cluster has no default one; give a class the annotation {}=true. Available: {}",
                DEFAULT_CLASS[0],
                names(classes.as_deref().unwrap_or_default())
            )),
            Class::Classless => Some(self.unmatched("without a class")),
            Class::Missing(class) => Some(format!(
                "StorageClass {class} does not exist, so only a PersistentVolume of that class can be bound: {}, or create the class. Available: {}",
                self.unmatched(&format!("of class {class}")),
                names(classes.as_deref().unwrap_or_default())
            )),
            Class::Object(class) if class_of(self.claim).is_none() => Some(format!(
                "the default StorageClass {} will be assigned shortly; {}",
                class.name_any(),
                self.describe()
            )),
            Class::Object(class) => {
                let waits_for_pod = class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer")
                    && !self.claim.annotations().contains_key(SELECTED_NODE);
                let has_provisioner = class.provisioner != NO_PROVISIONER;
                match (has_provisioner, waits_for_pod, unscheduled) {
                    (true, true, None) => None,
                    (true, true, Some(words)) => Some(format!(
                        "StorageClass {} waits until the pod is scheduled (WaitForFirstConsumer): {words}",
                        class.name_any()
                    )),
                    (true, false, _) => Some(self.unprovisioned(class)),
                    // The scheduler chooses among existing volumes, so its words follow from them.
                    (false, _, words) => {
                        let words = words.as_ref().filter(|_| waits_for_pod).map(|words| format!(" ({words})"));
                        Some(format!(
                            "StorageClass {} creates no volumes ({NO_PROVISIONER}): {}{}",
                            class.name_any(),
                            self.unmatched("of that class"),
                            words.unwrap_or_default()
                        ))
                    }
                }
            }
        }
    }

    /// Its provisioner has failed, is at work, or has not answered.
    fn unprovisioned(&self, class: &StorageClass) -> String {
        let asked = PROVISIONER.iter().find_map(|key| self.claim.annotations().get(*key));
        let provisioner = shortened(asked.unwrap_or(&class.provisioner), LONGEST);
        let (name, events) = (class.name_any(), &self.evidence.events);
        // The claim's controller has reported a missing class that exists by now.
        match events.warning.as_deref().filter(|words| !is_about_missing_class(words)) {
            Some(words) => {
                let words = plain(words);
                let remedy = refusal::storage_remedy(words);
                let remedy = remedy.unwrap_or_else(|| format!("correct StorageClass {name} or its driver"));
                format!("provisioner {provisioner} cannot create the volume: {words}; {remedy}, {}", self.describe())
            }
            None if events.is_provisioning => {
                format!("provisioner {provisioner} is creating the volume; {}", self.describe())
            }
            None => format!(
                "provisioner {provisioner} of StorageClass {name} has not answered; check that it is installed and running, {}",
                self.describe()
            ),
        }
    }

    /// No volume matches: how many exist, and what those lack that could be bound.
    fn unmatched(&self, which: &str) -> String {
        let wants = format!("{} with access mode {}", self.size(), self.modes().join(" and "));
        let Some(volumes) = &self.evidence.volumes else {
            let words =
                self.evidence.events.unmatched.as_deref().map_or_else(String::new, |words| format!("{words}; "));
            return format!("{words}create a PersistentVolume {which} of {wants}, {}", self.describe());
        };
        if volumes.total == 0 {
            return format!("no PersistentVolume {which} exists; create one of {wants}");
        }
        let lacks: Vec<(&Volume, Option<String>)> =
            volumes.others.iter().map(|volume| (volume, self.lacks(volume))).collect();
        if let Some((volume, _)) = lacks.iter().find(|(_, lacks)| lacks.is_none()) {
            return format!(
                "PersistentVolume/{} is suitable and will be bound shortly; {}",
                volume.name,
                self.describe()
            );
        }
        let mut parts: Vec<String> = lacks.iter().filter_map(|(_, lacks)| lacks.clone()).take(LISTED).collect();
        let mut count = |number: usize, state: &str| {
            if number > 0 {
                parts.push(format!("{number} {state}"));
            }
        };
        count(volumes.bound, "bound to other claims");
        count(volumes.released, "released, with the data of an earlier claim (remove spec.claimRef to reuse one)");
        let all = counted(volumes.total, "PersistentVolume");
        format!("none of {all} {which} is free and fits ({}); create one of {wants}", parts.join(", "))
    }

    /// What a volume that no claim uses lacks. A volume that is reserved for another claim is not named.
    fn lacks(&self, volume: &Volume) -> Option<String> {
        let claim = self.claim;
        if let Some((namespace, name, uid)) = &volume.reserved {
            let is_ours = Some(namespace.as_str()) == claim.metadata.namespace.as_deref() && *name == claim.name_any();
            if !is_ours {
                return Some("one reserved for another claim".to_owned());
            }
            if uid.is_some() && *uid != claim.metadata.uid {
                return Some(format!(
                    "PersistentVolume/{} is reserved for an earlier claim of this name (remove spec.claimRef.uid)",
                    volume.name
                ));
            }
        }
        let name = format!("PersistentVolume/{}", volume.name);
        if compare_quantities(&volume.capacity, self.size()).is_none_or(Ordering::is_lt) {
            return Some(format!("{name} has {}", volume.capacity));
        }
        if let Some(mode) = self.modes().into_iter().find(|mode| !volume.modes.iter().any(|has| has == mode)) {
            return Some(format!("{name} lacks the access mode {mode}"));
        }
        let is_block = claim.spec.as_ref().and_then(|spec| spec.volume_mode.as_deref()) == Some("Block");
        (volume.is_block != is_block).then(|| format!("{name} has another volumeMode"))
    }

    fn size(&self) -> &str {
        size_of(self.claim).unwrap_or("0")
    }

    fn modes(&self) -> Vec<&str> {
        let spec = self.claim.spec.as_ref();
        spec.into_iter().flat_map(|spec| spec.access_modes.iter().flatten()).map(String::as_str).collect()
    }

    fn describe(&self) -> String {
        format!("see {}", describe(self.claim))
    }
}

/// The words of an event, without the prefix that each driver has, and without a full stop.
fn plain(words: &str) -> &str {
    let words = words.rsplit_once("desc = ").map_or(words, |(_, words)| words);
    words.trim_end_matches('.')
}

fn describe(claim: &PersistentVolumeClaim) -> String {
    kubectl(&claim.namespace().unwrap_or_default(), &format!("describe pvc {}", claim.name_any()))
}

/// What a bound claim lacks of the size in its manifest, or that its volume is lost. A request that the API server does not
/// reduce does not count.
pub(super) fn ungrown(claim: &PersistentVolumeClaim, manifest: &Value) -> Option<String> {
    let status = claim.status.as_ref()?;
    if status.phase.as_deref() == Some("Lost") {
        return Some("volume lost; restore it, or delete the claim to start empty".to_owned());
    }
    let has = status.capacity.as_ref()?.get("storage")?;
    let wants = manifest.pointer("/spec/resources/requests/storage")?.as_str()?;
    if compare_quantities(&has.0, wants)? != Ordering::Less {
        return None;
    }
    let reported = status.conditions.iter().flatten().filter(|condition| condition.status == "True");
    let mut reported: Vec<String> = reported
        .map(|condition| match condition.type_.as_str() {
            "FileSystemResizePending" => "the file system grows when the pod is recreated".to_owned(),
            other => format!("{other} {}", shortened(condition.message.as_deref().unwrap_or_default(), LONGEST)),
        })
        .collect();
    let resize = status.allocated_resource_statuses.as_ref().and_then(|statuses| statuses.get("storage"));
    if resize.is_some_and(|resize| resize.ends_with("Infeasible")) {
        reported.push("the driver cannot reach that size".to_owned());
    }
    let reported = if reported.is_empty() { "waiting for the volume driver".to_owned() } else { reported.join(", ") };
    Some(format!("the volume has {} of {wants}: {reported}; see {}", has.0, describe(claim)))
}

/// Why the volume of a claim does not grow, by its class and its events.
pub(super) fn not_growing(claim: &PersistentVolumeClaim, evidence: &Evidence) -> Option<String> {
    let class = Class::new(class_of(claim), evidence.classes.as_deref());
    match (&evidence.events.warning, class) {
        (_, Class::Object(class)) if class.allow_volume_expansion != Some(true) => Some(format!(
            "StorageClass {} does not allow expansion; set allowVolumeExpansion on it if its driver supports it",
            class.name_any()
        )),
        (Some(words), _) => Some(format!("its driver reports: {}", plain(words))),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests;
