//! The exact set of policies that the API server holds, for the whole stack and for parts of it.
//!
//! The expected sets are text: a line for each object, which says what it is about. The controllers' pods are played, with fixed
//! addresses; nodes and pods of components there are none.

use std::{collections::BTreeMap, net::Ipv4Addr};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Controller, Identity, One, Space, Subject,
    linkerd::{self, Shared},
    prepare::api_server,
    subject::NAME,
    with_namespace,
};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use temporal_stack_common::api::{IpfsCluster, Mesh, MessageQueue, ObjectStorage, PostgresDatabase, Temporal};

use super::Meshes;

/// The policies of a database, a queue, peers, an object storage, and Temporal, which refers to the first three.
const WHOLE: &str = include_str!("../../../fixtures/mesh/whole.txt");
/// Those of a database and Temporal.
const HALF: &str = include_str!("../../../fixtures/mesh/half.txt");
/// Those that come with a queue.
const QUEUE: &str = include_str!("../../../fixtures/mesh/queue.txt");
/// The kinds of policies.
const KINDS: [(&str, &str); 4] = [
    ("v1beta3", "Server"),
    ("v1alpha1", "AuthorizationPolicy"),
    ("v1alpha1", "MeshTLSAuthentication"),
    ("v1alpha1", "NetworkAuthentication"),
];

/// `Kind/name` of each policy, with the object.
pub(super) type Found = BTreeMap<String, DynamicObject>;

/// The policies of the namespace.
pub(super) async fn found(space: &Space) -> Result<Found> {
    let mut all = Found::new();
    for (version, kind) in KINDS {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("policy.linkerd.io", version, kind));
        let api: Api<DynamicObject> = Api::namespaced_with(space.client.clone(), &space.name, &resource);
        let objects = api.list(&ListParams::default()).await?.items;
        all.extend(objects.into_iter().map(|object| (format!("{kind}/{}", object.name_any()), object)));
    }
    Ok(all)
}

/// Identity and version of each policy.
fn versions(found: &Found) -> BTreeMap<&str, (Option<String>, Option<String>)> {
    found.iter().map(|(name, object)| (name.as_str(), (object.uid(), object.resource_version()))).collect()
}

/// A line for each policy, sorted.
fn lines(found: &Found) -> Vec<String> {
    let mut lines: Vec<String> =
        found.iter().map(|(name, object)| format!("{name}: {}", described(name, object))).collect();
    lines.sort();
    lines
}

fn described(name: &str, object: &DynamicObject) -> String {
    let spec = &object.data["spec"];
    let (kind, _) = name.split_once('/').unwrap_or_default();
    let referred = |list: &Value, between: &str| {
        let all = list.as_array().into_iter().flatten();
        let names = all.map(|one| format!("{}/{}", text(&one["kind"]), text(&one["name"])));
        names.collect::<Vec<_>>().join(between)
    };
    match kind {
        "Server" => {
            let labels = spec["podSelector"]["matchLabels"].as_object().into_iter().flatten();
            let labels = labels.map(|(key, value)| {
                let (_, key) = key.rsplit_once('/').unwrap_or(("", key));
                format!("{key}={}", text(value))
            });
            let labels = labels.collect::<Vec<_>>().join(",");
            let fields = ["port", "proxyProtocol", "accessPolicy"].map(|field| text(&spec[field]));
            format!("{} {labels}", fields.join(" "))
        }
        "AuthorizationPolicy" => {
            let target = referred(&json!([spec["targetRef"]]), "");
            format!("{target} from {}", referred(&spec["requiredAuthenticationRefs"], " and "))
        }
        "MeshTLSAuthentication" => referred(&spec["identityRefs"], " "),
        _ => {
            let networks = spec["networks"].as_array().into_iter().flatten();
            networks.map(|network| text(&network["cidr"])).collect::<Vec<_>>().join(" ")
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Waits until the policies are these, and returns them.
async fn become_exactly(space: &Space, what: &str, expected: &[String]) -> Result<Found> {
    let mut last = Found::new();
    let reached = e2e::turns(what, async || {
        last = found(space).await?;
        Ok(lines(&last) == expected)
    })
    .await;
    reached.with_context(|| difference(expected, &lines(&last)))?;
    Ok(last)
}

/// The lines of one list that are not in the other.
fn difference(expected: &[String], found: &[String]) -> String {
    let missing = expected.iter().filter(|line| !found.contains(line)).map(|line| format!("- {line}\n"));
    let surplus = found.iter().filter(|line| !expected.contains(line)).map(|line| format!("+ {line}\n"));
    missing.chain(surplus).collect()
}

fn expected(parts: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = parts.iter().flat_map(|part| part.lines()).map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A pod of a controller, which has no address yet.
pub(super) async fn play(home: &Space, program: &str, name: &str) -> Result<()> {
    let labels = json!({"app.kubernetes.io/name": program, "app.kubernetes.io/part-of": "temporal-stack"});
    let container = json!({"name": program, "image": "registry.invalid/controller:0"});
    let metadata = json!({"name": name, "labels": labels});
    let pod: Pod = serde_json::from_value(json!({"metadata": metadata, "spec": {"containers": [container]}}))?;
    home.api::<Pod>().create(&PostParams::default(), &pod).await?;
    Ok(())
}

/// A pod of each controller, with the address that the expected sets have.
async fn controllers(home: &Space) -> Result<()> {
    let programs = [
        PostgresDatabase::PROGRAM,
        MessageQueue::PROGRAM,
        IpfsCluster::PROGRAM,
        ObjectStorage::PROGRAM,
        Temporal::PROGRAM,
    ];
    // The API server refuses pods until their account exists.
    e2e::until(&home.api::<ServiceAccount>(), "default", "been made", |_| true).await?;
    for (address, program) in (11..).zip(programs) {
        play(home, program, program).await?;
        linkerd::runs_at(home, program, Ipv4Addr::new(192, 0, 2, address).into()).await?;
    }
    Ok(())
}

/// The mesh controller, beside played pods of the others.
pub(super) struct Played<'a> {
    /// The namespace of all controllers.
    pub(super) home: &'a Space,
    pub(super) identity: &'a Identity,
    pub(super) controller: Controller,
}

/// Runs a test with a controller whose namespace has a pod of each controller.
pub(super) async fn with_controllers(test: impl AsyncFnOnce(&Meshes<'_>, Played<'_>) -> Result<()>) {
    let cluster = api_server().await.expect("an API server");
    let _linkerd: Shared = linkerd::shared(&cluster).await.expect("Linkerd");
    with_namespace(&cluster, async |home| {
        controllers(home).await?;
        let identity = Identity::of_cluster::<Mesh>(home).await?.at_home();
        with_namespace(&cluster, async |space| {
            let controller = Controller::start_as(space, &identity).await?;
            controller.leads().await?;
            test(&space.one(), Played { home, identity: &identity, controller }).await
        })
        .await;
        Ok(())
    })
    .await;
}

async fn create<K: Subject>(space: &Space, spec: &Value) -> Result<()> {
    let one: One<'_, K> = space.one();
    one.create(spec).await.map(drop)
}

/// Temporal with its references, whether what they name exists or not.
fn temporal() -> Value {
    let reference = json!({"name": NAME});
    json!({"database": reference, "queue": reference, "ipfs": reference})
}

#[tokio::test]
async fn whole_stack_has_exactly_these_policies() {
    with_controllers(async |mesh, _played| {
        let empty = json!({});
        create::<PostgresDatabase>(mesh, &empty).await?;
        create::<MessageQueue>(mesh, &empty).await?;
        create::<IpfsCluster>(mesh, &empty).await?;
        create::<ObjectStorage>(mesh, &json!({"provider": {"minio": {}}})).await?;
        create::<Temporal>(mesh, &temporal()).await?;
        mesh.create(&json!({"policy": "Audit"})).await?;
        become_exactly(mesh, "the policies of the whole stack", &expected(&[WHOLE])).await?;

        mesh.patch(&json!({"spec": {"policy": "Enforce"}})).await?;
        let enforced = expected(&[&WHOLE.replace(" audit ", " deny ")]);
        become_exactly(mesh, "the same policies enforced", &enforced).await?;
        mesh.condition("PolicyEnforced", "True", "AsExpected").await?;

        mesh.patch(&json!({"spec": {"policy": "Off"}})).await?;
        become_exactly(mesh, "no policy", &[]).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn component_that_comes_and_goes_changes_its_policies_alone() {
    with_controllers(async |mesh, _played| {
        create::<PostgresDatabase>(mesh, &json!({})).await?;
        create::<Temporal>(mesh, &temporal()).await?;
        mesh.create(&json!({"policy": "Audit"})).await?;
        let half = become_exactly(mesh, "the policies of a database and Temporal", &expected(&[HALF])).await?;

        create::<MessageQueue>(mesh, &json!({})).await?;
        let with_queue = become_exactly(mesh, "those of a queue, too", &expected(&[HALF, QUEUE])).await?;
        let kept = versions(&half);
        let now = versions(&with_queue);
        ensure!(kept.iter().all(|(name, version)| now.get(name) == Some(version)), "others were written: {now:?}");

        mesh.one::<MessageQueue>().objects().delete(NAME, &DeleteParams::default()).await?;
        let after = become_exactly(mesh, "those of the queue gone", &expected(&[HALF])).await?;
        ensure!(versions(&after) == kept, "others were written: {after:?}");
        Ok(())
    })
    .await;
}
