//! Steps that many tests have.

use anyhow::{Context as _, Result, bail, ensure};
use e2e::{Controller, One, Space, Subject, until};
use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, Event, PersistentVolumeClaim, Pod, Secret},
    },
};
use kube::{
    ResourceExt as _,
    api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{IpfsCluster, MessageQueue, PostgresDatabase, annotation, label},
    process::client::Counts,
};

/// How many quiet looks in a row are taken for quiet.
const QUIET: u32 = 3;

/// Makes an object, and waits until only its pods are missing.
pub(crate) async fn made<K: Subject>(space: &One<'_, K>, controller: &Controller) -> Result<K> {
    space.create(&K::embedded()).await?;
    complete(space, controller).await
}

/// Waits until all children are there, the claims and the pods that others make included, and the controller is quiet.
pub(crate) async fn complete<K: Subject>(space: &One<'_, K>, controller: &Controller) -> Result<K> {
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
pub(crate) async fn quiet<K: Subject>(space: &One<'_, K>, controller: &Controller) -> Result<Counts> {
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
pub(crate) async fn look<K: Subject>(space: &One<'_, K>, controller: &Controller) -> Result<()> {
    let before = controller.metrics()?.passes("unchanged");
    space.annotate("example.com/look", &json!(format!("{:016x}", rand::random::<u64>()))).await?;
    controller.until("a pass that changes nothing", |metrics| metrics.passes("unchanged") > before).await?;
    Ok(())
}

/// Conditions, events and the log must not have it.
pub(crate) async fn ensure_untold<K: Subject>(space: &One<'_, K>, controller: &Controller, secret: &str) -> Result<()> {
    let object = space.get().await?;
    ensure!(!serde_json::to_string(&object)?.contains(secret), "the password is in the object");
    let events = space.api::<Event>().list(&ListParams::default()).await?;
    ensure!(!serde_json::to_string(&events.items)?.contains(secret), "the password is in an event");
    let logged = controller.log.lines().iter().any(|line| line.to_string().contains(secret));
    ensure!(!logged, "the password is in the log");
    Ok(())
}

/// Writes a Secret of the user's, with the label that has an edit acted on at once.
pub(crate) async fn write_secret(space: &Space, name: &str, keys: &Value) -> Result<()> {
    let bytes = |value: &Value| ByteString(value.as_str().unwrap_or_default().as_bytes().to_vec());
    let data = keys.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), bytes(value))).collect();
    let labels = [(label::CONFIG.to_owned(), "true".to_owned())].into();
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    // Not `stringData`: what is left out there stays in the object.
    let secret = Secret { metadata, data: Some(data), ..Secret::default() };
    space.api::<Secret>().patch(name, &PatchParams::apply("user").force(), &Patch::Apply(secret)).await?;
    Ok(())
}

/// What a Secret of the user's says of something at which nobody answers: complete for any kind.
pub(crate) fn complete_secret(password: &str) -> Value {
    json!({
        "host": "127.0.0.1",
        "port": "1",
        "username": "u",
        "password": password,
        "database": "d",
        "cluster-host": "127.0.0.1",
        "cluster-port": "1",
    })
}

/// Such a Secret.
pub(crate) async fn theirs(space: &Space) -> Result<()> {
    let secret = json!({"metadata": {"name": "theirs"}, "stringData": complete_secret("p")});
    space.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    Ok(())
}

/// Asks for another CPU limit, which the pods are to have.
pub(crate) async fn limit_cpu<K: Subject>(space: &One<'_, K>, cpu: &str) -> Result<K> {
    space.patch_provider(&json!({"resources": {"limits": {"cpu": cpu}}})).await
}

/// Waits until the pods are to have it.
pub(crate) async fn cpu_limited<K: Subject>(space: &One<'_, K>, cpu: &str) -> Result<StatefulSet> {
    let has_limit = |set: &StatefulSet| server_of(set)["resources"]["limits"]["cpu"] == cpu;
    until(&space.api(), &K::set(), &format!("the CPU limit {cpu}"), has_limit).await
}

/// The container of the product.
pub(crate) fn server_of(set: &StatefulSet) -> Value {
    let containers = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).map(|pod| pod.containers.clone());
    let products = [PostgresDatabase::PROVIDER, MessageQueue::PROVIDER, IpfsCluster::PROVIDER];
    let server = containers.into_iter().flatten().find(|container| products.contains(&&*container.name));
    serde_json::to_value(server).unwrap_or_default()
}

/// Writes the data of the user's ConfigMap.
pub(crate) async fn configure(space: &Space, name: &str, data: &Value) -> Result<()> {
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": data,
    });
    space.api::<ConfigMap>().patch(name, &PatchParams::apply("user").force(), &Patch::Apply(map)).await?;
    Ok(())
}
