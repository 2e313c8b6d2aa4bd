//! The state that a verdict describes: only a change of it requires another verdict.
//!
//! Resource versions change with every annotation, so equal versions only prove that nothing has changed. If one differs, the
//! relevant parts of the children are compared: their content, and the parts of their status that users of the product would
//! notice.

use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{
    cache::{Children, REPLICA_SET},
    manifest::hash,
};

/// The fields of a status that count.
const NOTICED: [&str; 8] = [
    "phase",
    "podIP",
    "readyReplicas",
    "availableReplicas",
    "currentRevision",
    "updateRevision",
    "succeeded",
    "loadBalancer",
];

/// The state that a verdict describes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Basis {
    /// The generation, and every child with its resource version.
    versions: String,
    /// The same without irrelevant parts.
    essence: String,
}

impl Basis {
    /// The basis of an object and its children as they are now; `before` saves the work if nothing has changed.
    pub(super) fn new(object: &impl ResourceExt, children: &Children, before: Option<&Self>) -> Self {
        let generation = object.meta().generation;
        // A ReplicaSet changes with its pods, which are children themselves.
        let counted = || children.iter().filter(|(kind, ..)| *kind != REPLICA_SET);
        let versions = counted().map(|(kind, name, live)| format!("{kind}/{name}@{}", live.version()));
        let versions = hash(&json!([generation, versions.collect::<Vec<_>>()]));
        if let Some(before) = before
            && before.versions == versions
        {
            return before.clone();
        }
        // One after the other: together they may be large.
        let essences = counted().map(|(kind, name, live)| hash(&json!([kind, name, essence(kind, live.value())])));
        let essence = hash(&json!([generation, essences.collect::<Vec<_>>()]));
        Self { versions, essence }
    }

    /// Whether a verdict about one is valid for the other.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.essence == other.essence
    }
}

fn essence(kind: &str, mut child: Value) -> Value {
    let metadata = child["metadata"].take();
    let status = child["status"].take();
    let noticed: Vec<&Value> = NOTICED.iter().map(|key| &status[*key]).collect();
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let ready: Vec<&Value> =
        conditions.filter(|condition| condition["type"] == "Ready").map(|condition| &condition["status"]).collect();
    let containers = status["containerStatuses"].as_array().into_iter().flatten();
    let starts: Vec<&Value> = containers.map(|container| &container["restartCount"]).collect();
    // The content of a pod is that of its set; `kubectl debug` may add to it.
    let content = if kind == "Pod" { Value::Null } else { child };
    json!([metadata["uid"], metadata["deletionTimestamp"].is_null(), noticed, ready, starts, content])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(change: impl Fn(&mut Value)) -> Value {
        let mut pod = json!({
            "metadata": {"name": "p", "uid": "u", "resourceVersion": "1"},
            "spec": {"containers": [{"name": "c"}]},
            "status": {
                "phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"restartCount": 0}],
            },
        });
        change(&mut pod);
        essence("Pod", pod)
    }

    #[test]
    fn foreign_annotation_keeps_the_verdict() {
        let same = pod(|_| {});
        assert_eq!(pod(|pod| pod["metadata"]["annotations"] = json!({"scanner": "seen"})), same);
        assert_eq!(pod(|pod| pod["metadata"]["resourceVersion"] = json!("2")), same);
        assert_eq!(pod(|pod| pod["status"]["conditions"][0]["lastProbeTime"] = json!("now")), same);
        assert_eq!(pod(|pod| pod["spec"]["ephemeralContainers"] = json!([{"name": "debug"}])), same);
    }

    #[test]
    fn user_visible_change_invalidates_the_verdict() {
        let before = pod(|_| {});
        for (pointer, value) in [
            ("/metadata/uid", json!("other")),
            ("/metadata/deletionTimestamp", json!("now")),
            ("/status/podIP", json!("10.0.0.2")),
            ("/status/conditions/0/status", json!("False")),
            ("/status/containerStatuses/0/restartCount", json!(1)),
        ] {
            let after = pod(|pod| {
                let (parent, key) = pointer.rsplit_once('/').unwrap();
                pod.pointer_mut(parent).unwrap()[key] = value.clone();
            });
            assert_ne!(after, before, "{pointer}");
        }
        let service = |port| essence("Service", json!({"metadata": {"uid": "u"}, "spec": {"port": port}}));
        assert_ne!(service(1), service(2));
    }
}
