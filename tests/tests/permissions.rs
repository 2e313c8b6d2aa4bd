//! What is granted is used, nothing else is granted, and no controller asks for another one's kind, but for Temporal's, which
//! watches those that it refers to. Runs after `api`, whose controllers leave word of what they used.

use std::collections::BTreeSet;

use anyhow::Result;
use e2e::{
    Cluster, Subject,
    cluster::shared_folder,
    controller::{Permission, used_permissions},
};
use temporal_stack_common::{
    api::{GROUP, IpfsCluster, MessageQueue, PostgresDatabase, Temporal},
    component::Component as _,
    driver::{lease_rules, rules},
};

/// What is granted and used only where there are nodes, or hardly ever, and why.
type Elsewhere = &'static [(&'static str, &'static str)];

const LEASE: (&str, &str) =
    ("get leases.coordination.k8s.io", "read when a write to the Lease was overtaken by another");
const POLICY: (&str, &str) = (
    "get networkpolicies.networking.k8s.io",
    "read when one of that name exists that the watch has not shown, which the tests do with other kinds",
);
const DATABASE: Elsewhere =
    &[("delete secrets", "the Secret of a login is deleted after a rotation, which takes a server"), POLICY, LEASE];
const QUEUE: Elsewhere = &[
    (
        "delete persistentvolumeclaims",
        "the volume of a node that has left goes under Delete, when the cluster has been asked",
    ),
    POLICY,
    LEASE,
];
const IPFS: Elsewhere = &[
    (
        "delete persistentvolumeclaims",
        "the volume of a peer that has left goes under Delete, when the pins have been looked through",
    ),
    LEASE,
];

const TEMPORAL: Elsewhere = &[
    ("create jobs.batch", "the tables are made when the broker has answered"),
    (
        "get jobs.batch",
        "read when one of that name is there that belongs to somebody else, and that is tried after the same",
    ),
    (
        "patch jobs.batch",
        "whose it is, is set when another has made it, and it is looked at after the broker has answered",
    ),
    ("delete jobs.batch", "the run of an image before goes when the broker has answered and another is due"),
    ("create statefulsets.apps", "the key server is made when the tables are there"),
    ("get statefulsets.apps", "read when one of that name is there that belongs to somebody else, after the same"),
    ("create deployments.apps", "workers and API are made when the key server answers"),
    ("get deployments.apps", "read when one of that name is there that belongs to somebody else, after the same"),
    ("list events", "read when a part can make no pod, and the first part is made when the broker has answered"),
    ("list persistentvolumes", "read when the class that is named is no StorageClass, which its siblings' tests do"),
    ("delete pods", "the key server's pod is restarted when its template is another, which takes one that ran"),
    LEASE,
];

/// Whether a controller may ask for that of another one's kind: only to read, and only of one that its own refers to.
fn is_neighbours<K: Subject>(used: &Permission) -> bool {
    let is_read = ["list", "watch"].contains(&used.verb.as_str());
    is_read && K::Component::neighbours().iter().any(|kind| kind.group == used.group && kind.plural == used.resource)
}

#[test]
fn temporal_alone_refers_to_other_kinds() {
    assert!(<PostgresDatabase as Subject>::Component::neighbours().is_empty());
    assert!(<MessageQueue as Subject>::Component::neighbours().is_empty());
    assert!(<IpfsCluster as Subject>::Component::neighbours().is_empty());
    let mut referred: Vec<String> =
        <Temporal as Subject>::Component::neighbours().into_iter().map(|kind| kind.kind).collect();
    referred.sort_unstable();
    assert_eq!(referred, ["IpfsCluster", "MessageQueue", "PostgresDatabase"]);
}

fn granted<K: Subject>() -> BTreeSet<Permission> {
    let mut granted = BTreeSet::new();
    for rule in [rules::<K::Component>(), lease_rules()].concat() {
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

async fn is_used<K: Subject>(elsewhere: Elsewhere) -> Result<()> {
    let client = Cluster::api()?.client().await?;
    let used = used_permissions::<K>(&shared_folder(&client).await?)?;
    let granted = granted::<K>();
    let allowed = |permission: &&Permission| elsewhere.iter().any(|(name, _)| permission.to_string() == *name);
    let unused: Vec<String> =
        granted.difference(&used).filter(|permission| !allowed(permission)).map(ToString::to_string).collect();
    let ungranted: Vec<String> = used.difference(&granted).map(ToString::to_string).collect();
    let siblings: Vec<&Permission> = used
        .iter()
        .filter(|used| used.group == GROUP && used.resource.split('/').next() != Some(&*K::plural(&())))
        .filter(|used| !is_neighbours::<K>(used))
        .collect();
    println!("{}: {} granted, {} used", K::PROGRAM, granted.len(), used.len());
    assert!(siblings.is_empty(), "asked for another controller's kind: {siblings:?}");
    assert!(ungranted.is_empty(), "used and not granted: {ungranted:?}");
    assert!(unused.is_empty(), "granted and never used: {unused:?}; take them away, or say above why they stay");
    Ok(())
}

fn is_granted<K: Subject>(elsewhere: Elsewhere) {
    let granted: BTreeSet<String> = granted::<K>().iter().map(ToString::to_string).collect();
    for (name, why) in elsewhere {
        assert!(granted.contains(*name), "{name} is not granted to {}, so `{why}` excuses nothing", K::PROGRAM);
    }
}

#[tokio::test]
async fn what_is_granted_to_the_database_controller_is_used_and_nothing_else_is() -> Result<()> {
    is_used::<PostgresDatabase>(DATABASE).await
}

#[tokio::test]
async fn what_is_granted_to_the_queue_controller_is_used_and_nothing_else_is() -> Result<()> {
    is_used::<MessageQueue>(QUEUE).await
}

#[tokio::test]
async fn what_is_granted_to_the_ipfs_controller_is_used_and_nothing_else_is() -> Result<()> {
    is_used::<IpfsCluster>(IPFS).await
}

#[tokio::test]
async fn what_is_granted_to_the_temporal_controller_is_used_and_nothing_else_is() -> Result<()> {
    is_used::<Temporal>(TEMPORAL).await
}

#[test]
fn what_is_excused_is_granted() {
    is_granted::<PostgresDatabase>(DATABASE);
    is_granted::<MessageQueue>(QUEUE);
    is_granted::<IpfsCluster>(IPFS);
    is_granted::<Temporal>(TEMPORAL);
}
