//! Which pod may be restarted, and when; decided here, carried out in [`super::restarting`].
//!
//! Pods count by their owner references: a pod that merely has our labels, such as a debugging copy, is no member. Pods of a set
//! beyond its replicas are not restarted: they are ending, or foreign.

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::ResourceExt;
use serde_json::json;

use super::hold::{Holding, differs_in_part};
use crate::{
    api::{Rollout, annotation},
    cache::{Children, controller},
    component::Gate,
    condition::{RESTART_PENDING, Statement, reason},
    manifest::{Manifest, Mode},
    message::counted,
    readiness::{is_done, is_ready, pod_problem, replicas},
};

/// The pods of a set that do not run its newest revision, and which of them the user's intent asks to restart.
pub(super) struct Outdated {
    /// Must be restarted: what the user asked for has changed.
    pub(super) asked: Vec<Pod>,
    /// Differ only because the controller is newer.
    pub(super) newer: Vec<Pod>,
    /// What must be true before a pod may be deleted: a set has fewer pods than it wants.
    pub(super) short: Option<String>,
    /// The UIDs of the sets.
    sets: Vec<String>,
}

impl Outdated {
    /// Whether a pod is one of the sets'.
    fn is_member(&self, pod: &Pod) -> bool {
        controller(&pod.metadata).is_some_and(|controller| self.sets.iter().any(|set| set == controller))
    }
}

/// Finds the outdated pods of the `StatefulSet`s among the manifests.
pub(super) fn outdated(manifests: &[Manifest], children: &Children) -> Outdated {
    let mut outdated = Outdated { asked: Vec::new(), newer: Vec::new(), short: None, sets: Vec::new() };
    let is_set =
        |manifest: &&Manifest| manifest.resource.kind == "StatefulSet" && !matches!(manifest.mode, Mode::Labelled);
    for manifest in manifests.iter().filter(is_set) {
        let Some(set) = children.find::<StatefulSet>(manifest.name()) else { continue };
        let Some(uid) = set.metadata.uid.as_deref() else { continue };
        outdated.sets.push(uid.to_owned());
        let (members, wanted) = (children.pods_of(manifest.name(), i32::MAX), replicas(&set));
        if members.len() < usize::try_from(wanted).unwrap_or(0) {
            outdated.short = Some(format!("{} has {}", manifest.reference(), counted(wanted, "pod")));
        }
        let status = set.status.clone().unwrap_or_default();
        let Some(revision) = status.update_revision else { continue };
        if status.observed_generation != set.metadata.generation {
            // The set's revision is still that of an earlier template.
            continue;
        }
        let template = set.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
        let wanted = template.and_then(|meta| meta.annotations.clone()).unwrap_or_default();
        for pod in members {
            if pod.labels().get("controller-revision-hash") == Some(&revision) {
                continue;
            }
            let notes = pod.annotations();
            let is_asked = notes.get(annotation::ROLL) != wanted.get(annotation::ROLL)
                || differs_in_part(&json!(notes), &json!(wanted));
            let outdated = if is_asked { &mut outdated.asked } else { &mut outdated.newer };
            outdated.push(pod);
        }
    }
    outdated
}

/// The decision about outdated pods.
pub(super) enum Restart {
    /// Nothing.
    None,
    /// A restart, after the state that the text describes.
    Later(String),
    /// Restart this pod.
    Now(Box<Pod>),
}

/// One pod at a time: the next may be restarted when all others are ready and the component's gate is open.
pub(super) fn decide(outdated: &Outdated, pods: &[Pod], automatic: bool, gate: &Gate) -> Restart {
    let newer = outdated.newer.iter().filter(|_| automatic);
    let due: Vec<&Pod> = outdated.asked.iter().chain(newer).collect();
    // A pod that is not ready has nothing to lose, and may be blocked by the template that is being replaced.
    let Some(pod) = due.iter().find(|pod| !is_ready(pod)).or(due.last()) else { return Restart::None };
    let name = pod.name_any();
    if pod.metadata.deletion_timestamp.is_some() {
        return Restart::Later(format!("Pod/{name} is restarting"));
    }
    if is_ready(pod) {
        if let Some(short) = &outdated.short {
            return Restart::Later(format!("Pod/{name} will be restarted when {short}"));
        }
        let is_unready = |other: &&Pod| outdated.is_member(other) && !is_ready(other) && !is_done(other);
        if let Some(other) = pods.iter().find(is_unready) {
            let trouble = pod_problem(other, &[]).map_or_else(String::new, |trouble| format!("; {trouble}"));
            return Restart::Later(format!(
                "Pod/{name} will be restarted when Pod/{} is ready{trouble}",
                other.name_any()
            ));
        }
        if let Gate::Closed(why) = gate {
            return Restart::Later(format!("Pod/{name} will be restarted when it is safe: {why}"));
        }
    }
    Restart::Now(Box::new((*pod).clone()))
}

/// Reports the changes of a rollout that the user has not requested yet: workloads that keep their template, and pods that run an
/// earlier one than their set has.
pub(super) fn pending(outdated: &Outdated, holding: &Holding, rollout: Rollout) -> Option<Statement> {
    let pods = outdated.newer.iter().map(|pod| format!("Pod/{} runs an earlier pod template", pod.name_any()));
    let pending: Vec<String> = holding.workloads.iter().map(ToString::to_string).chain(pods).collect();
    if rollout != Rollout::WhenAsked || pending.is_empty() {
        return None;
    }
    let message = format!(
        "{}; set spec.rollout to Automatic, or set the annotation {} to a new value, to roll out the current template",
        pending.join(", "),
        annotation::RESTART
    );
    Some(Statement::holds(RESTART_PENDING, reason::NEWER_TEMPLATE, message))
}
