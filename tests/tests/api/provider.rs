//! Another provider in the spec of an object that has data.

use std::collections::BTreeMap;

use anyhow::ensure;
use e2e::{
    Subject,
    snapshot::{children, versions},
    until, until_gone,
};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Secret, Service},
};
use kube::ResourceExt as _;
use serde_json::{Value, json};
use temporal_stack_common::api::ObjectStorage;

use crate::{
    step::{complete, made, quiet, theirs},
    with_controller,
};

e2e::for_each_dependency!(change_of_provider_prunes_children_and_keeps_data);

async fn change_of_provider_prunes_children_and_keeps_data<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        made(space, controller).await?;
        let secrets = space.api::<Secret>();
        let mut before = BTreeMap::new();
        for name in K::data() {
            before.insert(name.clone(), secrets.get(&name).await?.uid());
        }
        let _theirs = theirs::<K>(space).await?;
        let provider = json!({K::PROVIDER: null, "external": {"secretName": "theirs"}});
        space.patch(&json!({"spec": {"provider": provider}})).await?;
        until_gone(&space.api::<StatefulSet>(), &K::set()).await?;
        until_gone(&space.api::<Service>(), &K::set()).await?;
        until(&space.api::<Secret>(), &K::binding(), "been made", |_| true).await?;
        quiet(space, controller).await?;
        for (name, uid) in before {
            ensure!(secrets.get(&name).await?.uid() == uid, "{name} was made again");
        }
        space.api::<PersistentVolumeClaim>().get(&K::volume(0)).await?;
        Ok(())
    })
    .await;
}

/// Whoever has an empty bucket afterwards believes that the objects are lost.
#[tokio::test]
async fn change_of_provider_of_an_object_storage_is_refused() {
    with_controller::<ObjectStorage>(async |space, controller| {
        made(space, controller).await?;
        let _theirs = theirs::<ObjectStorage>(space).await?;
        let before = versions(&children(space).await?);
        for other in [json!({"versity": {}}), json!({"external": {"secretName": "theirs"}})] {
            let mut provider = json!({"minio": Value::Null, "versity": Value::Null, "external": Value::Null});
            provider.as_object_mut().into_iter().zip(other.as_object()).for_each(|(all, one)| all.extend(one.clone()));
            space.patch(&json!({"spec": {"provider": provider}})).await?;
            space.stalled("ProviderChanged", &["storage-controller copy", "--from", "--to"]).await?;
            quiet(space, controller).await?;
            ensure!(versions(&children(space).await?) == before, "children have changed");
        }
        let back = json!({"versity": null, "external": null, "minio": ObjectStorage::embedded()["provider"]["minio"]});
        space.patch(&json!({"spec": {"provider": back}})).await?;
        complete(space, controller).await.map(drop)
    })
    .await;
}
