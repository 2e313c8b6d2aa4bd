//! Which pods are members: those whose owner references lead to the object's UID.
//!
//! ```text
//!   pod ─▶ StatefulSet or Job ─▶ the object
//!   pod ─▶ ReplicaSet ─▶ Deployment ─▶ the object
//! ```
//!
//! Labels find pods and prove nothing: a debugging copy has them, and so has any pod that a user starts with them. A pod that is
//! no member is invisible to a component: it blocks nothing, and receives no request and no password.
//!
//! The controller of a `StatefulSet` adopts any pod without a controller that is named like one of its own, and deletes it if its
//! ordinal is beyond the replicas. Nothing in an adopted pod proves that it is foreign: whoever creates it chooses its labels,
//! annotations and field managers. So only the pods that a set should have are [members](Children::pods_of): their names are taken
//! by the real ones. Of the [others](Children::surplus_of), only the existence counts.
//!
//! A pod of ours may be without a controller for a moment, while its set is recreated and its dependents are orphaned. It is no
//! member then, but not foreign either: see [`Children::orphans`].

use std::{collections::HashSet, sync::Arc};

use k8s_openapi::{
    api::{apps::v1::StatefulSet, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::{Children, Packed};
use crate::number;

/// Pods.
const POD: &str = "Pod";
/// The kind between a Deployment and its pods.
pub(crate) const REPLICA_SET: &str = "ReplicaSet";
/// The workloads that a controller of the stack creates.
const WORKLOADS: [&str; 3] = ["Deployment", "Job", "StatefulSet"];

/// Whether the controller of objects of that kind matters.
pub(super) fn matters(kind: &str) -> bool {
    kind == POD || kind == REPLICA_SET || WORKLOADS.contains(&kind)
}

/// Whether only the ownership of an object is kept: pods that are no members must not increase the memory of the process, and
/// nothing else of a `ReplicaSet` is read.
pub(super) fn is_reduced(kind: &str, metadata: &ObjectMeta) -> bool {
    kind == REPLICA_SET || (kind == POD && controller(metadata).is_none())
}

/// The UID of the object that controls another.
pub(crate) fn controller(metadata: &ObjectMeta) -> Option<&str> {
    let owners = metadata.owner_references.iter().flatten();
    owners.into_iter().find(|owner| owner.controller == Some(true)).map(|owner| owner.uid.as_str())
}

impl Children {
    /// The children of the object with that UID, of pods its members only.
    pub(super) fn of_owner(mut self, owner: &str) -> Self {
        let mut owners: HashSet<&str> = HashSet::from([owner]);
        let mut others = Vec::new();
        for kinds in [&WORKLOADS[..], &[REPLICA_SET]] {
            let owned = self.iter().filter(|(kind, _, object)| kinds.contains(kind) && is_of(object, &owners));
            let owned: Vec<&str> = owned.map(|(_, _, object)| object.uid()).collect();
            owners.extend(owned);
        }
        // A pod with the custom resource itself as its controller was not created by a workload.
        owners.remove(owner);
        for (key, object) in self.all.iter().filter(|((kind, _), _)| **kind == *POD) {
            if !is_of(object, &owners) {
                others.push((key.clone(), object.clone()));
            }
        }
        if !others.is_empty() {
            let all = self.edit();
            for (key, _) in &others {
                all.remove(key);
            }
            let orphans = others.into_iter().filter(|(_, object)| object.controller().is_none());
            self.orphans = orphans.map(|(_, object)| object).collect::<Vec<Arc<Packed>>>().into();
        }
        self
    }

    /// The members of a set: its pods with an ordinal below its replicas, and below the maximum.
    pub fn pods_of(&self, set: &str, most: i32) -> Vec<Pod> {
        let replicas = self.replicas_of(set, most);
        self.named_like(set, most, |ordinal| ordinal < replicas)
    }

    /// The pods of a set beyond its replicas, with an ordinal below the maximum: former members that are ending, and foreign pods
    /// that the set's controller has adopted. They are a reason to wait; they receive no request and no password, and their content
    /// is no evidence.
    pub fn surplus_of(&self, set: &str, most: i32) -> Vec<Pod> {
        let replicas = self.replicas_of(set, most);
        self.named_like(set, most, |ordinal| ordinal >= replicas)
    }

    fn replicas_of(&self, set: &str, most: i32) -> i32 {
        let set: Option<StatefulSet> = self.find(set);
        set.map_or(0, |set| number::replicas(set.spec.and_then(|spec| spec.replicas).unwrap_or(1), most))
    }

    fn named_like(&self, set: &str, most: i32, is_meant: impl Fn(i32) -> bool) -> Vec<Pod> {
        let mut pods: Vec<Pod> = self.all();
        pods.retain(|pod| number::ordinal(&pod.name_any(), set, most).is_some_and(&is_meant));
        pods
    }

    /// Pods with the object's labels that no controller owns, parsed: those of a set that is being recreated, and foreign ones.
    /// Only their names and shared secrets' numbers are known. They are a reason to wait, never to stop or to delete.
    pub(crate) fn orphans<K: Resource<DynamicType = ()> + DeserializeOwned>(&self) -> impl Iterator<Item = K> {
        self.orphans.iter().filter_map(|object| object.parse().ok())
    }
}

fn is_of(object: &Packed, owners: &HashSet<&str>) -> bool {
    object.controller().is_some_and(|controller| owners.contains(controller))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use kube::ResourceExt;
    use serde_json::{Value, json};

    use crate::{
        api::label,
        cache::{Arrived, Cache, Children, Instance},
    };

    fn instance() -> Instance {
        Instance { namespace: "n".to_owned(), name: "i".to_owned() }
    }

    fn object(name: &str, version: u32, controller: Option<&str>) -> Value {
        let owners =
            controller.map(|uid| json!([{"apiVersion": "", "kind": "", "name": "", "uid": uid, "controller": true}]));
        json!({
            "metadata": {
                "name": name, "namespace": "n", "uid": format!("{name}-uid"), "resourceVersion": version.to_string(),
                "labels": {label::INSTANCE: "i"},
                "ownerReferences": owners,
            },
        })
    }

    fn put(cache: &Cache, kind: &str, object: Value) -> bool {
        cache.put(kind, Arrived::new(object).unwrap())
    }

    fn pods(children: &Children) -> Vec<String> {
        children.all::<Pod>().iter().map(ResourceExt::name_any).collect()
    }

    #[test]
    fn labels_without_an_owner_make_no_member() {
        let cache = Cache::default();
        put(&cache, "StatefulSet", object("set", 1, Some("ours")));
        put(&cache, "StatefulSet", object("theirs", 1, Some("stranger")));
        put(&cache, "Pod", object("set-0", 1, Some("set-uid")));
        put(&cache, "Pod", object("dbg", 1, None));
        put(&cache, "Pod", object("theirs-0", 1, Some("theirs-uid")));
        put(&cache, "Pod", object("forged", 1, Some("ours")));
        let children = cache.children(&instance(), "ours");
        assert_eq!(pods(&children), ["set-0"]);
        assert_eq!(children.orphans::<Pod>().map(|pod| pod.name_any()).collect::<Vec<_>>(), ["dbg"]);
    }

    #[test]
    fn adopted_pod_beyond_the_replicas_is_no_member() {
        let cache = Cache::default();
        for name in ["set-0", "set-1", "set-2", "set-3", "set-2000000000", "set-01", "other-0"] {
            put(&cache, "Pod", object(name, 1, Some("set-uid")));
        }
        let names = |pods: Vec<Pod>| pods.iter().map(ResourceExt::name_any).collect::<Vec<_>>();
        for (version, replicas, most, members, surplus) in [
            (1, json!(2), 4, &["set-0", "set-1"][..], &["set-2", "set-3"][..]),
            (2, json!(null), 2, &["set-0"], &["set-1"]),
            (3, json!(2000), 3, &["set-0", "set-1", "set-2"], &[]),
            (4, json!(0), 2, &[], &["set-0", "set-1"]),
        ] {
            let mut set = object("set", version, Some("ours"));
            set["spec"] = json!({"replicas": replicas, "selector": {}, "template": {}});
            put(&cache, "StatefulSet", set);
            let children = cache.children(&instance(), "ours");
            assert_eq!(names(children.pods_of("set", most)), members, "{replicas}");
            assert_eq!(names(children.surplus_of("set", most)), surplus, "{replicas}");
        }
    }

    #[test]
    fn pod_of_our_deployment_is_a_member() {
        let cache = Cache::default();
        put(&cache, "Deployment", object("api", 1, Some("ours")));
        put(&cache, "ReplicaSet", object("api-1", 1, Some("api-uid")));
        put(&cache, "ReplicaSet", object("other-1", 1, Some("other-uid")));
        put(&cache, "Pod", object("api-1-x", 1, Some("api-1-uid")));
        put(&cache, "Pod", object("other-1-x", 1, Some("other-1-uid")));
        assert_eq!(pods(&cache.children(&instance(), "ours")), ["api-1-x"]);
    }

    #[test]
    fn pod_seen_before_its_set_becomes_a_member() {
        let cache = Cache::default();
        put(&cache, "Pod", object("set-0", 1, Some("set-uid")));
        assert!(pods(&cache.children(&instance(), "ours")).is_empty());
        assert_eq!(cache.children(&instance(), "ours").orphans::<Pod>().count(), 0);
        put(&cache, "StatefulSet", object("set", 2, Some("ours")));
        assert_eq!(pods(&cache.children(&instance(), "ours")), ["set-0"]);
    }

    #[test]
    fn adopted_orphan_becomes_a_member() {
        let cache = Cache::default();
        put(&cache, "StatefulSet", object("set", 1, Some("ours")));
        assert!(put(&cache, "Pod", object("set-0", 2, None)));
        assert!(
            !put(&cache, "Pod", object("set-0", 3, None)),
            "nothing of a stranger is news but its coming and going"
        );
        assert!(put(&cache, "Pod", object("set-0", 4, Some("set-uid"))));
        assert_eq!(pods(&cache.children(&instance(), "ours")), ["set-0"]);
    }

    #[test]
    fn pods_of_an_earlier_namesake_are_no_members() {
        let cache = Cache::default();
        put(&cache, "StatefulSet", object("set", 1, Some("earlier")));
        put(&cache, "Pod", object("set-0", 1, Some("set-uid")));
        assert!(pods(&cache.children(&instance(), "ours")).is_empty());
    }

    #[test]
    fn foreign_pod_takes_little_memory() {
        let mut large = object("dbg", 1, None);
        large["spec"] = json!({"x": "y".repeat(100_000)});
        large["metadata"]["annotations"] =
            json!({"note": "z".repeat(100_000), "temporal-stack.dev/shared-secret": "7"});
        let cache = Cache::default();
        put(&cache, "Pod", large);
        let children = cache.children(&instance(), "ours");
        let kept: Vec<Value> = children.orphans.iter().map(|pod| pod.value()).collect();
        assert!(kept[0].to_string().len() < 300, "{kept:?}");
        assert_eq!(crate::shared::of_pod(&children.orphans::<Pod>().next().unwrap()), Some(7));
    }
}
