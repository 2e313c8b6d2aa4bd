//! Whether the children have become what was applied, and the cause where they have not.
//!
//! ```text
//!   children ──▶ lacking: what each workload and volume claim lacks ──┬─▶ its pods: scheduler, kubelet, runtime, the program
//!                                                                    ├─▶ its own status: ReplicaFailure, a failed resize
//!                                                                    └─▶ its events, read only where it has too few pods
//! ```
//!
//! The words are those of whoever refused or failed; what is added is where, and the field or object that ends it.

mod pod;
pub(crate) mod refusal;

use std::cmp::Ordering;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod, PodTemplateSpec, Service},
};
use kube::ResourceExt;
use serde_json::Value;

pub use pod::trouble;

use crate::{
    cache::Children,
    manifest::{Making, Manifest, compare_quantities},
    message::{kubectl, shortened},
    world::World,
};

/// How many children a message names.
const LISTED: usize = 3;

/// A container that a component makes, as messages need it.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The name of the container.
    pub container: &'static str,
    /// The field of the spec that sets its compute resources, if one does: `spec.provider.postgres.resources`.
    pub resources: Option<&'static str>,
    /// Less memory than this does not suffice to start, if that is known: `64Mi`.
    pub minimum: Option<&'static str>,
}

impl Program {
    /// A container whose resources the user sets.
    pub const fn new(container: &'static str, resources: &'static str, minimum: &'static str) -> Self {
        Self { container, resources: Some(resources), minimum: Some(minimum) }
    }
}

/// The field that sets the resources of a container.
pub(crate) fn field(programs: &[Program], container: &str) -> Option<&'static str> {
    programs.iter().find(|program| program.container == container)?.resources
}

/// What a child lacks.
#[derive(Debug, PartialEq, Eq)]
struct Lack {
    /// `Kind/name`.
    reference: String,
    /// What is missing of it.
    missing: String,
    /// Why, where its status or its pods show it.
    cause: Option<String>,
    /// Whose events may have the cause otherwise.
    events_of: Option<EventsOf>,
}

/// An object whose events are read, by its UID.
#[derive(Debug, PartialEq, Eq)]
enum EventsOf {
    /// A workload that has too few pods.
    Workload(String),
    /// The pod of that name, whose containers are being made.
    Pod(String, String),
}

impl Lack {
    fn of(manifest: &Manifest, missing: String) -> Self {
        Self { reference: manifest.reference(), missing, cause: None, events_of: None }
    }
}

/// What is still missing, with its cause, or `None` when all children are at their own observed generation and have what they
/// should have.
pub(crate) async fn missing(manifests: &[Manifest], world: &World<'_>, programs: &[Program]) -> Option<String> {
    let lacks = lacking(manifests, world.children, programs);
    let mut told = Vec::new();
    for lack in lacks.iter().take(LISTED) {
        let mut text = format!("{}: {}", lack.reference, lack.missing);
        let cause = match (&lack.cause, &lack.events_of) {
            (Some(cause), _) => Some(cause.clone()),
            (None, Some(EventsOf::Pod(name, uid))) => {
                let words = world.warning(uid).await;
                words.map(|words| format!("Pod/{name} does not start: {}", shortened(&words, refusal::LONGEST)))
            }
            (None, Some(EventsOf::Workload(uid))) => {
                let manifest = manifests.iter().find(|manifest| manifest.reference() == lack.reference);
                let template = manifest.and_then(|manifest| template(&manifest.object));
                refused(uid, template.as_ref(), world, programs).await
            }
            (None, None) => None,
        };
        text.extend(cause.map(|cause| format!("; {cause}")));
        told.push(text);
    }
    let more = lacks.len().saturating_sub(LISTED);
    if more > 0 {
        told.push(format!("{more} more are not ready"));
    }
    (!told.is_empty()).then(|| told.join(". "))
}

/// Why a workload could not make a pod or claim, in the words of whoever refused it, if it was refused last.
async fn refused(
    uid: &str,
    template: Option<&PodTemplateSpec>,
    world: &World<'_>,
    programs: &[Program],
) -> Option<String> {
    let words = world.failed_create(uid).await?;
    Some(refusal::of_pod(&words, template, world.namespace, programs))
}

/// What keeps the pod of a Job from its work, or the Job from making one.
pub async fn job_trouble(job: &Job, world: &World<'_>, programs: &[Program]) -> Option<String> {
    let pods: Vec<Pod> = world.children.all::<Pod>().into_iter().filter(|pod| is_owned_by(pod, job)).collect();
    if let Some(trouble) = pods.iter().find_map(|pod| trouble(pod, programs)) {
        return Some(trouble);
    }
    let status = job.status.as_ref();
    let failed = status.and_then(|status| {
        let conditions = status.conditions.iter().flatten();
        let mut failed = conditions.filter(|condition| condition.type_ == "Failed" && condition.status == "True");
        failed.next().map(|condition| condition.message.clone().or(condition.reason.clone()).unwrap_or_default())
    });
    if let Some(failed) = failed {
        return Some(format!("Job/{} failed: {}", job.name_any(), shortened(&failed, refusal::LONGEST)));
    }
    let is_suspended = job.spec.as_ref().is_some_and(|spec| spec.suspend == Some(true));
    if !pods.is_empty() || is_suspended {
        return None;
    }
    let template = job.spec.as_ref().map(|spec| &spec.template);
    refused(job.metadata.uid.as_deref()?, template, world, programs).await
}

fn lacking(manifests: &[Manifest], children: &Children, programs: &[Program]) -> Vec<Lack> {
    let pods = children.all::<Pod>();
    let wanted = manifests.iter().filter(|manifest| !matches!(manifest.making, Making::Absent | Making::Labelled));
    let lack = |manifest: &Manifest| match manifest.resource.kind.as_str() {
        "StatefulSet" => {
            let set: StatefulSet = children.find(manifest.name())?;
            let mut lack = Lack::of(manifest, stateful_set(&set)?);
            let own = pods.iter().filter(|pod| is_owned_by(pod, &set));
            lack.cause = own.clone().find_map(|pod| trouble(pod, programs));
            // One that is starting is nobody's refusal.
            let made = set.status.as_ref().map_or(0, |status| status.replicas);
            let is_short = is_taken_up(&set) && made < replicas(&set);
            let of_set = set.metadata.uid.clone().filter(|_| is_short).map(EventsOf::Workload);
            lack.events_of = own.clone().find_map(being_made).or(of_set);
            Some(lack)
        }
        "Deployment" => {
            let deployment: Deployment = children.find(manifest.name())?;
            let mut lack = Lack::of(manifest, deployed(&deployment)?);
            let template = deployment.spec.as_ref().map(|spec| &spec.template);
            let namespace = deployment.namespace().unwrap_or_default();
            let own = pods.iter().filter(|pod| is_selected_by(pod, &deployment));
            lack.cause = replica_failure(&deployment)
                .map(|words| refusal::of_pod(&words, template, &namespace, programs))
                .or_else(|| own.clone().find_map(|pod| trouble(pod, programs)));
            lack.events_of = own.clone().find_map(being_made);
            Some(lack)
        }
        "PersistentVolumeClaim" => {
            let live: PersistentVolumeClaim = children.find(manifest.name())?;
            Some(Lack::of(manifest, claim(&live, &manifest.object)?))
        }
        _ => None,
    };
    wanted.filter_map(lack).collect()
}

/// A pod whose containers are being made by its kubelet, which reports only by events what it waits for: a Secret that is
/// missing, a volume that cannot be mounted.
fn being_made(pod: &Pod) -> Option<EventsOf> {
    let status = pod.status.as_ref()?;
    let mut containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let is_waiting = containers.all(|container| {
        let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
        waiting
            .is_some_and(|waiting| matches!(waiting.reason.as_deref(), Some("ContainerCreating" | "PodInitializing")))
    });
    let has_some = status.container_statuses.as_ref().is_some_and(|containers| !containers.is_empty());
    (is_waiting && has_some).then(|| Some(EventsOf::Pod(pod.name_any(), pod.uid()?)))?
}

fn template(manifest: &Value) -> Option<PodTemplateSpec> {
    serde_json::from_value(manifest.pointer("/spec/template")?.clone()).ok()
}

fn is_owned_by(pod: &Pod, owner: &impl ResourceExt) -> bool {
    let uid = owner.uid();
    uid.is_some() && pod.owner_references().iter().any(|reference| Some(&reference.uid) == uid.as_ref())
}

fn is_selected_by(pod: &Pod, deployment: &Deployment) -> bool {
    let selector = deployment.spec.as_ref().and_then(|spec| spec.selector.match_labels.as_ref());
    selector.is_some_and(|labels| labels.iter().all(|(key, value)| pod.labels().get(key) == Some(value)))
}

fn is_taken_up(set: &StatefulSet) -> bool {
    set.status.as_ref().and_then(|status| status.observed_generation) == set.metadata.generation
}

/// Names a Service that leads nowhere although the pods are ready: somebody has edited the labels of the pods, say. Clients find
/// nobody, whatever the pods' own addresses answer.
pub(crate) fn unserved(manifests: &[Manifest], children: &Children) -> Option<String> {
    let services = manifests
        .iter()
        .filter(|manifest| manifest.resource.kind == "Service" && matches!(manifest.making, Making::Applied));
    let mut services = services.filter_map(|manifest| children.find::<Service>(manifest.name())).peekable();
    services.peek()?;
    let pods = children.all::<Pod>();
    services.find_map(|service| {
        let spec = service.spec.as_ref()?;
        let selector = spec.selector.as_ref().filter(|selector| !selector.is_empty())?;
        let selects = |pod: &Pod| selector.iter().all(|(key, value)| pod.labels().get(key) == Some(value));
        let has_endpoint = spec.publish_not_ready_addresses == Some(true) || pods.iter().any(|pod| is_ready(pod) && selects(pod));
        (!has_endpoint).then(|| {
            let labels: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!(
                "Service/{} has no endpoints: no ready pod has the labels {}; restore the labels of the pods, or delete the pods",
                service.name_any(),
                labels.join(",")
            )
        })
    })
}

/// What a set lacks: pods, or that its newest template has been taken up.
pub fn stateful_set(set: &StatefulSet) -> Option<String> {
    if !is_taken_up(set) {
        return Some("its newest revision has not been taken up yet".to_owned());
    }
    ready(set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0), replicas(set))
}

/// How many pods a set should have.
pub(crate) fn replicas(set: &StatefulSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// What a Deployment lacks: pods, or that its newest template has been taken up.
pub fn deployed(deployment: &Deployment) -> Option<String> {
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    if status.observed_generation != deployment.metadata.generation {
        return Some("its newest revision has not been taken up yet".to_owned());
    }
    let updated = status.updated_replicas.unwrap_or(0);
    // Those of an older template may be ready for those of the newest.
    let older = status.replicas.unwrap_or(0).saturating_sub(updated);
    if older > 0 {
        let pods = if older == 1 { "pod" } else { "pods" };
        return Some(format!("{older} {pods} of its former template left, {updated} of {wanted} of the newest made"));
    }
    ready(updated.min(status.ready_replicas.unwrap_or(0)), wanted)
}

/// Why a Deployment could not make a pod.
fn replica_failure(deployment: &Deployment) -> Option<String> {
    let conditions = deployment.status.as_ref()?.conditions.iter().flatten();
    let mut failures = conditions.filter(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True");
    failures.find_map(|condition| condition.message.clone())
}

fn ready(ready: i32, wanted: i32) -> Option<String> {
    (ready < wanted).then(|| format!("{ready} of {wanted} pods ready"))
}

/// What a claim lacks of the size in its manifest. A request that the API server does not take back is no lack.
fn claim(claim: &PersistentVolumeClaim, manifest: &Value) -> Option<String> {
    let status = claim.status.as_ref()?;
    if status.phase.as_deref() == Some("Lost") {
        return Some("its volume is lost; restore the volume, or delete the claim to start empty".to_owned());
    }
    let has = status.capacity.as_ref()?.get("storage")?;
    let wants = manifest.pointer("/spec/resources/requests/storage")?.as_str()?;
    if compare_quantities(&has.0, wants)? != Ordering::Less {
        return None;
    }
    let said = status.conditions.iter().flatten().filter(|condition| condition.status == "True");
    let said: Vec<String> = said
        .map(|condition| match condition.type_.as_str() {
            "FileSystemResizePending" => "its file system grows when the pod is deleted and made again".to_owned(),
            other => {
                format!("{other} {}", shortened(condition.message.as_deref().unwrap_or_default(), refusal::LONGEST))
            }
        })
        .collect();
    let said = if said.is_empty() { "waits for its driver".to_owned() } else { said.join(", ") };
    let describe = kubectl(&claim.namespace().unwrap_or_default(), &format!("describe pvc {}", claim.name_any()));
    Some(format!("the volume has {} of {wants}: {said}; see {describe}", has.0))
}

/// Whether the pod reports that it is ready, and is not being deleted.
pub fn is_ready(pod: &Pod) -> bool {
    let ready = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && ready.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether the pod has ended for good, as that of a job does, or one that was evicted: it will not be ready any more.
pub(crate) fn is_done(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

#[cfg(test)]
mod tests;
