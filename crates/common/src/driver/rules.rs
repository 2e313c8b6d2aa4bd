//! The permissions that a component needs, derived from its watches.

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::Resource;

use crate::component::Component;

/// Groups without namespaced kinds among those that rules name.
const CLUSTER_WIDE_GROUPS: [&str; 3] = ["admissionregistration.k8s.io", "apiextensions.k8s.io", "storage.k8s.io"];
/// The kinds of the core group without a namespace that rules name.
const CLUSTER_WIDE_KINDS: [&str; 3] = ["namespaces", "nodes", "persistentvolumes"];

/// The rules of the component's `ClusterRole`, or of a `Role` in each namespace that it serves.
pub fn rules<C: Component>() -> Vec<PolicyRule> {
    let group = C::Kind::group(&()).into_owned();
    let plural = C::Kind::plural(&()).into_owned();
    let mut verbs: BTreeMap<(String, String), Vec<&'static str>> = BTreeMap::new();
    let mut grant = |group: &str, plural: &str, more: &[&'static str]| {
        let granted = verbs.entry((group.to_owned(), plural.to_owned())).or_default();
        granted.extend(more);
        granted.sort_unstable();
        granted.dedup();
    };
    // Watched, and read if an object does not parse.
    grant(&group, &plural, &["get", "list", "watch"]);
    grant(&group, &format!("{plural}/status"), &["patch"]);
    if C::REMAINS {
        // The finalizer.
        grant(&group, &plural, &["patch"]);
    }
    grant("events.k8s.io", "events", &["create", "patch"]);
    // The reason why a workload could not create a pod is only in an event.
    grant("", "events", &["list"]);
    let watches = C::watches();
    if watches.is_configured {
        // Configuration of users: watched by label and by name, and read by name.
        grant("", "configmaps", &["get", "list", "watch"]);
        grant("", "secrets", &["get", "list", "watch"]);
    }
    for neighbour in &watches.neighbours {
        grant(&neighbour.group, &neighbour.plural, &["list", "watch"]);
    }
    for kind in &watches.elsewhere {
        grant(&kind.group, &kind.plural, &["get"]);
    }
    for surrounding in &watches.surroundings {
        grant(&surrounding.resource.group, &surrounding.resource.plural, &["list", "watch"]);
    }
    for kind in &watches.touched {
        grant(&kind.group, &kind.plural, &["patch"]);
    }
    for child in &watches.children {
        grant(&child.resource.group, &child.resource.plural, &["list", "watch"]);
        grant(&child.resource.group, &child.resource.plural, child.relation.verbs());
    }
    if watches.children.iter().any(|child| child.resource.kind == "PersistentVolumeClaim") {
        // The reason why a claim is not bound.
        grant("storage.k8s.io", "storageclasses", &["list"]);
        grant("", "persistentvolumes", &["list"]);
    }
    verbs.into_iter().map(|((group, plural), verbs)| rule(&group, &plural, &verbs)).collect()
}

/// The rules for the Lease, in the namespace where the controller runs.
pub fn lease_rules() -> Vec<PolicyRule> {
    vec![rule("coordination.k8s.io", "leases", &["create", "get", "list", "update", "watch"])]
}

/// Whether a rule of a controller is about a kind without a namespace, which only a `ClusterRole` can grant.
pub fn is_cluster_wide(rule: &PolicyRule) -> bool {
    let mut groups = rule.api_groups.iter().flatten();
    let mut resources = rule.resources.iter().flatten();
    groups.any(|group| CLUSTER_WIDE_GROUPS.contains(&group.as_str()))
        || resources.any(|resource| CLUSTER_WIDE_KINDS.contains(&resource.as_str()))
}

/// A rule about one kind.
pub fn rule(group: &str, plural: &str, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(vec![plural.to_owned()]),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_without_a_namespace_need_a_cluster_role() {
        for (group, plural) in [("", "nodes"), ("", "persistentvolumes"), ("storage.k8s.io", "storageclasses")] {
            assert!(is_cluster_wide(&rule(group, plural, &["list"])), "{plural}");
        }
        for (group, plural) in [("", "pods"), ("", "persistentvolumeclaims"), ("temporal-stack.dev", "meshes")] {
            assert!(!is_cluster_wide(&rule(group, plural, &["list"])), "{plural}");
        }
    }
}
