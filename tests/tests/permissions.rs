//! What is granted is used, and nothing else is granted. Runs after `api`, whose controllers leave word of what they used.

use std::collections::BTreeSet;

use e2e::{
    Cluster,
    cluster::shared_folder,
    controller::{Permission, used_permissions},
};
use temporal_stack_common::driver::{lease_rules, rules};
use temporal_stack_database::Database;

/// What is granted and used only where there are nodes, or hardly ever, and why.
const ELSEWHERE: [(&str, &str); 2] = [
    ("delete secrets", "the Secret of a login is deleted after a rotation, which takes a server"),
    ("get leases.coordination.k8s.io", "read when a write to the Lease was overtaken by another"),
];

fn granted() -> BTreeSet<Permission> {
    let mut granted = BTreeSet::new();
    for rule in [rules::<Database>(), lease_rules()].concat() {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    let (verb, group, resource) = (verb.clone(), group.clone(), resource.clone());
                    granted.insert(Permission { verb, group, resource });
                }
            }
        }
    }
    granted
}

#[tokio::test]
async fn what_is_granted_is_used_and_nothing_else_is() {
    let client = Cluster::api().unwrap().client().await.unwrap();
    let used = used_permissions(&shared_folder(&client).await.unwrap()).unwrap();
    let granted = granted();
    let allowed = |permission: &&Permission| ELSEWHERE.iter().any(|(name, _)| permission.to_string() == *name);
    let unused: Vec<String> =
        granted.difference(&used).filter(|permission| !allowed(permission)).map(ToString::to_string).collect();
    let ungranted: Vec<String> = used.difference(&granted).map(ToString::to_string).collect();
    println!("{} granted, {} used", granted.len(), used.len());
    assert!(ungranted.is_empty(), "used and not granted: {ungranted:?}");
    assert!(unused.is_empty(), "granted and never used: {unused:?}; take them away, or say above why they stay");
}

#[test]
fn what_is_excused_is_granted() {
    let granted: BTreeSet<String> = granted().iter().map(ToString::to_string).collect();
    for (name, why) in ELSEWHERE {
        assert!(granted.contains(name), "{name} is not granted, so `{why}` excuses nothing");
    }
}
