//! Keys outlive the object, or go with it, as the policy says.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use e2e::{subject::NAME, until, until_gone};
use k8s_openapi::api::{
    core::v1::{PersistentVolumeClaim, Secret, Service},
    networking::v1::NetworkPolicy,
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, PostParams},
};
use serde_json::json;
use temporal_stack_common::api::{annotation, label};

use super::{Subjects, complete, made, spec, with_controller, with_tls};
use crate::step::quiet;

/// The Secrets with what is drawn.
const KEYS: [&str; 2] = ["temporal-temporal-keys", "temporal-temporal-certificate-keys"];
/// The volume of the key server.
const VOLUME: &str = "data-temporal-temporal-krab-0";

/// UID and content of each.
async fn keys(space: &Subjects<'_>) -> Result<BTreeMap<String, (Option<String>, String)>> {
    let mut found = BTreeMap::new();
    for name in KEYS {
        let secret = space.api::<Secret>().get(name).await?;
        found.insert(name.to_owned(), (secret.uid(), format!("{:?}", secret.data)));
    }
    Ok(found)
}

async fn delete(space: &Subjects<'_>) -> Result<()> {
    space.objects().delete(NAME, &DeleteParams::default()).await?;
    until_gone(&space.objects(), NAME).await
}

/// The claim of a key server, as its set makes it.
async fn volume(space: &Subjects<'_>) -> Result<Option<String>> {
    let claim = json!({
        "metadata": {"name": VOLUME, "labels": {
            label::MANAGED_BY: label::STACK,
            label::COMPONENT: "temporal",
            label::INSTANCE: NAME,
            label::DATA: "true",
        }},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": e2e::prepare::GROWS,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    });
    let claims = space.api::<PersistentVolumeClaim>();
    Ok(claims.create(&PostParams::default(), &serde_json::from_value(claim)?).await?.uid())
}

#[tokio::test]
async fn retained_keys_and_volume_are_adopted_by_a_namesake() {
    with_controller(async |space, controller| {
        with_tls(space).await?;
        let first = made(space, controller, &json!({})).await?;
        let claim = volume(space).await?;
        let is_taken = |claim: &PersistentVolumeClaim| claim.annotations().contains_key(annotation::OWNER);
        until(&space.api(), VOLUME, "been taken care of", is_taken).await?;
        let before = keys(space).await?;
        delete(space).await?;
        for name in ["temporal-temporal-environment", "temporal-temporal-binding", "temporal-temporal-certificate"] {
            until_gone(&space.api::<Secret>(), name).await?;
        }
        until_gone(&space.api::<Service>(), "temporal-temporal-api").await?;
        until_gone(&space.api::<NetworkPolicy>(), "temporal-temporal-krab").await?;
        ensure!(keys(space).await? == before, "the keys have changed");

        space.create(&spec(&json!({}))).await?;
        let again = complete(space, controller).await?;
        ensure!(again.uid() != first.uid(), "the object is the same");
        let told = space.event("Adopted").await?;
        ensure!(told.contains("retained from an earlier object"), "{told}");
        ensure!(keys(space).await? == before, "the keys are others than before");
        for name in KEYS {
            let secret = space.api::<Secret>().get(name).await?;
            ensure!(secret.annotations().get(annotation::OWNER) == again.uid().as_ref(), "{name} was not taken over");
            ensure!(secret.owner_references().is_empty(), "{name} has an owner under Retain");
        }
        let kept = space.api::<PersistentVolumeClaim>().get(VOLUME).await?;
        ensure!(kept.uid() == claim && kept.annotations().get(annotation::OWNER) == again.uid().as_ref());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn data_have_an_owner_only_under_delete() {
    with_controller(async |space, controller| {
        with_tls(space).await?;
        made(space, controller, &json!({})).await?;
        volume(space).await?;
        let (secrets, claims) = (space.api::<Secret>(), space.api::<PersistentVolumeClaim>());
        for (policy, owners) in [("Delete", 1), ("Retain", 0), ("Delete", 1)] {
            space.patch(&json!({"spec": {"deletionPolicy": policy}})).await?;
            let what = format!("{owners} owners under {policy}");
            for name in KEYS {
                until(&secrets, name, &what, |secret| secret.owner_references().len() == owners).await?;
            }
            until(&claims, VOLUME, &what, |claim| claim.owner_references().len() == owners).await?;
        }
        quiet(space, controller).await?;
        delete(space).await?;
        for name in KEYS {
            until_gone(&secrets, name).await?;
        }
        until_gone(&claims, VOLUME).await
    })
    .await;
}
