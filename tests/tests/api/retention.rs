//! Data outlive the object, or go with it, as the policy says.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use e2e::{One, Subject, subject::NAME, until, until_gone};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, Preconditions},
};
use serde_json::json;
use temporal_stack_common::api::annotation;

use crate::{
    step::{complete, made, quiet},
    with_controller,
};

e2e::for_each_kind!(data_have_an_owner_only_under_delete, recreated_object_adopts_retained_data_with_an_event,);

async fn data_have_an_owner_only_under_delete<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        let object = made(space, controller).await?;
        let uid = object.uid();
        let secrets = space.api::<Secret>();
        for name in &K::data() {
            ensure!(secrets.get(name).await?.owner_references().is_empty(), "{name} has an owner under Retain");
        }
        for (policy, owners) in [("Delete", 1), ("Retain", 0), ("Delete", 1)] {
            space.patch(&json!({"spec": {"deletionPolicy": policy}})).await?;
            for name in &K::data() {
                let what = format!("{owners} owners under {policy}");
                until(&secrets, name, &what, |secret| secret.owner_references().len() == owners).await?;
            }
        }
        quiet(space, controller).await?;
        for name in &K::data() {
            let owner = secrets.get(name).await?.owner_references()[0].clone();
            ensure!(Some(owner.uid) == uid && owner.kind == K::kind(&()), "another owner");
        }

        delete(space).await?;
        for name in &K::data() {
            until_gone(&secrets, name).await?;
        }
        until_gone(&space.api::<PersistentVolumeClaim>(), &K::volume(0)).await
    })
    .await;
}

async fn recreated_object_adopts_retained_data_with_an_event<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        made(space, controller).await?;
        let before = data(space).await?;
        let claim = space.api::<PersistentVolumeClaim>().get(&K::volume(0)).await?.uid();
        delete(space).await?;
        space.create(&K::embedded()).await?;
        let again = complete(space, controller).await?;
        let told = space.event("Adopted").await?;
        ensure!(told.contains("retained from an earlier object"), "{told}");
        ensure!(data(space).await? == before, "the Secrets are others than before");
        ensure!(
            space.api::<PersistentVolumeClaim>().get(&K::volume(0)).await?.uid() == claim,
            "the volume claim is another"
        );
        for name in &K::data() {
            let secret = space.api::<Secret>().get(name).await?;
            ensure!(secret.annotations().get(annotation::OWNER) == again.uid().as_ref(), "{name} was not taken over");
        }
        Ok(())
    })
    .await;
}

/// UID and content of each.
async fn data<K: Subject>(space: &One<'_, K>) -> Result<BTreeMap<String, (Option<String>, String)>> {
    let mut found = BTreeMap::new();
    for name in K::data() {
        let secret = space.api::<Secret>().get(&name).await?;
        found.insert(name, (secret.uid(), format!("{:?}", secret.data)));
    }
    Ok(found)
}

async fn delete<K: Subject>(space: &One<'_, K>) -> Result<()> {
    let object = space.get().await?;
    let preconditions = Some(Preconditions { uid: object.uid(), resource_version: None });
    space.objects().delete(NAME, &DeleteParams { preconditions, ..DeleteParams::default() }).await?;
    until_gone(&space.objects(), NAME).await
}
