//! The objects that a controller is measured with.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{ApiResource, DynamicObject, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use crate::bench::sample;
use crate::controllers::Controller;

/// How many requests of the bench run at the same time: as many as a controller has passes.
const PARALLEL: usize = 16;
const NAMESPACE: &str = "bench";
const LIMIT: &str = "bench-limit";
const FOREIGN: &str = "bench-foreign";
const PATIENCE: Duration = Duration::from_secs(900);

/// The objects that a controller is measured with.
pub(super) struct Fleet<'a> {
    client: Client,
    controller: &'a Controller,
}

impl<'a> Fleet<'a> {
    /// A client of the cluster; it creates no object yet.
    pub(super) async fn new(kubeconfig: &Path, controller: &'a Controller) -> Result<Self> {
        temporal_stack_common::process::install_crypto();
        let file = Kubeconfig::read_from(kubeconfig)?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        Ok(Self { client: Client::try_from(config)?, controller })
    }

    /// Creates what the objects need: namespaces, and a default StorageClass.
    pub(super) async fn prepare(&self) -> Result<()> {
        for name in [NAMESPACE, LIMIT, FOREIGN] {
            let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
            Api::all(self.client.clone()).create(&PostParams::default(), &namespace).await?;
        }
        let class: StorageClass = serde_json::from_value(json!({
            "metadata": {"name": "bench", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "kubernetes.io/no-provisioner",
        }))?;
        Api::all(self.client.clone()).create(&PostParams::default(), &class).await?;
        Ok(())
    }

    /// Creates that many custom resources.
    pub(super) async fn make_objects(&self, count: usize) -> Result<()> {
        let crd = (self.controller.crd)();
        let resource = ApiResource {
            group: crd.spec.group.clone(),
            version: "v1alpha1".to_owned(),
            api_version: format!("{}/v1alpha1", crd.spec.group),
            kind: crd.spec.names.kind.clone(),
            plural: crd.spec.names.plural.clone(),
        };
        let objects = (0..count).map(|n| (resource.clone(), sample(self.controller, &format!("bench-{n}"))));
        self.make(NAMESPACE, objects).await
    }

    /// Waits until that many workloads exist.
    pub(super) async fn until_workloads(&self, count: usize) -> Result<()> {
        let resource = (self.controller.workload)();
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), NAMESPACE, &resource);
        let began = Instant::now();
        // One object and the count of the others: a full list ten times a second would affect the measurement.
        let one = ListParams::default().limit(1);
        let existing = async || {
            let list = api.list_metadata(&one).await?;
            let others = usize::try_from(list.metadata.remaining_item_count.unwrap_or_default())?;
            Ok::<_, anyhow::Error>(list.items.len() + others)
        };
        while existing().await? < count {
            if began.elapsed() > PATIENCE {
                bail!("timed out: not all {} were created", resource.plural);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Creates Secrets without an owner, of 1 kB each.
    pub(super) async fn make_foreign_secrets(&self, count: usize) -> Result<()> {
        let resource = ApiResource::erase::<Secret>(&());
        let text = "x".repeat(1000);
        let secret = |n: usize| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("foreign-{n}")}, "stringData": {"a": text}});
        self.make(FOREIGN, (0..count).map(|n| (resource.clone(), secret(n)))).await
    }

    /// The API server's own limit: the children of the first object, created as many times by a plain client. Returns their
    /// number, and the time it took.
    pub(super) async fn limit(&self, count: usize) -> Result<(usize, Duration)> {
        let children = self.children_of_the_first().await?;
        let named = |(resource, object): &(ApiResource, Value), n: usize| {
            let text = object.to_string().replace("bench-0", &format!("bench-{n}"));
            serde_json::from_str(&text).map(|object: Value| (resource.clone(), object))
        };
        let all = (0..count).flat_map(|n| children.iter().map(move |child| named(child, n)));
        let all = all.collect::<Result<Vec<_>, _>>().context("a child is not JSON")?;
        let began = Instant::now();
        self.make(LIMIT, all.into_iter()).await?;
        Ok((children.len(), began.elapsed()))
    }

    async fn children_of_the_first(&self) -> Result<Vec<(ApiResource, Value)>> {
        let mut children = Vec::new();
        for resource in (self.controller.kept)() {
            let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), NAMESPACE, &resource);
            let of_first = ListParams::default()
                .labels("app.kubernetes.io/instance=bench-0,app.kubernetes.io/managed-by=temporal-stack");
            for object in api.list(&of_first).await?.items {
                let mut value = serde_json::to_value(&object)?;
                let metadata = json!({
                    "name": object.metadata.name, "labels": object.metadata.labels, "annotations": object.metadata.annotations,
                });
                value["metadata"] = metadata;
                value["apiVersion"] = json!(resource.api_version);
                value["kind"] = json!(resource.kind);
                if let Some(fields) = value.as_object_mut() {
                    fields.remove("status");
                }
                // The API server assigns addresses.
                if let Some(spec) = value["spec"].as_object_mut().filter(|_| resource.kind == "Service") {
                    spec.retain(|key, value| {
                        !key.starts_with("clusterIP") || *value == json!("None") || *value == json!(["None"])
                    });
                }
                children.push((resource.clone(), value));
            }
        }
        Ok(children)
    }

    async fn make(&self, namespace: &str, objects: impl Iterator<Item = (ApiResource, Value)>) -> Result<()> {
        let made = futures::stream::iter(objects).map(|(resource, object)| async move {
            let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), namespace, &resource);
            api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
            Ok::<_, anyhow::Error>(())
        });
        made.buffer_unordered(PARALLEL).try_collect::<Vec<_>>().await.map(drop)
    }
}
