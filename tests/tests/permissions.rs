//! What is granted is used, nothing else is granted, and no controller asks for another one's kind, but for Temporal's, which
//! watches those that it refers to. Runs after `api`, whose controllers leave word of what they used.

use std::collections::BTreeSet;

use anyhow::Result;
use e2e::{
    Cluster, Subject,
    cluster::shared_folder,
    controller::used_permissions,
    rbac::{Permission, permissions},
};
use temporal_stack_common::api::{GROUP, IpfsCluster, Mesh, MessageQueue, ObjectStorage, PostgresDatabase, Temporal};

/// What is granted and used only where there are nodes, or hardly ever, and why.
type Elsewhere = &'static [(&'static str, &'static str)];

const LEASE: (&str, &str) =
    ("get leases.coordination.k8s.io", "read when a write to the Lease was overtaken by another");
const POLICY: (&str, &str) = (
    "get networkpolicies.networking.k8s.io",
    "read when one of that name exists that the watch has not shown, which the tests do with other kinds",
);
const ACCOUNT: (&str, &str) = (
    "get serviceaccounts",
    "read when one of that name exists that the watch has not shown, which the tests do with other kinds",
);
const ACCOUNT_EDITED: (&str, &str) =
    ("patch serviceaccounts", "written when somebody has edited it, which the tests do with other kinds");
const DATABASE: Elsewhere = &[
    ("create jobs.batch", "the Job that moves data is made when both servers answer"),
    ("delete jobs.batch", "the same"),
    ("get jobs.batch", "the same"),
    ("patch jobs.batch", "the same"),
    ACCOUNT,
    ACCOUNT_EDITED,
    POLICY,
    LEASE,
];
const QUEUE: Elsewhere = &[
    (
        "delete persistentvolumeclaims",
        "the volume of a node that has left goes under Delete, when the cluster has been asked",
    ),
    ACCOUNT,
    ACCOUNT_EDITED,
    POLICY,
    LEASE,
];
const IPFS: Elsewhere = &[
    (
        "delete persistentvolumeclaims",
        "the volume of a peer that has left goes under Delete, when the pins have been looked through",
    ),
    ACCOUNT,
    ACCOUNT_EDITED,
    LEASE,
];
const STORAGE: Elsewhere = &[
    ("delete secrets", "the Secret of a login is deleted after a rotation, which takes a server"),
    ("create poddisruptionbudgets.policy", "several servers have one, and the tests here run a single one"),
    ("get poddisruptionbudgets.policy", "the same"),
    ("patch poddisruptionbudgets.policy", "the same"),
    ("delete poddisruptionbudgets.policy", "the same, when the provider changes before there are data"),
    ("delete serviceaccounts", "goes with the engine when the provider changes before there are data"),
    ("delete services", "the same"),
    ("delete networkpolicies.networking.k8s.io", "the same"),
    ACCOUNT,
    ACCOUNT_EDITED,
    POLICY,
    LEASE,
];

const TEMPORAL: Elsewhere = &[
    ("delete serviceaccounts", "goes when the user names an existing one, and no template that waits uses it"),
    ACCOUNT,
    ACCOUNT_EDITED,
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

const MESH: Elsewhere = &[
    ("patch postgresdatabases.temporal-stack.dev", "written when its pods are restarted or injected, which takes pods"),
    ("patch messagequeues.temporal-stack.dev", "the same"),
    ("patch ipfsclusters.temporal-stack.dev", "the same"),
    ("patch objectstorages.temporal-stack.dev", "the same"),
    ("patch temporals.temporal-stack.dev", "the same"),
    ("get namespaces", "read where the controller may not watch namespaces, as with a Role"),
    ("list events", "read when a child can make no pod, and a Mesh has no such child"),
    ("get meshes.temporal-stack.dev", "read when an object does not parse, which the tests do with other kinds"),
    ("get authorizationpolicies.policy.linkerd.io", "read when one of that name exists that the watch has not shown"),
    ("get meshtlsauthentications.policy.linkerd.io", "the same"),
    ("get networkauthentications.policy.linkerd.io", "the same"),
    ("get httproutes.gateway.networking.k8s.io", "the same"),
    (
        "patch authorizationpolicies.policy.linkerd.io",
        "written when somebody has edited it, which the tests do with Servers",
    ),
    ("patch meshtlsauthentications.policy.linkerd.io", "the same"),
    ("patch httproutes.gateway.networking.k8s.io", "the same"),
    ("delete httproutes.gateway.networking.k8s.io", "deleted when routes are turned off"),
    LEASE,
];

/// What a controller asks for that the user has to grant, and why.
const ISSUER: Elsewhere =
    &[("get secrets", "the issuer of Linkerd, whose expiry is reported if issuer.yaml is applied in its namespace")];

/// Whether a permission is about another controller's kind.
fn is_siblings<K: Subject>(permission: &Permission) -> bool {
    permission.group == GROUP && permission.resource.split('/').next() != Some(&*K::plural(&()))
}

/// The permissions about other controllers' kinds, in words.
fn about_siblings<K: Subject>() -> Vec<String> {
    permissions::<K>().iter().filter(|granted| is_siblings::<K>(granted)).map(ToString::to_string).collect()
}

#[test]
fn only_temporal_and_the_mesh_read_other_kinds_and_the_mesh_annotates_them() {
    assert!(about_siblings::<PostgresDatabase>().is_empty());
    assert!(about_siblings::<MessageQueue>().is_empty());
    assert!(about_siblings::<IpfsCluster>().is_empty());
    assert!(about_siblings::<ObjectStorage>().is_empty());
    let mut expected = Vec::new();
    for verb in ["list", "watch"] {
        for kind in ["ipfsclusters", "messagequeues", "postgresdatabases"] {
            expected.push(format!("{verb} {kind}.{GROUP}"));
        }
    }
    assert_eq!(about_siblings::<Temporal>(), expected);
    let mut expected = Vec::new();
    for verb in ["list", "patch", "watch"] {
        for kind in ["ipfsclusters", "messagequeues", "objectstorages", "postgresdatabases", "temporals"] {
            expected.push(format!("{verb} {kind}.{GROUP}"));
        }
    }
    assert_eq!(about_siblings::<Mesh>(), expected);
}

async fn is_used<K: Subject>(elsewhere: Elsewhere, optional: Elsewhere) -> Result<()> {
    let client = Cluster::api()?.client().await?;
    let used = used_permissions::<K>(&shared_folder(&client).await?)?;
    let granted = permissions::<K>();
    let is_of = |list: Elsewhere, permission: &Permission| list.iter().any(|(name, _)| permission.to_string() == *name);
    let unused = granted.difference(&used).filter(|permission| !is_of(elsewhere, permission));
    let unused: Vec<String> = unused.map(ToString::to_string).collect();
    let ungranted = used.difference(&granted).filter(|permission| !is_of(optional, permission));
    let ungranted: Vec<String> = ungranted.map(ToString::to_string).collect();
    let siblings: Vec<&Permission> =
        used.difference(&granted).filter(|permission| is_siblings::<K>(permission)).collect();
    println!("{}: {} granted, {} used", K::PROGRAM, granted.len(), used.len());
    assert!(siblings.is_empty(), "asked for another controller's kind: {siblings:?}");
    assert!(ungranted.is_empty(), "used and not granted: {ungranted:?}");
    assert!(unused.is_empty(), "granted and never used: {unused:?}; take them away, or say above why they stay");
    Ok(())
}

fn is_granted<K: Subject>(elsewhere: Elsewhere) {
    let granted: BTreeSet<String> = permissions::<K>().iter().map(ToString::to_string).collect();
    for (name, why) in elsewhere {
        assert!(granted.contains(*name), "{name} is not granted to {}, so `{why}` excuses nothing", K::PROGRAM);
    }
}

#[tokio::test]
async fn database_controller_uses_exactly_its_permissions() -> Result<()> {
    is_used::<PostgresDatabase>(DATABASE, &[]).await
}

#[tokio::test]
async fn queue_controller_uses_exactly_its_permissions() -> Result<()> {
    is_used::<MessageQueue>(QUEUE, &[]).await
}

#[tokio::test]
async fn ipfs_controller_uses_exactly_its_permissions() -> Result<()> {
    is_used::<IpfsCluster>(IPFS, &[]).await
}

#[tokio::test]
async fn storage_controller_uses_exactly_its_permissions() -> Result<()> {
    is_used::<ObjectStorage>(STORAGE, &[]).await
}

#[tokio::test]
async fn mesh_controller_uses_exactly_its_permissions() -> Result<()> {
    is_used::<Mesh>(MESH, ISSUER).await
}

#[tokio::test]
async fn temporal_controller_uses_exactly_its_permissions() -> Result<()> {
    is_used::<Temporal>(TEMPORAL, &[]).await
}

#[test]
fn excused_permissions_are_granted() {
    is_granted::<PostgresDatabase>(DATABASE);
    is_granted::<MessageQueue>(QUEUE);
    is_granted::<IpfsCluster>(IPFS);
    is_granted::<ObjectStorage>(STORAGE);
    is_granted::<Mesh>(MESH);
    is_granted::<Temporal>(TEMPORAL);
}
