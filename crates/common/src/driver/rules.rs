//! The permissions that a component needs, from what it says it does.

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::Resource;

use crate::component::Component;

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
    // Watched, and read where an object does not parse.
    grant(&group, &plural, &["get", "list", "watch"]);
    grant(&group, &format!("{plural}/status"), &["patch"]);
    grant("events.k8s.io", "events", &["create", "patch"]);
    // Why a workload of its own could not make a pod is in an event only.
    grant("", "events", &["list"]);
    // Configuration of users: watched by label and by name, and read by name.
    grant("", "configmaps", &["get", "list", "watch"]);
    grant("", "secrets", &["get", "list", "watch"]);
    for neighbour in C::neighbours() {
        grant(&neighbour.group, &neighbour.plural, &["list", "watch"]);
    }
    for child in C::children() {
        grant(&child.resource.group, &child.resource.plural, &["list", "watch"]);
        grant(&child.resource.group, &child.resource.plural, &child.verbs());
    }
    let own = verbs.into_iter().map(|((group, plural), verbs)| rule(&group, &plural, &verbs));
    own.chain(C::further_rules()).collect()
}

/// The rules for the Lease, in the namespace where the controller runs.
pub fn lease_rules() -> Vec<PolicyRule> {
    vec![rule("coordination.k8s.io", "leases", &["create", "get", "list", "update", "watch"])]
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
