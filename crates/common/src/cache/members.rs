//! Which pods are members: those whose owner references lead to the object's UID.
//!
//! ```text
//!   pod ─▶ StatefulSet or Job ─▶ the object
//!   pod ─▶ ReplicaSet ─▶ Deployment ─▶ the object
//! ```
//!
//! Labels find pods and prove nothing: a copy made for debugging has them, and so has anything that a user starts with them. A pod
//! that is no member is invisible to a component: it holds nothing up, is asked nothing, and is sent no password.
//!
//! A pod of ours may be without a controller for a moment, while its set is remade and its dependents are orphaned. It is no
//! member then, and no stranger either: see [`Children::orphans`].

use std::{collections::HashSet, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::DeserializeOwned;

use super::{Children, Packed};

/// Pods.
const POD: &str = "Pod";
/// What stands between a Deployment and its pods.
pub(crate) const REPLICA_SET: &str = "ReplicaSet";
/// What a controller of the stack makes for pods to come of it.
const WORKLOADS: [&str; 3] = ["Deployment", "Job", "StatefulSet"];

/// Whether it matters what controls objects of that kind.
pub(super) fn matters(kind: &str) -> bool {
    kind == POD || kind == REPLICA_SET || WORKLOADS.contains(&kind)
}

/// Whether nothing of an object is kept but whose it is: a tenant must not set how much the process holds by pods that are no
/// members, and of a `ReplicaSet` nothing else is read.
pub(super) fn is_reduced(kind: &str, metadata: &ObjectMeta) -> bool {
    let has_controller = || metadata.owner_references.iter().flatten().any(|owner| owner.controller == Some(true));
    kind == REPLICA_SET || (kind == POD && !has_controller())
}

impl Children {
    /// The children of the object with that UID, of pods its members only.
    pub(super) fn of_owner(mut self, owner: &str) -> Self {
        let mut owners: HashSet<&str> = HashSet::from([owner]);
        let mut strangers = Vec::new();
        for kinds in [&WORKLOADS[..], &[REPLICA_SET]] {
            let owned = self.iter().filter(|(kind, _, object)| kinds.contains(kind) && is_of(object, &owners));
            let owned: Vec<&str> = owned.map(|(_, _, object)| object.uid()).collect();
            owners.extend(owned);
        }
        // A pod that names the custom resource itself as its controller was made by no workload.
        owners.remove(owner);
        for (key, object) in self.all.iter().filter(|((kind, _), _)| **kind == *POD) {
            if !is_of(object, &owners) {
                strangers.push((key.clone(), object.clone()));
            }
        }
        if !strangers.is_empty() {
            let all = self.edit();
            for (key, _) in &strangers {
                all.remove(key);
            }
            let orphans = strangers.into_iter().filter(|(_, object)| object.controller().is_none());
            self.orphans = orphans.map(|(_, object)| object).collect::<Vec<Arc<Packed>>>().into();
        }
        self
    }

    /// Pods with the object's labels that no controller owns, parsed: those of a set that is being remade, and strangers. Of
    /// each only its name and its shared secret's number are known. They are a reason to wait, never a reason to stop or to delete.
    pub fn orphans<K: Resource<DynamicType = ()> + DeserializeOwned>(&self) -> impl Iterator<Item = K> {
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
    fn a_replica_set_of_our_deployment_leads_to_us() {
        let cache = Cache::default();
        put(&cache, "Deployment", object("api", 1, Some("ours")));
        put(&cache, "ReplicaSet", object("api-1", 1, Some("api-uid")));
        put(&cache, "ReplicaSet", object("other-1", 1, Some("other-uid")));
        put(&cache, "Pod", object("api-1-x", 1, Some("api-1-uid")));
        put(&cache, "Pod", object("other-1-x", 1, Some("other-1-uid")));
        assert_eq!(pods(&cache.children(&instance(), "ours")), ["api-1-x"]);
    }

    #[test]
    fn a_pod_that_comes_before_its_set_is_a_member_later() {
        let cache = Cache::default();
        put(&cache, "Pod", object("set-0", 1, Some("set-uid")));
        assert!(pods(&cache.children(&instance(), "ours")).is_empty());
        assert_eq!(cache.children(&instance(), "ours").orphans::<Pod>().count(), 0);
        put(&cache, "StatefulSet", object("set", 2, Some("ours")));
        assert_eq!(pods(&cache.children(&instance(), "ours")), ["set-0"]);
    }

    #[test]
    fn an_adopted_orphan_is_news_and_a_member() {
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
    fn pods_of_an_earlier_object_of_the_name_are_no_members() {
        let cache = Cache::default();
        put(&cache, "StatefulSet", object("set", 1, Some("earlier")));
        put(&cache, "Pod", object("set-0", 1, Some("set-uid")));
        assert!(pods(&cache.children(&instance(), "ours")).is_empty());
    }

    #[test]
    fn a_strangers_pod_takes_little_memory() {
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
