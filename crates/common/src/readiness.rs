//! Whether the children are ready as applied, and the cause if they are not.
//!
//! ```text
//!   children ──▶ lacking: what each workload and volume claim lacks ──┬─▶ its pods: scheduler, kubelet, runtime, the program
//!                                                                    ├─▶ its own status: ReplicaFailure, a failed resize
//!                                                                    ├─▶ its events, read only where it has too few pods
//!                                                                    └─▶ its claims: why they are not bound, or do not grow
//! ```
//!
//! Messages quote the component that refused or failed, and add the place, and the field or object that resolves it.

mod cause;
pub(crate) mod claim;
mod pod;
pub(crate) mod refusal;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod, PodCondition, PodTemplateSpec, Service},
};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde_json::Value;

use self::cause::{Asked, of_pods, refused};
pub(crate) use pod::pod_problem;

use crate::{
    cache::{Children, controller},
    manifest::{Manifest, Mode},
    message::{counted, shortened},
    world::World,
};

/// The most children that a message names.
const LISTED: usize = 3;

/// A container of a component, for messages.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The name of the container.
    pub container: &'static str,
    /// The field of the spec that sets its compute resources, if one does: `spec.provider.postgres.resources`.
    pub resources: Option<&'static str>,
    /// The minimum memory that it needs to start, if known: `64Mi`.
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

/// A child that is not ready.
#[derive(Debug, PartialEq)]
struct Lack {
    /// `Kind/name`.
    reference: String,
    /// What it lacks.
    missing: String,
    /// The cause, if its status or its pods show it.
    cause: Option<String>,
    /// The object that may have the cause otherwise.
    asked: Option<Asked>,
}

impl Lack {
    fn new(manifest: &Manifest, missing: String) -> Self {
        Self { reference: manifest.reference(), missing, cause: None, asked: None }
    }
}

/// The children that are not ready, with the cause, or `None` if all are at their own observed generation and complete.
pub(crate) async fn missing(manifests: &[Manifest], world: &World<'_>, programs: &[Program]) -> Option<String> {
    let lacks = lacking(manifests, world.children, programs);
    let mut causes = Vec::new();
    for lack in lacks.iter().take(LISTED) {
        let mut text = format!("{}: {}", lack.reference, lack.missing);
        let template = || {
            let manifest = manifests.iter().find(|manifest| manifest.reference() == lack.reference);
            manifest.and_then(|manifest| template(&manifest.object))
        };
        let cause = match &lack.asked {
            Some(asked) => asked.cause(lack.cause.as_deref(), template, world, programs).await,
            None => None,
        };
        let cause = cause.or_else(|| lack.cause.clone());
        text.extend(cause.map(|cause| format!("; {cause}")));
        causes.push(text);
    }
    let more = lacks.len().saturating_sub(LISTED);
    if more > 0 {
        causes.push(format!("{more} more not ready"));
    }
    (!causes.is_empty()).then(|| causes.join(". "))
}

/// Why the pod of a Job is not running, or why the Job cannot create one.
pub async fn job_trouble(job: &Job, world: &World<'_>, programs: &[Program]) -> Option<String> {
    let pods: Vec<Pod> = world.children.all::<Pod>().into_iter().filter(|pod| is_owned_by(pod, job)).collect();
    if let Some(trouble) = pods.iter().find_map(|pod| pod_problem(pod, programs)) {
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
    let wanted = manifests.iter().filter(|manifest| !matches!(manifest.mode, Mode::Absent | Mode::Labelled));
    let lack = |manifest: &Manifest| match manifest.resource.kind.as_str() {
        "StatefulSet" => {
            let set: StatefulSet = children.find(manifest.name())?;
            let mut lack = Lack::new(manifest, stateful_set(&set)?);
            let own = children.pods_of(manifest.name(), i32::MAX);
            // A pod that is starting was not refused.
            let made = set.status.as_ref().map_or(0, |status| status.replicas);
            let is_short = is_taken_up(&set) && made < replicas(&set);
            let of_set = set.metadata.uid.clone().filter(|_| is_short).map(Asked::Workload);
            (lack.cause, lack.asked) = of_pods(&own.iter().collect::<Vec<_>>(), children, programs);
            lack.asked = lack.asked.or(of_set);
            Some(lack)
        }
        "Deployment" => {
            let deployment: Deployment = children.find(manifest.name())?;
            let mut lack = Lack::new(manifest, deployed(&deployment)?);
            let template = deployment.spec.as_ref().map(|spec| &spec.template);
            let namespace = deployment.namespace().unwrap_or_default();
            let own = pods.iter().filter(|pod| is_selected_by(pod, &deployment));
            let refused = replica_failure(&deployment);
            let refused = refused.map(|words| refusal::of_pod(&words, template, &namespace, programs));
            (lack.cause, lack.asked) =
                if refused.is_some() { (refused, None) } else { of_pods(&own.collect::<Vec<_>>(), children, programs) };
            Some(lack)
        }
        "PersistentVolumeClaim" => {
            let live: PersistentVolumeClaim = children.find(manifest.name())?;
            let mut lack = Lack::new(manifest, claim::ungrown(&live, &manifest.object)?);
            lack.asked = (!claim::is_pending(&live)).then(|| Asked::Ungrown(Box::new(live)));
            Some(lack)
        }
        _ => None,
    };
    wanted.filter_map(lack).collect()
}

fn template(manifest: &Value) -> Option<PodTemplateSpec> {
    serde_json::from_value(manifest.pointer("/spec/template")?.clone()).ok()
}

/// Whether this object controls the pod, as a Job its own.
pub fn is_owned_by(pod: &Pod, owner: &impl ResourceExt) -> bool {
    let uid = owner.meta().uid.as_deref();
    uid.is_some() && controller(&pod.metadata) == uid
}

fn is_selected_by(pod: &Pod, deployment: &Deployment) -> bool {
    let selector = deployment.spec.as_ref().and_then(|spec| spec.selector.match_labels.as_ref());
    selector.is_some_and(|labels| labels.iter().all(|(key, value)| pod.labels().get(key) == Some(value)))
}

fn is_taken_up(set: &StatefulSet) -> bool {
    set.status.as_ref().and_then(|status| status.observed_generation) == set.metadata.generation
}

/// Names a Service without endpoints although the pods are ready, for instance because the labels of the pods were edited.
/// Clients find no server, even if the pods answer at their own addresses.
pub(crate) fn unserved(manifests: &[Manifest], children: &Children) -> Option<String> {
    let services = manifests
        .iter()
        .filter(|manifest| manifest.resource.kind == "Service" && matches!(manifest.mode, Mode::Applied));
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

/// What a set lacks: pods, or pods of its newest template.
pub fn stateful_set(set: &StatefulSet) -> Option<String> {
    if !is_taken_up(set) {
        return Some("newest revision not observed yet".to_owned());
    }
    ready(set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0), replicas(set))
}

/// The number of pods that a set should have.
pub(crate) fn replicas(set: &StatefulSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// What a Deployment lacks: pods, or pods of its newest template.
pub fn deployed(deployment: &Deployment) -> Option<String> {
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    if status.observed_generation != deployment.metadata.generation {
        return Some("newest revision not observed yet".to_owned());
    }
    let updated = status.updated_replicas.unwrap_or(0);
    // Ready pods may be of an older template.
    let older = status.replicas.unwrap_or(0).saturating_sub(updated);
    if older > 0 {
        return Some(format!(
            "rolling out: {updated} of {wanted} pods updated, {} of the previous template left",
            counted(older, "pod")
        ));
    }
    ready(updated.min(status.ready_replicas.unwrap_or(0)), wanted)
}

/// Why a Deployment could not create a pod.
fn replica_failure(deployment: &Deployment) -> Option<String> {
    let conditions = deployment.status.as_ref()?.conditions.iter().flatten();
    let mut failures = conditions.filter(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True");
    failures.find_map(|condition| condition.message.clone())
}

fn ready(ready: i32, wanted: i32) -> Option<String> {
    (ready < wanted).then(|| format!("{ready} of {wanted} pods ready"))
}

/// Whether the pod reports that it is ready, and is not being deleted.
pub fn is_ready(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && ready_condition(pod).is_some()
}

/// For how many seconds a pod has been ready; `None` if it is not. A time in the future counts as now.
pub fn ready_seconds(pod: &Pod) -> Option<u64> {
    let since = ready_condition(pod)?.last_transition_time.as_ref()?.0;
    Some(Timestamp::now().duration_since(since).as_secs().try_into().unwrap_or(0))
}

fn ready_condition(pod: &Pod) -> Option<&PodCondition> {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.find(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether the pod has ended, as that of a finished Job or an evicted pod has: it will not become ready again.
pub(crate) fn is_done(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

#[cfg(test)]
mod tests;
