//! Annotations and labels that no controller would write, on everything that a user may edit.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use e2e::step::made;
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

use crate::victim::{Strangers, Victim, looked_at, with_strangers};

/// What all annotations of the stack begin with.
const PREFIX: &str = "temporal-stack.dev/";
/// Annotations that controllers read somewhere, beside those that are found on the objects.
const KNOWN: [&str; 22] = [
    "config-hash",
    "full-restart",
    "intent",
    "left",
    "login",
    "made",
    "named",
    "names",
    "network",
    "owner",
    "peer",
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

for_each_kind!(annotations_of_any_value_harm_no_stranger);

async fn annotations_of_any_value_harm_no_stranger<K: Victim>() {
    with_strangers::<K>(async |strangers| {
        made(&strangers.hostile, strangers.controller).await?;
        let mut keys: BTreeSet<String> = KNOWN.iter().map(|key| format!("{PREFIX}{key}")).collect();
        keys.extend(found::<Secret, K>(strangers).await?);
        keys.extend(found::<StatefulSet, K>(strangers).await?);
        keys.extend(found::<PersistentVolumeClaim, K>(strangers).await?);
        for value in values() {
            let annotations = keys.iter().map(|key| (key.clone(), json!(value))).collect();
            let taken = annotate_all(strangers, &annotations).await?;
            ensure!(taken > 5, "the API server took {taken} annotations of {value:?}");
            looked_at(&strangers.hostile).await?;
        }
        // All together may have 256 KiB.
        let none = keys.iter().map(|key| (key.clone(), Value::Null)).collect();
        annotate_all(strangers, &none).await?;
        let large = json!("9".repeat(LARGE));
        let one = Map::from_iter([(format!("{PREFIX}rotate"), large)]);
        ensure!(annotate_all(strangers, &one).await? > 5, "the API server took no large annotations");
        looked_at(&strangers.hostile).await
    })
    .await;
}
