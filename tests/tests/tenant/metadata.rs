//! Annotations and labels that no controller would write, on everything that a user may edit.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use e2e::{Controller, Identity, prepare::api_server, stranger::Stranger, subject::NAME, with_namespace};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service},
    },
};
use kube::{Resource, ResourceExt, api::ListParams};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use temporal_stack_common::api::label;

use crate::victim::{Strangers, Victim, is_observed, with_strangers};

/// What all annotations of the stack begin with.
const PREFIX: &str = "temporal-stack.dev/";
/// Annotations that controllers read somewhere, beside those that are found on the objects.
const KNOWN: [&str; 29] = [
    "accept-volumes",
    "adopt-bucket",
    "config-hash",
    "delete-bucket",
    "full-restart",
    "full-restart-completed",
    "intent",
    "layout",
    "left",
    "login",
    "made",
    "named",
    "names",
    "network",
    "owner",
    "paused",
    "peer",
    "recorded",
    "renewal",
    "replication",
    "restart",
    "revived",
    "role",
    "roll",
    "rotate",
    "rotation",
    "serves",
    "shared-secret",
    "template",
];
/// The size of an annotation that is as large as they may be together, nearly.
const LARGE: usize = 200_000;

/// Values, each of which some parser or some sum does not expect.
fn values() -> Vec<String> {
    let texts = [
        "",
        "0",
        "-1",
        "2000000000",
        "2147483648",
        "4294967296",
        "9223372036854775807",
        "18446744073709551615",
        "99999999999999999999999",
        "1e400",
        "NaN",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "..",
        "/",
        "{",
        "null",
        "ä€😀",
        "a\nb\0",
    ];
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Has the stranger merge annotations into all objects of a kind; returns how many took them.
async fn annotate<R, K>(strangers: &Strangers<'_, K>, annotations: &Map<String, Value>) -> Result<u32>
where
    R: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned,
    K: Victim,
{
    let mut taken = 0;
    for object in strangers.hostile.api::<R>().list(&ListParams::default()).await? {
        let patch = json!({"metadata": {"annotations": annotations}});
        taken += u32::from(strangers.stranger.patch::<R>(&object.name_any(), &patch).await?);
    }
    Ok(taken)
}

async fn annotate_all<K: Victim>(strangers: &Strangers<'_, K>, annotations: &Map<String, Value>) -> Result<u32> {
    let (secrets, maps, services, sets, claims, pods, objects) = tokio::try_join!(
        annotate::<Secret, K>(strangers, annotations),
        annotate::<ConfigMap, K>(strangers, annotations),
        annotate::<Service, K>(strangers, annotations),
        annotate::<StatefulSet, K>(strangers, annotations),
        annotate::<PersistentVolumeClaim, K>(strangers, annotations),
        annotate::<Pod, K>(strangers, annotations),
        annotate::<K, K>(strangers, annotations),
    )?;
    Ok(secrets + maps + services + sets + claims + pods + objects)
}

/// The annotations of the stack that are on the objects of a kind.
async fn found<R, K>(strangers: &Strangers<'_, K>) -> Result<BTreeSet<String>>
where
    R: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
    K: Victim,
{
    let objects = strangers.hostile.api::<R>().list(&ListParams::default()).await?;
    let keys = objects.iter().flat_map(|object| object.annotations().keys());
    Ok(keys.filter(|key| key.starts_with(PREFIX)).cloned().collect())
}

e2e::for_each_kind!(annotations_of_any_value_do_not_affect_other_tenants, far_times_of_fields_block_no_watch);

mod temporals {
    use temporal_stack_common::api::Temporal;

    #[tokio::test]
    async fn annotations_of_any_value_do_not_affect_other_tenants() {
        Box::pin(super::annotations_of_any_value_do_not_affect_other_tenants::<Temporal>()).await;
    }

    #[tokio::test]
    async fn far_times_of_fields_block_no_watch() {
        super::far_times_of_fields_block_no_watch::<Temporal>().await;
    }
}

/// Dates all fields of an object, and makes a change that the API server does not take for none.
fn date(object: &mut Value, time: &str) {
    for entry in object["metadata"]["managedFields"].as_array_mut().into_iter().flatten() {
        entry["time"] = json!(time);
    }
    object["metadata"]["annotations"]["touched"] = json!(time);
}

async fn date_all<K: Victim>(stranger: &Stranger, time: &str) -> Result<()> {
    stranger.replace::<K>(NAME, |object| date(object, time)).await?;
    stranger.replace::<Secret>("child", |object| date(object, time)).await?;
    stranger.replace::<ConfigMap>("source", |object| date(object, time)).await
}

/// A time that the API server keeps, and that this program cannot represent.
async fn far_times_of_fields_block_no_watch<K: Victim>() {
    let cluster = &api_server().await.expect("an API server");
    with_namespace(cluster, async |mine| {
        with_namespace(cluster, async |theirs| {
            let identity = Identity::of_cluster::<K>(mine).await?;
            let stranger = Stranger::of(theirs).await?;
            theirs.one::<K>().create(&K::embedded()).await?;
            let labels =
                json!({label::MANAGED_BY: label::STACK, label::COMPONENT: K::COMPONENT, label::INSTANCE: NAME});
            let child = json!({"metadata": {"name": "child", "labels": labels}});
            let source = json!({"metadata": {"name": "source", "labels": {label::CONFIG: "true"}}});
            ensure!(stranger.create::<Secret>(&child).await? && stranger.create::<ConfigMap>(&source).await?);
            date_all::<K>(&stranger, "9999-12-31T23:59:59Z").await?;
            let map = theirs.api::<ConfigMap>().get("source").await;
            ensure!(map.is_err(), "the API server has not kept the time: {map:?}");

            let controller = Controller::start_with(mine, &identity, &[theirs]).await?;
            controller.leads().await?;
            K::settle(&mine.one::<K>(), &controller).await?;
            date_all::<K>(&stranger, "9999-12-31T23:59:58Z").await?;
            is_observed(&mine.one::<K>()).await?;
            let lines = controller.log.lines();
            let unreadable = lines.iter().find(|line| line.to_string().contains("Error deserializing response"));
            ensure!(unreadable.is_none(), "an answer of the API server was not read: {unreadable:?}");
            // The namespace is removed by a client that must be able to read it.
            date_all::<K>(&stranger, "2026-01-01T00:00:00Z").await
        })
        .await;
        Ok(())
    })
    .await;
}

async fn annotations_of_any_value_do_not_affect_other_tenants<K: Victim>() {
    with_strangers::<K>(async |strangers| {
        K::made(&strangers.hostile, strangers.controller).await?;
        let mut keys: BTreeSet<String> = KNOWN.iter().map(|key| format!("{PREFIX}{key}")).collect();
        keys.extend(found::<Secret, K>(strangers).await?);
        keys.extend(found::<StatefulSet, K>(strangers).await?);
        keys.extend(found::<PersistentVolumeClaim, K>(strangers).await?);
        for value in values() {
            let annotations = keys.iter().map(|key| (key.clone(), json!(value))).collect();
            let taken = annotate_all(strangers, &annotations).await?;
            ensure!(taken > 5, "the API server took {taken} annotations of {value:?}");
            is_observed(&strangers.hostile).await?;
        }
        // All together may have 256 KiB.
        let none = keys.iter().map(|key| (key.clone(), Value::Null)).collect();
        annotate_all(strangers, &none).await?;
        let large = json!("9".repeat(LARGE));
        let one = Map::from_iter([(format!("{PREFIX}rotate"), large)]);
        ensure!(annotate_all(strangers, &one).await? > 5, "the API server took no large annotations");
        is_observed(&strangers.hostile).await
    })
    .await;
}
