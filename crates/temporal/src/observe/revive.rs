//! Pods that must be made anew to do their work: Temporal itself does not notice.
//!
//! * A program that ended because a dependency was away is started again later and later, also when that has long been back.
//! * A worker whose queue was deleted under it, as a broker does that moves it, runs on and consumes nothing.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ContainerStatus, Pod},
    },
    jiff::{SignedDuration, Timestamp},
};
use kube::ResourceExt;
use temporal_stack_common::{
    api::{Temporal, annotation},
    cache::Children,
    driver,
};

use crate::{
    broker::Queue,
    desire::ROLE,
    names,
    role::{Role, WORKERS},
};

/// Annotation of pod templates: for the sake of which pod they were made anew.
pub(crate) const REVIVED: &str = "temporal-stack.dev/revived";
/// How long a worker may take to declare itself a consumer, in seconds; twice as long each time that it was made anew.
const PATIENCE: i64 = 45;
/// How often it takes twice as long.
const MOST: u32 = 6;

/// What is known of the world that the pods are in.
#[derive(Clone, Copy)]
pub(super) struct Circumstances<'a> {
    /// Since when all that Temporal needs is Ready; absent: it is not.
    pub(super) ready_since: Option<Timestamp>,
    /// The queues and their consumers.
    pub(super) queues: &'a [Queue],
    /// The time.
    pub(super) now: Timestamp,
}

impl Circumstances<'_> {
    /// The same, if all that Temporal needs is Ready now.
    pub(super) fn if_whole(self, is_whole: bool) -> Self {
        Self { ready_since: self.ready_since.filter(|_| is_whole), ..self }
    }
}

/// The pods for whose sake the parts were made anew last, or are to be now.
pub(super) fn revived(
    object: &Temporal,
    children: &Children,
    circumstances: Circumstances<'_>,
) -> BTreeMap<Role, String> {
    let pods: Vec<Pod> = children.all();
    let parts = WORKERS.into_iter().chain([Role::Api]);
    let of_role = |role: Role| {
        let deployment: Deployment = children.find(&names::child(object, role.name()))?;
        let annotations = deployment.spec?.template.metadata?.annotations?;
        let last = annotations.get(REVIVED);
        // `<how often>-<the pod>`
        let times: u32 = last.and_then(|last| last.split_once('-')?.0.parse().ok()).unwrap_or_default();
        let is_newest = |pod: &&Pod| {
            pod.labels().get(ROLE).map(String::as_str) == Some(role.name())
                && pod.annotations().get(annotation::ROLL) == annotations.get(annotation::ROLL)
                && pod.metadata.deletion_timestamp.is_none()
        };
        let stuck = pods.iter().filter(is_newest).find(|pod| is_stuck(role, pod, times, circumstances));
        let now = stuck.map(|pod| format!("{}-{}", times.saturating_add(1), pod.name_any()));
        Some((role, now.or_else(|| last.cloned())?))
    };
    parts.filter_map(of_role).collect()
}

fn is_stuck(role: Role, pod: &Pod, times: u32, circumstances: Circumstances<'_>) -> bool {
    let Some(since) = circumstances.ready_since else { return false };
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let Some(program) = statuses.into_iter().find(|status| status.name == role.name()) else { return false };
    if ended(program).is_some_and(|ended| ended < since) && waits(program) {
        return true;
    }
    let patience = SignedDuration::from_secs(PATIENCE << times.min(MOST));
    let queue = circumstances.queues.iter().find(|queue| Some(queue.name) == role.queue());
    let runs_for = |started: Timestamp| circumstances.now.duration_since(started.max(since));
    queue.is_some_and(|queue| queue.consumers == 0)
        && driver::pod_is_ready(pod)
        && started(program).is_some_and(|started| runs_for(started) > patience)
}

fn waits(program: &ContainerStatus) -> bool {
    let waiting = program.state.as_ref().and_then(|state| state.waiting.as_ref());
    waiting.and_then(|waiting| waiting.reason.as_deref()) == Some("CrashLoopBackOff")
}

fn ended(program: &ContainerStatus) -> Option<Timestamp> {
    Some(program.last_state.as_ref()?.terminated.as_ref()?.finished_at.as_ref()?.0)
}

fn started(program: &ContainerStatus) -> Option<Timestamp> {
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
    fn a_program_that_ended_before_its_dependencies_came_back_need_not_wait_any_longer() {
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
    fn a_worker_that_has_been_there_for_a_while_and_consumes_nothing_is_stuck() {
        let runs = json!({"running": {"startedAt": at(100)}});
        let stuck = |consumers, times, now| {
            let (queues, now) = with_consumers(consumers, now);
            let circumstances = Circumstances { ready_since: Some(at(50)), queues: &queues, now };
            is_stuck(Role::Cluster, &pod(&runs, &Value::Null), times, circumstances)
        };
        assert!(!stuck(0, 0, 110));
        assert!(stuck(0, 0, 160));
        assert!(!stuck(1, 0, 160));
        assert!(!stuck(0, 1, 160), "that it was made anew did not help");
        assert!(stuck(0, 1, 200));
    }
}
