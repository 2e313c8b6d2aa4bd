//! Volumes that are about to be lost, and volumes that were replaced: the data are on them, so neither passes without a word.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod},
};
use kube::ResourceExt;

use crate::{api::annotation, cache::Children, readiness::is_done, volume::is_bound};

/// A claim that is being deleted while a pod uses it. Kubernetes waits for the pod to end, and then the volume goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endangered {
    /// The claim.
    pub(super) claim: String,
    /// The `PersistentVolume` behind it.
    pub(super) volume: String,
    /// The member that uses it.
    pub(super) pod: String,
}

/// The claims that are lost when a member ends. While there are any, nothing of ours may end one.
pub(super) fn endangered(children: &Children) -> Vec<Endangered> {
    let leaving = |claim: &PersistentVolumeClaim| claim.metadata.deletion_timestamp.is_some() && is_bound(claim);
    let claims: Vec<PersistentVolumeClaim> = children.all().into_iter().filter(leaving).collect();
    if claims.is_empty() {
        return Vec::new();
    }
    let pods: Vec<Pod> = children.all();
    let user = |claim: &str| pods.iter().find(|pod| !is_done(pod) && uses(pod, claim)).map(ResourceExt::name_any);
    let endangered = |claim: &PersistentVolumeClaim| {
        let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).unwrap_or_default();
        Some(Endangered { pod: user(&claim.name_any())?, claim: claim.name_any(), volume })
    };
    claims.iter().filter_map(endangered).collect()
}

impl Endangered {
    /// What the user must know, with the commands that keep the data. `copy` is the command that copies them out of the pod.
    pub(super) fn message(all: &[Self], namespace: &str, copy: Option<&str>) -> Option<String> {
        let Self { claim, volume, pod } = all.first()?;
        let others = if all.len() > 1 { format!(", and {} others,", all.len() - 1) } else { String::new() };
        let copy = copy.map(|copy| format!(" or copy them: {copy};")).unwrap_or_default();
        Some(format!(
            "PersistentVolumeClaim/{claim}{others} is being deleted while Pod/{pod} uses it: the data are deleted when the pod ends, so nothing is changed or restarted; keep the volume: kubectl patch pv {volume} --patch '{{\"spec\":{{\"persistentVolumeReclaimPolicy\":\"Retain\"}}}}';{copy} then continue on an empty volume: kubectl delete pod -n {namespace} {pod}"
        ))
    }
}

/// The claims that the object has been Ready with, by name: their UIDs.
pub(super) type Recorded = BTreeMap<String, String>;

/// A claim that was deleted and made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replaced {
    /// Its name.
    pub(super) claim: String,
    /// The UID of the one that exists now.
    pub(super) uid: String,
}

/// Compares the claims that exist with those that were recorded. Returns what to record from now on, and which claims are no longer
/// the ones that were recorded and have not been accepted by the user.
pub(super) fn compare(
    recorded: &Recorded,
    children: &Children,
    accepted: Option<&str>,
    is_ready: bool,
) -> (Recorded, Vec<Replaced>) {
    let live: Vec<(String, String)> = children
        .all::<PersistentVolumeClaim>()
        .iter()
        .filter(|claim| claim.metadata.deletion_timestamp.is_none() && is_bound(claim))
        .filter_map(|claim| Some((claim.name_any(), claim.uid()?)))
        .collect();
    let sets: Vec<StatefulSet> = children.all();
    let mut next: Recorded = recorded
        .iter()
        .filter(|(claim, _)| is_used(claim, &sets))
        .map(|(claim, uid)| (claim.clone(), uid.clone()))
        .collect();
    let mut replaced = Vec::new();
    for (claim, uid) in live.into_iter().filter(|(claim, _)| is_used(claim, &sets)) {
        let is_accepted = accepted.is_some_and(|accepted| accepted.split(',').any(|one| one.trim() == uid));
        match next.get(&claim) {
            Some(before) if *before != uid && !is_accepted => replaced.push(Replaced { claim, uid }),
            Some(before) if *before == uid => {}
            // What an object became Ready with is recorded in the status that says so, which is written anyway.
            _ if is_ready => {
                next.insert(claim, uid);
            }
            _ => {}
        }
    }
    (next, replaced)
}

impl Replaced {
    /// What the user must know. `object` is `kind/name`, as `kubectl` takes it.
    pub(super) fn message(all: &[Self], namespace: &str, object: &str) -> Option<String> {
        let names: Vec<String> = all.iter().map(|one| format!("PersistentVolumeClaim/{}", one.claim)).collect();
        let uids: Vec<&str> = all.iter().map(|one| one.uid.as_str()).collect();
        (!all.is_empty()).then(|| {
            format!(
                "{} was deleted and made again, and what was on the volume before is not on this one; restore a backup, or accept the new volume: kubectl annotate --overwrite -n {namespace} {object} {}={}",
                names.join(", "),
                annotation::ACCEPT_VOLUMES,
                uids.join(",")
            )
        })
    }
}

/// Whether a set has a pod that uses a claim, by the name that the claims of a set have. A set that has none at the moment, or is
/// absent, says nothing: it may be remade, or in a full stop.
fn is_used(claim: &str, sets: &[StatefulSet]) -> bool {
    let is_beyond = |set: &StatefulSet| {
        let spec = set.spec.as_ref()?;
        let replicas = spec.replicas.filter(|replicas| *replicas > 0)?;
        let templates = spec.volume_claim_templates.iter().flatten();
        let ordinal = templates.filter_map(|template| {
            let pod = claim.strip_prefix(&template.name_any())?.strip_prefix('-')?;
            crate::number::ordinal(pod, &set.name_any(), i32::MAX)
        });
        Some(ordinal.into_iter().any(|ordinal| ordinal >= replicas))
    };
    !sets.iter().any(|set| is_beyond(set).unwrap_or_default())
}

fn uses(pod: &Pod, claim: &str) -> bool {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(|volume| volume.persistent_volume_claim.as_ref()).any(|source| source.claim_name == claim)
}
