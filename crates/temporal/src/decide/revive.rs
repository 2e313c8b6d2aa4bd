//! Stuck pods that must be replaced, because Temporal itself does not notice.
//!
//! * A program that ended because a dependency was unavailable is restarted with growing backoff, even if the dependency is back.
//! * A worker whose queue was deleted, as when a broker moves it, keeps running without consuming.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{ContainerStatus, Pod},
    jiff::{SignedDuration, Timestamp},
};
use kube::ResourceExt;
use temporal_stack_common::{api::annotation, readiness};

use crate::{
    names::{Names, REVIVED, ROLE},
    observed::{Observed, Queue},
    role::{ROLES, Role},
};

/// How long a worker may take to become a consumer, in seconds; doubled each time that it was replaced.
const PATIENCE: i64 = 45;
/// The most doublings.
const MOST_DOUBLINGS: u32 = 6;

/// The facts by which pods are judged.
#[derive(Clone, Copy)]
struct Circumstances<'a> {
    /// Since when all dependencies are Ready; absent: they are not.
    ready_since: Option<Timestamp>,
    /// The queues and their consumers.
    queues: &'a [Queue],
    now: Timestamp,
}

/// For each role: how often its pods were replaced because one was stuck, and that pod; increased if one is stuck now.
pub(super) fn revive(names: &Names, observed: &Observed, ready_since: Option<Timestamp>) -> BTreeMap<Role, String> {
    let queues = observed.queues.as_ref().and_then(|queues| queues.as_deref().ok()).unwrap_or_default();
    let circumstances = Circumstances { ready_since, queues, now: observed.now };
    let revived = |role: Role| {
        let deployment = observed.deployments.get(&names.child(role.name()))?;
        let annotations = deployment.spec.as_ref()?.template.metadata.as_ref()?.annotations.as_ref()?;
        let last = annotations.get(REVIVED);
        // `<how often>-<the pod>`
        let times: u32 = last.and_then(|last| last.split_once('-')?.0.parse().ok()).unwrap_or_default();
        let is_newest = |pod: &&Pod| {
            pod.labels().get(ROLE).map(String::as_str) == Some(role.name())
                && pod.annotations().get(annotation::ROLL) == annotations.get(annotation::ROLL)
                && pod.metadata.deletion_timestamp.is_none()
        };
        let mut newest = observed.pods.iter().filter(is_newest);
        let stuck = newest.find(|pod| is_stuck(role, pod, times, circumstances));
        let next = stuck.map(|pod| format!("{}-{}", times.saturating_add(1), pod.name_any()));
        Some((role, next.or_else(|| last.cloned())?))
    };
    ROLES.into_iter().filter_map(revived).collect()
}

fn is_stuck(role: Role, pod: &Pod, times: u32, circumstances: Circumstances<'_>) -> bool {
    let Some(since) = circumstances.ready_since else { return false };
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let Some(program) = statuses.into_iter().find(|status| status.name == role.name()) else { return false };
    if ended_at(program).is_some_and(|ended| ended < since) && is_backing_off(program) {
        return true;
    }
    let patience = SignedDuration::from_secs(PATIENCE << times.min(MOST_DOUBLINGS));
    let queue = circumstances.queues.iter().find(|queue| Some(queue.name) == role.queue());
    let runs_for = |started: Timestamp| circumstances.now.duration_since(started.max(since));
    queue.is_some_and(|queue| queue.consumers == 0)
        && readiness::is_ready(pod)
        && started_at(program).is_some_and(|started| runs_for(started) > patience)
}

fn is_backing_off(program: &ContainerStatus) -> bool {
    let waiting = program.state.as_ref().and_then(|state| state.waiting.as_ref());
    waiting.and_then(|waiting| waiting.reason.as_deref()) == Some("CrashLoopBackOff")
}

fn ended_at(program: &ContainerStatus) -> Option<Timestamp> {
    Some(program.last_state.as_ref()?.terminated.as_ref()?.finished_at.as_ref()?.0)
}

fn started_at(program: &ContainerStatus) -> Option<Timestamp> {
    Some(program.state.as_ref()?.running.as_ref()?.started_at.as_ref()?.0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn pod(state: &Value, last: &Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "worker"},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{
                    "name": "cluster", "image": "", "imageID": "", "ready": true, "restartCount": 1,
                    "state": state, "lastState": last,
                }],
            },
        }))
        .unwrap()
    }

    fn with_consumers(consumers: u32, now: i64) -> (Vec<Queue>, Timestamp) {
        (vec![Queue { name: "ipfs-cluster-add-queue", consumers }], at(now))
    }

    #[test]
    fn program_that_ended_before_its_dependencies_came_is_stuck() {
        let waits = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let ended = |second| json!({"terminated": {"exitCode": 1, "finishedAt": at(second)}});
        let (queues, now) = with_consumers(0, 200);
        let since = |ready_since| Circumstances { ready_since, queues: &queues, now };
        assert!(is_stuck(Role::Cluster, &pod(&waits, &ended(90)), 0, since(Some(at(100)))));
        // Ended by itself, with all that it needs: it would do so again.
        assert!(!is_stuck(Role::Cluster, &pod(&waits, &ended(110)), 0, since(Some(at(100)))));
        assert!(!is_stuck(Role::Cluster, &pod(&waits, &ended(90)), 0, since(None)));
    }

    #[test]
    fn worker_that_runs_and_consumes_nothing_is_stuck() {
        let runs = json!({"running": {"startedAt": at(100)}});
        let stuck = |consumers, times, now| {
            let (queues, now) = with_consumers(consumers, now);
            let circumstances = Circumstances { ready_since: Some(at(50)), queues: &queues, now };
            is_stuck(Role::Cluster, &pod(&runs, &Value::Null), times, circumstances)
        };
        assert!(!stuck(0, 0, 110));
        assert!(stuck(0, 0, 160));
        assert!(!stuck(1, 0, 160));
        assert!(!stuck(0, 1, 160), "its replacement has twice the time");
        assert!(stuck(0, 1, 200));
    }
}
