//! Steps that many tests have: an object is made, and the controller comes to rest.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::{
    ByteString,
    api::core::v1::{PersistentVolumeClaim, Pod, Secret},
};
use kube::{
    ResourceExt as _,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{annotation, label},
    process::client::Counts,
};

use crate::{
    Cluster, Controller, One, Space, Subject,
    snapshot::{children, normalised},
    until, with_namespace,
};

/// How many quiet looks in a row are taken for quiet.
const QUIET: u32 = 3;

/// Makes an object, and waits until only its pods are missing.
pub async fn made<K: Subject>(space: &One<'_, K>, controller: &Controller) -> Result<K> {
    space.create(&K::embedded()).await?;
    complete(space, controller).await
}

/// Waits until all children are there, the claims and the pods that others make included, and the controller is quiet.
pub async fn complete<K: Subject>(space: &One<'_, K>, controller: &Controller) -> Result<K> {
    let object = space.waits_for_its_pods().await?;
    let uid = object.uid().context("the object has no uid")?;
    for ordinal in 0..object.pods() {
        until(&space.api::<PersistentVolumeClaim>(), &K::volume(ordinal), "been taken care of", |claim| {
            claim.annotations().get(annotation::OWNER) == Some(&uid)
        })
        .await?;
        until(&space.api::<Pod>(), &K::pod(ordinal), "been made", |_| true).await?;
    }
    quiet(space, controller).await?;
    space.waits_for_its_pods().await
}

/// Has the controller look until it sends nothing any more, and returns what it has sent till then.
pub async fn quiet<K: Subject>(space: &One<'_, K>, controller: &Controller) -> Result<Counts> {
    let mut before = controller.requests()?.of_passes();
    let mut quiet = 0;
    for _ in 0..100 {
        look(space, controller).await?;
        let after = controller.requests()?.of_passes();
        quiet = if after == before { quiet + 1 } else { 0 };
        if quiet == QUIET {
            return Ok(after);
        }
        before = after;
    }
    bail!("the controller does not come to rest; it has sent\n{before}")
}

/// Has the controller look at the object once more, by a change that is none of its business.
pub async fn look<K: Subject>(space: &One<'_, K>, controller: &Controller) -> Result<()> {
    let before = controller.metrics()?.passes("unchanged");
    space.annotate("example.com/look", &json!(format!("{:016x}", rand::random::<u64>()))).await?;
    controller.until("a pass that changes nothing", |metrics| metrics.passes("unchanged") > before).await?;
    Ok(())
}

/// Writes a Secret of the user's, with the label that has an edit acted on at once.
pub async fn write_secret(space: &Space, name: &str, keys: &Value) -> Result<()> {
    let bytes = |value: &Value| ByteString(value.as_str().unwrap_or_default().as_bytes().to_vec());
    let data = keys.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), bytes(value))).collect();
    let labels = [(label::CONFIG.to_owned(), "true".to_owned())].into();
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    // Not `stringData`: what is left out there stays in the object.
    let secret = Secret { metadata, data: Some(data), ..Secret::default() };
    space.api::<Secret>().patch(name, &PatchParams::apply("user").force(), &Patch::Apply(secret)).await?;
    Ok(())
}

/// Creates a Secret that was deleted as it was, as a user restores it.
pub async fn restore(space: &Space, deleted: &Secret) -> Result<()> {
    let mut restored = deleted.clone();
    (restored.metadata.resource_version, restored.metadata.uid) = (None, None);
    space.api::<Secret>().create(&PostParams::default(), &restored).await?;
    Ok(())
}

/// What is asked for, one after the other: making, and a change of everything that a change can reach.
pub async fn ask<K: Subject>(space: &One<'_, K>, change: bool) -> Result<K> {
    if !change {
        return space.create(&K::embedded()).await;
    }
    let mut spec = K::changed();
    spec["deletionPolicy"] = json!("Delete");
    space.patch(&json!({ "spec": spec })).await
}

/// The children of an object that is complete, without what differs by chance.
pub async fn outcome<K: Subject>(space: &One<'_, K>, controller: &Controller) -> Result<BTreeMap<String, String>> {
    let object = complete(space, controller).await?;
    Ok(normalised(&children(space).await?, &object, &space.name))
}

/// What comes of an object, made and then changed, where nothing disturbs it.
pub async fn undisturbed<K: Subject>(cluster: &Cluster) -> BTreeMap<String, String> {
    let mut outcome_of = BTreeMap::new();
    with_namespace(cluster, async |space| {
        let controller = Controller::start::<K>(space).await?;
        for change in [false, true] {
            ask::<K>(&space.one(), change).await?;
            outcome_of = outcome::<K>(&space.one(), &controller).await?;
        }
        Ok(())
    })
    .await;
    outcome_of
}
