//! The causes that a workload and its pods do not show: they are in events, and in what a claim depends on.

use std::time::Duration;

use k8s_openapi::api::{
    core::v1::{PersistentVolumeClaim, Pod, PodTemplateSpec},
    storage::v1::StorageClass,
};
use kube::ResourceExt;

use super::{
    Program,
    claim::{self, Evidence},
    pod::pod_problem,
    refusal,
};
use crate::{
    cache::Children,
    class::class_of,
    message::shortened,
    world::{ClaimEvents, World},
};

/// The most volumes of a pod that a message names.
const LISTED: usize = 3;
/// The age from which reads of the cluster are repeated while a claim is not bound.
const REREAD: Duration = Duration::from_secs(30);

/// An object whose surroundings are read: its events, and what its claim or volume depends on.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    /// A workload that has too few pods, by its UID.
    Workload(String),
    /// The pod of that name and UID, whose containers are being created.
    Pod(String, String),
    /// The claim without a volume that a pod waits for, and why the pod is not scheduled.
    Unbound(Box<PersistentVolumeClaim>, Option<String>),
    /// The claim whose volume does not grow.
    Ungrown(Box<PersistentVolumeClaim>),
    /// The volumes of a pod that no node can use.
    Misplaced(Vec<String>),
}

impl Asked {
    /// What the surroundings of the object say about the cause. `known` is the cause that its pods show.
    pub(super) async fn cause(
        &self,
        known: Option<&str>,
        template: impl FnOnce() -> Option<PodTemplateSpec>,
        world: &World<'_>,
        programs: &[Program],
    ) -> Option<String> {
        match self {
            Self::Unbound(live, unscheduled) => {
                let evidence = Evidence { unscheduled: unscheduled.clone(), ..evidence(live, world).await };
                claim::unbound(live, &evidence)
            }
            Self::Ungrown(live) => claim::not_growing(live, &evidence(live, world).await),
            Self::Misplaced(volumes) => {
                let mut places = Vec::new();
                for volume in volumes.iter().take(LISTED) {
                    let mut place = world.place_of_volume(volume).await;
                    if place.is_none() && world.cluster.doubt(REREAD).await {
                        place = world.place_of_volume(volume).await;
                    }
                    places.extend(place.map(|place| format!("PersistentVolume/{volume} exists only where {place}")));
                }
                (!places.is_empty()).then(|| format!("{}. {}", known.unwrap_or_default(), places.join(", ")))
            }
            _ if known.is_some() => None,
            Self::Pod(name, uid) => {
                let words = world.warning(uid).await?;
                Some(format!("Pod/{name} does not start: {}", shortened(&words, refusal::LONGEST)))
            }
            Self::Workload(uid) => refused(uid, template().as_ref(), world, programs).await,
        }
    }
}

/// What is known about a claim. Looking for the cause of a failure must not fail, so what cannot be read is unknown.
async fn evidence(live: &PersistentVolumeClaim, world: &World<'_>) -> Evidence {
    let events = match live.uid() {
        Some(uid) => world.claim_events(&uid).await,
        None => ClaimEvents::default(),
    };
    let unread = |error: &kube::Error| tracing::debug!(%error, "could not read what a claim depends on");
    let classes = async || -> Option<Vec<StorageClass>> { world.list_cluster().await.inspect_err(unread).ok()? };
    let mut known = classes().await;
    // No watch shows that a class or a volume was created or deleted.
    if claim::may_be_outdated(live, known.as_deref(), &events) && world.cluster.doubt(REREAD).await {
        known = classes().await;
    }
    let volumes = if claim::needs_volume(live, known.as_deref()) {
        let class = class_of(live).unwrap_or_default();
        world.volumes_of_class(class).await.inspect_err(unread).ok().flatten()
    } else {
        None
    };
    Evidence { classes: known, volumes, events, unscheduled: None }
}

/// Why a workload could not create a pod or claim, quoting the refusal, if the latest attempt was refused.
pub(super) async fn refused(
    uid: &str,
    template: Option<&PodTemplateSpec>,
    world: &World<'_>,
    programs: &[Program],
) -> Option<String> {
    let words = world.failed_create(uid).await?;
    Some(refusal::of_pod(&words, template, world.namespace, programs))
}

/// A pod whose containers are being created by the kubelet, which reports only in events what it waits for: a missing Secret, a
/// volume that cannot be mounted.
fn being_made(pod: &Pod) -> Option<Asked> {
    let status = pod.status.as_ref()?;
    let mut containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let is_waiting = containers.all(|container| {
        let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
        waiting
            .is_some_and(|waiting| matches!(waiting.reason.as_deref(), Some("ContainerCreating" | "PodInitializing")))
    });
    let has_some = status.container_statuses.as_ref().is_some_and(|containers| !containers.is_empty());
    (is_waiting && has_some).then(|| Some(Asked::Pod(pod.name_any(), pod.uid()?)))?
}

/// Why the pods of a workload are not ready, and the object that may have the cause.
pub(super) fn of_pods(own: &[&Pod], children: &Children, programs: &[Program]) -> (Option<String>, Option<Asked>) {
    let cause = own.iter().find_map(|pod| pod_problem(pod, programs));
    match own.iter().find_map(|pod| of_claims(pod, children, programs)) {
        Some((of_pod, asked)) => (of_pod.or(cause), Some(asked)),
        None => (cause, own.iter().find_map(|pod| being_made(pod))),
    }
}

/// The claim that keeps a pod from being scheduled, because it is not bound, or because its volume is elsewhere. The scheduler's
/// own message does not say why.
fn of_claims(pod: &Pod, children: &Children, programs: &[Program]) -> Option<(Option<String>, Asked)> {
    let spec = pod.spec.as_ref().filter(|spec| spec.node_name.is_none())?;
    let sources = spec.volumes.iter().flatten().filter_map(|volume| volume.persistent_volume_claim.as_ref());
    let claims = sources.filter_map(|source| children.find::<PersistentVolumeClaim>(&source.claim_name));
    let (pending, bound): (Vec<_>, Vec<_>) = claims.partition(claim::is_pending);
    let trouble = pod_problem(pod, programs);
    if let Some(claim) = pending.into_iter().next() {
        return Some((trouble.clone(), Asked::Unbound(Box::new(claim), trouble)));
    }
    let is_misplaced = trouble.as_ref().is_some_and(|words| words.contains("volume node affinity conflict"));
    let volumes = bound.into_iter().filter_map(|claim| claim.spec?.volume_name).collect();
    is_misplaced.then_some((trouble, Asked::Misplaced(volumes)))
}
