//! What controllers are permitted, as the generated manifests in `deploy/rbac` say.

use std::{collections::BTreeSet, fmt};

use k8s_openapi::api::rbac::v1::PolicyRule;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Subject;

/// What a Role grants: a verb on a resource of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Permission {
    /// The verb.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural resource, with its subresource if there is one.
    pub resource: String,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(f, "{} {}{dot}{}", self.verb, self.resource, self.group)
    }
}

/// The rules of a controller in the namespaces that it serves, and about kinds that have no namespace.
pub fn rules<K: Subject>() -> Vec<PolicyRule> {
    rules_of::<K>("ClusterRole")
}

/// The rules of a controller for its Lease, in its own namespace.
pub fn lease_rules<K: Subject>() -> Vec<PolicyRule> {
    rules_of::<K>("Role")
}

/// Everything that a controller is permitted, each verb by itself.
pub fn permissions<K: Subject>() -> BTreeSet<Permission> {
    let mut all = BTreeSet::new();
    for rule in [rules::<K>(), lease_rules::<K>()].concat() {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    let (verb, group, resource) = (verb.clone(), group.clone(), resource.clone());
                    all.insert(Permission { verb, group, resource });
                }
            }
        }
    }
    all
}

fn rules_of<K: Subject>(kind: &str) -> Vec<PolicyRule> {
    let documents = K::RBAC.split("---\n").map(|text| serde_saphyr::from_str::<Value>(text).expect("generated YAML"));
    let mut role = documents.into_iter().find(|document| document["kind"] == kind).expect("a role of the controller");
    serde_json::from_value(role["rules"].take()).expect("rules of a role")
}
