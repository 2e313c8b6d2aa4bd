//! No key is told: not its secret, and not its ID, with which some engines can be written to.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use e2e::{
    One,
    host::{arguments, processes_in},
    subject::NAME,
};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Pod, Secret, Service},
    events::v1::Event,
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, LogParams},
};
use serde_json::json;
use temporal_stack_common::api::{ObjectStorage, annotation::ROTATE};

use crate::storage::{BUCKETS, for_each_engine, made, of, with_storage};

for_each_engine!(keys_are_in_no_log_event_condition_or_argument);

/// The namespace and the name of the controller.
const CONTROLLER: (&str, &str) = ("temporal-stack-system", "app.kubernetes.io/name=storage-controller");

/// All IDs and secrets of keys, root's among them.
async fn keys(storage: &One<'_, ObjectStorage>) -> Result<BTreeSet<String>> {
    let mut keys = BTreeSet::new();
    for secret in storage.api::<Secret>().list(&ListParams::default()).await? {
        for (name, value) in secret.data.unwrap_or_default() {
            if ["username", "password", "access-key-id", "secret-access-key"].contains(&name.as_str()) {
                keys.insert(String::from_utf8(value.0)?);
            }
        }
    }
    Ok(keys)
}

/// The logs of all containers of pods, of the runs before, too.
async fn logs(pods: &Api<Pod>, selector: &str) -> Result<String> {
    let mut text = String::new();
    for pod in pods.list(&ListParams::default().labels(selector)).await? {
        let spec = pod.spec.clone().unwrap_or_default();
        let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        for container in containers {
            for previous in [false, true] {
                let params = LogParams { container: Some(container.name.clone()), previous, ..LogParams::default() };
                // There may have been no run before.
                text += &pods.logs(&pod.name_any(), &params).await.unwrap_or_default();
            }
        }
    }
    Ok(text)
}

async fn keys_are_in_no_log_event_condition_or_argument(engine: &str) {
    with_storage(1, async |storage| {
        made(storage, &of(engine, &json!({}))).await?;
        let mut keys = keys(storage).await?;
        let bound = storage.bound(BUCKETS[0]).await?;
        bound.client()?.put(BUCKETS[0], "object", b"object".to_vec()).await?;
        bound.client()?.list(BUCKETS[1], "", None, 1).await.expect_err("another bucket");
        storage.annotate(ROTATE, &json!("once")).await?;
        storage.until_rotated(BUCKETS[0], &bound).await?;
        storage.ready().await?;
        keys.extend(self::keys(storage).await?);
        ensure!(keys.len() >= 10, "there are {} parts of keys", keys.len());

        let mut told = Vec::new();
        told.push(("the object", serde_json::to_string(&storage.objects().get(NAME).await?)?));
        let (all, pods) = (ListParams::default(), storage.api::<Pod>());
        told.push(("events", serde_json::to_string(&storage.api::<Event>().list(&all).await?.items)?));
        told.push(("pods", serde_json::to_string(&pods.list(&all).await?.items)?));
        told.push(("services", serde_json::to_string(&storage.api::<Service>().list(&all).await?.items)?));
        told.push(("configuration", serde_json::to_string(&storage.api::<ConfigMap>().list(&all).await?.items)?));
        told.push(("the engine's log", logs(&pods, "").await?));
        let controllers = Api::namespaced(storage.client.clone(), CONTROLLER.0);
        told.push(("the controller's log", logs(&controllers, CONTROLLER.1).await?));
        let mut words = Vec::new();
        for pod in pods.list(&all).await? {
            let group = format!("pod{}", pod.uid().unwrap_or_default());
            words.extend(processes_in(&group).into_iter().flat_map(arguments));
        }
        ensure!(words.len() > 3, "the engine has no arguments");
        told.push(("arguments", words.join(" ")));

        for (place, text) in told {
            ensure!(place == "configuration" || text.len() > 2, "{place} is empty");
            for key in &keys {
                let line = text.lines().find(|line| line.contains(key)).map(|line| line.replace(key, "…"));
                ensure!(line.is_none(), "a key is in {place}: {}", line.unwrap_or_default());
            }
        }
        Ok(())
    })
    .await;
}
