//! Whether the children have become what was applied, and what is wrong with those that have not.

use std::cmp::Ordering;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{PersistentVolumeClaim, Pod, Service},
};
use kube::ResourceExt;

use crate::{
    cache::Children,
    manifest::{Making, Manifest, compare_quantities},
};

/// Says what is still missing, or `None` when all children are at their own observed generation and have what they want.
pub(super) fn unsettled(manifests: &[Manifest], children: &Children) -> Option<String> {
    manifests.iter().filter(|manifest| !matches!(manifest.making, Making::Absent | Making::Labelled)).find_map(
        |manifest| {
            let missing = match manifest.resource.kind.as_str() {
                "StatefulSet" => children.find(manifest.name()).and_then(|set: StatefulSet| stateful_set(&set)),
                "Deployment" => children.find(manifest.name()).and_then(|deployment: Deployment| deployed(&deployment)),
                "PersistentVolumeClaim" => {
                    children.find(manifest.name()).and_then(|volume: PersistentVolumeClaim| claim(&volume))
                }
                _ => None,
            }?;
            Some(match children.all::<Pod>().iter().find_map(trouble) {
                Some(trouble) => format!("{}: {missing}; {trouble}", manifest.reference()),
                None => format!("{}: {missing}", manifest.reference()),
            })
        },
    )
}

/// Names a Service that leads nowhere although the pods are ready: somebody has edited the labels of the pods, say. Clients find
/// nobody, whatever the pods' own addresses answer.
pub(super) fn unserved(manifests: &[Manifest], children: &Children) -> Option<String> {
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
    let status = set.status.clone().unwrap_or_default();
    if status.observed_generation != set.metadata.generation {
        return Some("its newest revision has not been taken up yet".to_owned());
    }
    ready(status.ready_replicas.unwrap_or(0), replicas(set))
}

/// How many pods a set is to have.
pub(super) fn replicas(set: &StatefulSet) -> i32 {
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
        return Some(format!(
            "{older} pods of its former template are left, {updated} of {wanted} of the newest are there"
        ));
    }
    ready(updated.min(status.ready_replicas.unwrap_or(0)), wanted)
}

fn ready(ready: i32, wanted: i32) -> Option<String> {
    (ready < wanted).then(|| format!("{ready} of {wanted} pods ready"))
}

fn claim(claim: &PersistentVolumeClaim) -> Option<String> {
    let status = claim.status.as_ref()?;
    if status.phase.as_deref() == Some("Lost") {
        return Some("its volume is lost; restore the volume, or delete the claim to start empty".to_owned());
    }
    let has = status.capacity.as_ref()?.get("storage")?;
    let wants = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")?;
    if compare_quantities(&has.0, &wants.0)? != Ordering::Less {
        return None;
    }
    let said = status.conditions.iter().flatten().filter(|condition| condition.status == "True");
    let said: Vec<String> = said
        .map(|condition| match condition.type_.as_str() {
            "FileSystemResizePending" => "its file system grows when the pod is deleted and made again".to_owned(),
            other => format!("{other} {}", condition.message.as_deref().unwrap_or_default()),
        })
        .collect();
    let said = if said.is_empty() { "its driver is to grow it".to_owned() } else { said.join(", ") };
    Some(format!("the volume has {} of {}: {said}; see kubectl describe pvc {}", has.0, wants.0, claim.name_any()))
}

/// What keeps a pod from being ready, in the words of whoever noticed: scheduler, kubelet or container runtime.
pub fn trouble(pod: &Pod) -> Option<String> {
    let name = pod.name_any();
    let status = pod.status.as_ref()?;
    let unscheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")
        .and_then(|condition| condition.message.clone());
    if let Some(message) = unscheduled {
        return Some(format!("Pod/{name} cannot be scheduled: {message}"));
    }
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    for container in containers {
        let state = container.state.as_ref();
        if let Some(waiting) = state.and_then(|state| state.waiting.as_ref()) {
            let reason = waiting.reason.as_deref().unwrap_or("Waiting");
            if !matches!(reason, "PodInitializing" | "ContainerCreating") {
                let ended = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
                let code = ended.map_or_else(String::new, |ended| format!(", last exit code {}", ended.exit_code));
                let words = ended.and_then(|ended| last_words(ended.message.as_deref()?)).unwrap_or_default();
                return Some(format!(
                    "Pod/{name}: container {} is in {reason}{code}{words}; see kubectl logs {name} -c {}",
                    container.name, container.name
                ));
            }
        }
        // Between its end and the kubelet's decision to wait with the next start.
        if let Some(ended) = state.and_then(|state| state.terminated.as_ref()).filter(|ended| ended.exit_code != 0) {
            let words = ended.message.as_deref().and_then(last_words).unwrap_or_default();
            return Some(format!(
                "Pod/{name}: container {} ended with exit code {}{words}; see kubectl logs {name} -c {}",
                container.name, ended.exit_code, container.name
            ));
        }
    }
    let unready = status.container_statuses.iter().flatten().find(|container| {
        let runs = container.state.as_ref().is_some_and(|state| state.running.is_some());
        runs && container.started == Some(true) && !container.ready
    });
    unready.map(|container| {
        format!(
            "Pod/{name}: container {} runs and does not pass its readiness probe; see kubectl describe pod {name}",
            container.name
        )
    })
}

/// The end of what a container said before it failed, where its termination message is its log.
fn last_words(message: &str) -> Option<String> {
    const MOST: usize = 300;
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = lines[lines.len().saturating_sub(2)..].join(" ");
    let cut = text.char_indices().rev().nth(MOST).map_or(0, |(at, _)| at);
    (!text.is_empty()).then(|| format!(", saying \"{}\"", text[cut..].trim()))
}

/// Whether the pod says of itself that it is ready, and is not on its way out.
pub fn is_ready(pod: &Pod) -> bool {
    let ready = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && ready.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether the pod has ended for good, as that of a job does, or one that was evicted: it will not be ready any more.
pub(super) fn is_done(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_lacks_something_while_an_old_pod_serves_for_a_new_one() {
        let status =
            serde_json::json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 1});
        let mut rolling: Deployment =
            serde_json::from_value(serde_json::json!({"metadata": {"generation": 2}, "status": status})).unwrap();
        assert!(deployed(&rolling).unwrap().contains("1 pods of its former template"));
        rolling.status.as_mut().unwrap().replicas = Some(1);
        assert_eq!(deployed(&rolling), None);
    }

    #[test]
    fn the_last_words_are_two_lines_and_not_too_long() {
        assert_eq!(
            last_words("starting\n\nthe file is bad:\n  line 3\n").unwrap(),
            ", saying \"the file is bad: line 3\""
        );
        assert_eq!(last_words("\n"), None);
        assert!(last_words(&"ü".repeat(1000)).unwrap().chars().count() < 320);
    }
}
