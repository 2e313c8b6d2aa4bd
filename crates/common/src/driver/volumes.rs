//! Volumes that are about to be lost, and volumes that were replaced: both are always reported, because they have the data.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod},
};
use kube::ResourceExt;

use crate::{
    api::annotation,
    cache::Children,
    message::{counted, kubectl, shortened},
    readiness::{Program, is_done},
    volume::is_bound,
};

/// How much of a pod's message is shown, and of how many pods.
const LONGEST: usize = 300;
const SHOWN: usize = 3;

/// A claim that is being deleted while a pod uses it. Kubernetes waits for the pod to end, and then the volume is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endangered {
    /// The claim.
    pub(super) claim: String,
    /// The `PersistentVolume` behind it.
    pub(super) volume: String,
    /// The member that uses it.
    pub(super) pod: String,
}

/// The claims that are lost when a member ends. While any exist, the controller must not end a member.
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
    /// The message, with the commands that keep the data. `copy` is the command that copies the data out of the pod.
    pub(super) fn message(all: &[Self], namespace: &str, copy: Option<&str>) -> Option<String> {
        let Self { claim, volume, pod } = all.first()?;
        let others = if all.len() > 1 { format!(", and {} others,", all.len() - 1) } else { String::new() };
        let copy = copy.map(|copy| format!(" or copy the data: {copy};")).unwrap_or_default();
        let delete = kubectl(namespace, &format!("delete pod {pod}"));
        Some(format!(
            "PersistentVolumeClaim/{claim}{others} is being deleted while Pod/{pod} uses it. Its data will be lost when the pod ends, so changes and restarts are held back; keep the volume: kubectl patch pv {volume} --patch '{{\"spec\":{{\"persistentVolumeReclaimPolicy\":\"Retain\"}}}}';{copy} then continue on an empty volume: {delete}"
        ))
    }
}

/// The UIDs of the claims with which the object was Ready, by name.
pub(super) type Recorded = BTreeMap<String, String>;

/// A claim that was deleted and recreated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replaced {
    /// Its name.
    pub(super) claim: String,
    /// The UID of the existing claim.
    pub(super) uid: String,
}

/// Compares the claims that exist with those that were recorded. Returns what to record from now on, and the claims that differ
/// from the recorded ones and have not been accepted by the user.
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
            // The claims of a Ready object are recorded in the same status write.
            _ if is_ready => {
                next.insert(claim, uid);
            }
            _ => {}
        }
    }
    (next, replaced)
}

impl Replaced {
    /// The message. `object` is `kind/name`, for `kubectl`.
    pub(super) fn message(all: &[Self], namespace: &str, object: &str) -> Option<String> {
        let names: Vec<String> = all.iter().map(|one| format!("PersistentVolumeClaim/{}", one.claim)).collect();
        let uids: Vec<&str> = all.iter().map(|one| one.uid.as_str()).collect();
        let annotate = format!("annotate --overwrite {object} {}={}", annotation::ACCEPT_VOLUMES, uids.join(","));
        (!all.is_empty()).then(|| {
            format!(
                "{} was deleted and recreated without its previous data; restore a backup, or accept the new volume: {}",
                names.join(", "),
                kubectl(namespace, &annotate)
            )
        })
    }
}

/// The message about data that pods have set aside on their volumes. Of the component's programs, an init container that succeeds has a
/// termination message only if it has set data aside. Containers that a webhook has added may have any.
pub(super) fn set_aside(children: &Children, programs: &[Program]) -> Option<String> {
    let pods: Vec<Pod> = children.all();
    let words = |pod: &Pod| {
        let mut statuses = pod.status.iter().flat_map(|status| status.init_container_statuses.iter().flatten());
        let ended = statuses.find_map(|status| {
            programs.iter().find(|program| program.container == status.name)?;
            let ended = status.state.as_ref()?.terminated.as_ref().filter(|ended| ended.exit_code == 0)?;
            ended.message.as_deref().map(|message| shortened(message, LONGEST)).filter(|message| !message.is_empty())
        });
        Some(format!("Pod/{}: {}", pod.name_any(), ended?))
    };
    let messages: Vec<String> = pods.iter().filter_map(words).collect();
    let shown = messages.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(". ");
    let more = messages.len().checked_sub(SHOWN).filter(|more| *more > 0);
    let more = more.map(|more| format!(". {} from other pods", counted(more, "message"))).unwrap_or_default();
    (!messages.is_empty())
        .then(|| format!("{shown}{more}; delete the data that was set aside when it is no longer needed"))
}

/// Whether a set has a pod that uses a claim, by the name that the claims of a set have. A set that has none at the moment, or is
/// absent, proves nothing: it may be recreated, or in a full stop.
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
