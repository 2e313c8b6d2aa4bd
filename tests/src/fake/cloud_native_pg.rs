//! CloudNativePG's operator, as far as a `Cluster` shows it: Services, a login of its own, and a status. There are no servers.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use k8s_openapi::{
    api::{
        admissionregistration::v1::ValidatingWebhookConfiguration,
        core::v1::{Secret, Service},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};
use tokio::{
    task::JoinHandle,
    time::{interval, timeout},
};

use crate::{HANG, Space};

/// The name of the CRD.
pub const CLUSTERS: &str = "clusters.postgresql.cnpg.io";
/// The phase of a cluster that does nothing.
const HEALTHY: &str = "Cluster in healthy state";
/// The annotation that stops the servers.
pub const HIBERNATION: &str = "cnpg.io/hibernation";

/// The running operator of a namespace; it ends when this is dropped.
pub struct CloudNativePg {
    fields: Arc<Mutex<Value>>,
    working: JoinHandle<()>,
}

impl Drop for CloudNativePg {
    fn drop(&mut self) {
        self.working.abort();
    }
}

impl CloudNativePg {
    /// Starts it for the clusters of a namespace.
    pub fn start(client: &Client, namespace: &str) -> Self {
        let fields = Arc::new(Mutex::new(json!({})));
        let operator = Operator { client: client.clone(), namespace: namespace.to_owned(), fields: fields.clone() };
        Self { fields, working: tokio::spawn(async move { operator.run().await }) }
    }

    /// From now on the status of clusters has these fields, too; each cluster is looked at when it changes.
    pub fn reports(&self, fields: Value) {
        *self.fields.lock().unwrap_or_else(PoisonError::into_inner) = fields;
    }
}

/// The clusters of a namespace.
pub fn clusters(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("postgresql.cnpg.io", "v1", "Cluster"));
    Api::namespaced_with(client.clone(), namespace, &kind)
}

/// The CRD as release 1.30.0 has it.
pub fn crd() -> Result<CustomResourceDefinition> {
    let text = include_str!("../../fixtures/cloud-native-pg/cluster.yaml");
    Ok(serde_saphyr::from_str(text)?)
}

/// The same of another release: it serves this version instead.
pub fn crd_of_version(version: &str) -> Result<CustomResourceDefinition> {
    let mut crd = crd()?;
    for served in &mut crd.spec.versions {
        version.clone_into(&mut served.name);
    }
    Ok(crd)
}

/// The operator's webhook for the clusters of a namespace, at which nobody answers: it is registered until this is removed.
pub struct SilentWebhook {
    webhooks: Api<ValidatingWebhookConfiguration>,
    name: String,
}

impl SilentWebhook {
    /// Registers it.
    pub async fn register(space: &Space) -> Result<Self> {
        let webhooks = Api::<ValidatingWebhookConfiguration>::all(space.client.clone());
        let name = format!("cnpg-{}", space.name);
        let webhook = json!({
            "metadata": {
                "name": name,
                "ownerReferences": [{"apiVersion": "v1", "kind": "Namespace", "name": space.name, "uid": space.uid}],
            },
            "webhooks": [{
                "name": "vcluster.cnpg.io",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "timeoutSeconds": 2,
                "clientConfig": {"url": "https://127.0.0.1:1/validate-postgresql-cnpg-io-v1-cluster"},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space.name}},
                "rules": [{
                    "apiGroups": ["postgresql.cnpg.io"], "apiVersions": ["v1"], "resources": ["clusters"],
                    "operations": ["CREATE", "UPDATE"],
                }],
            }],
        });
        webhooks.create(&PostParams::default(), &serde_json::from_value(webhook)?).await?;
        let registered = Self { webhooks, name };
        let taken_up = timeout(HANG, until_refused(space)).await;
        taken_up.context("the API server did not take up the webhook")??;
        Ok(registered)
    }

    /// Removes it: the operator is there again.
    pub async fn remove(self) -> Result<()> {
        self.webhooks.delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }
}

/// Asks until the webhook is asked, too: the API server takes it up when it gets round to it, and tells nobody.
async fn until_refused(space: &Space) -> Result<()> {
    let cluster = json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "dry-run"}, "spec": {"instances": 1},
    });
    let cluster = serde_json::from_value(cluster)?;
    let (clusters, params) =
        (clusters(&space.client, &space.name), PostParams { dry_run: true, ..PostParams::default() });
    let mut turns = interval(Duration::from_millis(50));
    loop {
        match clusters.create(&params, &cluster).await {
            Err(kube::Error::Api(status)) if status.message.contains("failed calling webhook") => return Ok(()),
            answer => drop(answer?),
        }
        turns.tick().await;
    }
}

struct Operator {
    client: Client,
    namespace: String,
    fields: Arc<Mutex<Value>>,
}

impl Operator {
    async fn run(&self) {
        let clusters = clusters(&self.client, &self.namespace);
        let mut changes =
            pin!(watcher::watcher(clusters, watcher::Config::default()).default_backoff().applied_objects());
        while let Some(change) = changes.next().await {
            let Ok(cluster) = change else { continue };
            if let Err(error) = self.take(&cluster).await {
                println!("fake CloudNativePG: {}: {error:#}", cluster.name_any());
            }
        }
    }

    async fn take(&self, cluster: &DynamicObject) -> Result<()> {
        if cluster.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let name = cluster.name_any();
        for service in ["rw", "r"] {
            self.make_service(cluster, &format!("{name}-{service}")).await?;
        }
        self.make_login(cluster).await?;
        let status = self.status(cluster);
        if cluster.data["status"] != status {
            let patch = Patch::Merge(json!({"status": status}));
            clusters(&self.client, &self.namespace).patch_status(&name, &PatchParams::default(), &patch).await?;
        }
        Ok(())
    }

    fn status(&self, cluster: &DynamicObject) -> Value {
        let (name, spec) = (cluster.name_any(), &cluster.data["spec"]);
        let is_hibernated = cluster.annotations().get(HIBERNATION).is_some_and(|value| value == "on");
        let instances = if is_hibernated { json!(0) } else { spec["instances"].clone() };
        let image = spec["imageName"].as_str().unwrap_or("registry.invalid/postgres:17");
        let mut status = json!({
            "phase": HEALTHY, "instances": instances, "readyInstances": instances,
            "currentPrimary": format!("{name}-1"), "targetPrimary": format!("{name}-1"), "image": image,
            "cloudNativePGOperatorHash": "fake",
            "certificates": {"expirations": {format!("{name}-ca"): "2099-01-01 00:00:00 +0000 UTC"}},
        });
        let fields = self.fields.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (key, value) in fields.as_object().into_iter().flatten() {
            status[key] = value.clone();
        }
        status
    }

    async fn make_service(&self, cluster: &DynamicObject, name: &str) -> Result<()> {
        let service = json!({
            "metadata": metadata(cluster, name)?,
            "spec": {"ports": [{"name": "postgres", "port": 5432}], "selector": {"cnpg.io/cluster": cluster.name_any()}},
        });
        let services = Api::<Service>::namespaced(self.client.clone(), &self.namespace);
        made(services.create(&PostParams::default(), &serde_json::from_value(service)?).await)
    }

    /// The login that the real one makes for the owner: its URI is never corrected.
    async fn make_login(&self, cluster: &DynamicObject) -> Result<()> {
        let owner = cluster.data["spec"]["bootstrap"]["initdb"]["owner"].as_str().unwrap_or("app");
        let secret = json!({
            "metadata": metadata(cluster, &format!("{}-app", cluster.name_any()))?,
            "type": "kubernetes.io/basic-auth",
            "stringData": {"username": owner, "password": "of-cnpg", "uri": "postgresql://stale"},
        });
        let secrets = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        made(secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await)
    }
}

/// Everything belongs to the cluster, and goes with it.
fn metadata(cluster: &DynamicObject, name: &str) -> Result<Value> {
    Ok(json!({
        "name": name,
        "labels": {"cnpg.io/cluster": cluster.name_any()},
        "ownerReferences": [{
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "name": cluster.name_any(),
            "uid": cluster.uid().context("the cluster has a UID")?, "controller": true,
        }],
    }))
}

fn made<K>(answer: kube::Result<K>) -> Result<()> {
    match answer {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        answer => Ok(answer.map(drop)?),
    }
}
