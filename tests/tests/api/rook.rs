//! Buckets of a Ceph cluster that Rook runs: with CRDs of Rook's shape, a fake provisioner that overwrites, writes back and stays
//! silent, and a fake storage.

mod buckets;
mod pending;
mod retention;

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, Result};
use e2e::{
    Controller, One, Space,
    fake::{
        Rook, S3,
        rook::{CLAIMS, Conduct, claims, crds, stores},
    },
    prepare::{api_server, until_established},
    until, until_gone, with_namespace,
};
use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, Secret},
        storage::v1::StorageClass,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{api::ObjectStorage, condition::STALLED};
use tokio::sync::OnceCell;

/// The object that tests make.
type Subjects<'a> = One<'a, ObjectStorage>;

/// What a test has.
struct Stage {
    storage: Arc<S3>,
    rook: Rook,
}

/// The kinds of Rook are installed once for all tests of the process; before that, their absence is tested.
static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// Runs a test with a controller, a provisioner of that conduct, and an object store that is ready.
async fn with_rook(conduct: Conduct, test: impl AsyncFnOnce(&Subjects<'_>, &Stage) -> Result<()>) {
    INSTALLED.get_or_init(absent_then_installed).await;
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        make_store(space, "Ready").await?;
        make_class(space, &json!({})).await?;
        let storage = Arc::new(S3::start().await?);
        let rook = Rook::start(&space.client, &space.name, storage.clone(), conduct);
        let controller = Controller::start::<ObjectStorage>(space).await?;
        let result = test(&space.one(), &Stage { storage, rook }).await;
        drop(controller);
        release(space).await?;
        result
    })
    .await;
}

/// Lets everything go that waits for a provisioner, which ends with the test.
async fn release(space: &Space) -> Result<()> {
    let (all, params) = (ListParams::default(), PatchParams::default());
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    let provisioned = ListParams::default().labels("bucket-provisioner");
    for secret in space.api::<Secret>().list(&provisioned).await? {
        space.api::<Secret>().patch(&secret.name_any(), &params, &free).await?;
    }
    for map in space.api::<ConfigMap>().list(&provisioned).await? {
        space.api::<ConfigMap>().patch(&map.name_any(), &params, &free).await?;
    }
    let claims = claims(&space.client, &space.name);
    for claim in claims.list(&all).await? {
        claims.patch(&claim.name_any(), &params, &free).await?;
    }
    Ok(())
}

/// The absence of the kinds is reported, and their appearance is noticed.
async fn absent_then_installed() {
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let kinds = Api::<CustomResourceDefinition>::all(space.client.clone());
        // A cluster that is used again has them.
        for kind in crds()? {
            match kinds.delete(&kind.name_any(), &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                deleted => {
                    deleted?;
                    until_gone(&kinds, &kind.name_any()).await?;
                }
            }
        }
        make_class(space, &json!({})).await?;
        let _controller = Controller::start::<ObjectStorage>(space).await?;
        let object: Subjects<'_> = space.one();
        object.create(&spec(space, &json!([{"name": "photos"}]))).await?;
        object.stalled("RookMissing", &[CLAIMS, "install Rook"]).await?;
        for kind in crds()? {
            kinds.create(&PostParams::default(), &kind).await?;
            until_established(&kinds, &kind.name_any()).await?;
        }
        claim(space, "photos").await?;
        object.until("gone on", |object| e2e::subject::condition_of(object, STALLED).is_none()).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn missing_kind_is_reported_and_picked_up() {
    INSTALLED.get_or_init(absent_then_installed).await;
}

fn class_name(space: &Space) -> String {
    format!("buckets-{}", space.name)
}

/// A spec with these buckets.
fn spec(space: &Space, buckets: &Value) -> Value {
    json!({"provider": {"rook": {"storageClassName": class_name(space)}}, "buckets": buckets})
}

/// The class of buckets of this namespace, with these fields instead.
async fn make_class(space: &Space, fields: &Value) -> Result<()> {
    let mut class = json!({
        "metadata": {
            "name": class_name(space),
            "ownerReferences": [{"apiVersion": "v1", "kind": "Namespace", "name": space.name, "uid": space.uid}],
        },
        "provisioner": format!("{}.ceph.rook.io/bucket", space.name),
        "parameters": {"objectStoreName": "store", "objectStoreNamespace": space.name},
    });
    for (key, value) in fields.as_object().into_iter().flatten() {
        class[key] = value.clone();
    }
    let classes = Api::<StorageClass>::all(space.client.clone());
    match classes.delete(&class_name(space), &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => {}
        deleted => drop(deleted?),
    }
    classes.create(&PostParams::default(), &serde_json::from_value(class)?).await.context("could not make a class")?;
    Ok(())
}

/// The object store of this namespace, in a phase.
async fn make_store(space: &Space, phase: &str) -> Result<()> {
    let stores = stores(&space.client, &space.name);
    let store =
        json!({"apiVersion": "ceph.rook.io/v1", "kind": "CephObjectStore", "metadata": {"name": "store"}, "spec": {}});
    stores.patch("store", &PatchParams::apply("e2e").force(), &Patch::Apply(store)).await?;
    let status = json!({"status": {"phase": phase, "conditions": [{"type": "Failure", "message": "no OSD is up"}]}});
    stores.patch_status("store", &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}

/// The claim of a bucket, once it exists.
async fn claim(space: &Space, bucket: &str) -> Result<DynamicObject> {
    let name = claim_name(space, bucket).await?;
    until(&claims(&space.client, &space.name), &name, "been made", |_| true).await
}

/// The name of the claim of a bucket: with a part of the object's UID.
async fn claim_name(space: &Space, bucket: &str) -> Result<String> {
    let object = space.one::<ObjectStorage>().get().await?;
    let part: String = object.uid().context("the object has a UID")?.chars().take(8).collect();
    Ok(format!("temporal-objectstorage-{bucket}-{part}"))
}

/// The binding of a bucket, as text.
async fn binding(space: &Space, bucket: &str) -> Result<BTreeMap<String, String>> {
    let name = format!("temporal-objectstorage-{bucket}-binding");
    let secret = until(&space.api::<Secret>(), &name, "been made", |_| true).await?;
    let text = |(key, value): (String, k8s_openapi::ByteString)| Ok((key, String::from_utf8(value.0)?));
    secret.data.into_iter().flatten().map(text).collect()
}
