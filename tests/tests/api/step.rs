//! Steps that many tests have.

use anyhow::{Result, ensure};
pub(crate) use e2e::step::{complete, look, made, quiet, write_secret};
use e2e::{Controller, One, Space, Subject, fake::S3, until};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Event, Secret},
};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use temporal_stack_common::api::{IpfsCluster, MessageQueue, ObjectStorage, PostgresDatabase};

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
        "endpoint": "http://127.0.0.1:1",
        "access-key-id": "u",
        "secret-access-key": password,
    })
}

/// What a Secret leads to.
pub(crate) struct Theirs {
    /// Where it is, as the binding says.
    pub(crate) scope: String,
    _storage: Option<S3>,
}

/// Such a Secret. An object storage answers: there is no binding for a bucket that nobody has seen.
pub(crate) async fn theirs<K: Subject>(space: &Space) -> Result<Theirs> {
    let storage = if K::PROGRAM == ObjectStorage::PROGRAM { Some(S3::start().await?) } else { None };
    let keys = storage.as_ref().map_or_else(|| complete_secret("p"), S3::keys);
    let secret = json!({"metadata": {"name": "theirs"}, "stringData": keys});
    space.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    Ok(Theirs { scope: keys[K::SCOPE_KEY].as_str().unwrap_or_default().to_owned(), _storage: storage })
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
    let products = [PostgresDatabase::PROVIDER, MessageQueue::PROVIDER, IpfsCluster::PROVIDER, ObjectStorage::PROVIDER];
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
