//! Rook's provisioner of buckets, as far as a claim shows it: it overwrites, writes back into the spec, and says nothing about what
//! is wrong. The buckets are those of a fake storage.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, ObjectMeta, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::S3;

/// The name of the CRD of claims.
pub const CLAIMS: &str = "objectbucketclaims.objectbucket.io";
/// What holds a claim, its ConfigMap and its Secret until the bucket is gone.
const FINALIZER: &str = "objectbucket.io/finalizer";
/// The label of what the provisioner makes.
const PROVISIONED: &str = "bucket-provisioner";

/// How the provisioner behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// It creates buckets.
    Works,
    /// It takes claims, and nothing comes of it, without a word.
    Fails,
}

/// The running provisioner of a namespace; it ends when this is dropped.
pub struct Rook {
    conduct: Arc<Mutex<Conduct>>,
    working: JoinHandle<()>,
}

impl Drop for Rook {
    fn drop(&mut self) {
        self.working.abort();
    }
}

impl Rook {
    /// Starts it for the claims of a namespace.
    pub fn start(client: &Client, namespace: &str, storage: Arc<S3>, conduct: Conduct) -> Self {
        let conduct = Arc::new(Mutex::new(conduct));
        let provisioner =
            Provisioner { client: client.clone(), namespace: namespace.to_owned(), storage, conduct: conduct.clone() };
        Self { conduct, working: tokio::spawn(async move { provisioner.run().await }) }
    }

    /// Changes its conduct; a claim is looked at again when it changes.
    pub fn behaves(&self, conduct: Conduct) {
        *self.conduct.lock().unwrap_or_else(PoisonError::into_inner) = conduct;
    }
}

/// The claims.
pub fn claims(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource("objectbucket.io", "v1alpha1", "ObjectBucketClaim"))
}

/// The object stores.
pub fn stores(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource("ceph.rook.io", "v1", "CephObjectStore"))
}

fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// The CRDs, of Rook's shape.
pub fn crds() -> Result<Vec<CustomResourceDefinition>> {
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let text = json!({"type": "string"});
    let claim = json!({"type": "object", "properties": {
        "storageClassName": text,
        "bucketName": text,
        "generateBucketName": text,
        "additionalConfig": {"type": "object", "nullable": true, "x-kubernetes-preserve-unknown-fields": true},
        "objectBucketName": text,
    }});
    [
        crd("objectbucket.io", "v1alpha1", "ObjectBucketClaim", &claim, &anything),
        crd("ceph.rook.io", "v1", "CephObjectStore", &anything, &anything),
    ]
    .into_iter()
    .collect()
}

fn crd(group: &str, version: &str, kind: &str, spec: &Value, status: &Value) -> Result<CustomResourceDefinition> {
    let singular = kind.to_lowercase();
    let plural = format!("{singular}s");
    Ok(serde_json::from_value(json!({
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "names": {"kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": singular},
            "scope": "Namespaced",
            "versions": [{
                "name": version, "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
            }],
        },
    }))?)
}

struct Provisioner {
    client: Client,
    namespace: String,
    storage: Arc<S3>,
    conduct: Arc<Mutex<Conduct>>,
}

impl Provisioner {
    async fn run(&self) {
        let claims = claims(&self.client, &self.namespace);
        let mut changes =
            pin!(watcher::watcher(claims, watcher::Config::default()).default_backoff().applied_objects());
        while let Some(change) = changes.next().await {
            let Ok(claim) = change else { continue };
            if let Err(error) = self.take(&claim).await {
                // The log is the only place where the real one says it.
                println!("fake Rook: {}: {error:#}", claim.name_any());
            }
        }
    }

    async fn take(&self, claim: &DynamicObject) -> Result<()> {
        if claim.metadata.deletion_timestamp.is_some() {
            return self.remove(claim).await;
        }
        if phase(claim) == Some("Bound") {
            return Ok(());
        }
        let name = claim.name_any();
        let claims = claims(&self.client, &self.namespace);
        if *self.conduct.lock().unwrap_or_else(PoisonError::into_inner) == Conduct::Fails {
            return if phase(claim) == Some("Pending") { Ok(()) } else { self.report(&claims, &name, "Pending").await };
        }
        // The bucket's name is written back into the spec, by an update of the whole object.
        let mut written = claim.clone();
        let generated = claim.data["spec"]["generateBucketName"].as_str().context("the claim names no bucket")?;
        let prefix: String = generated.chars().take(26).collect();
        let suffix = claim.uid().context("the claim has a UID")?;
        let bucket =
            claim.data["spec"]["bucketName"].as_str().map_or_else(|| format!("{prefix}-{suffix}"), str::to_owned);
        written.data["spec"]["bucketName"] = json!(bucket);
        written.data["spec"]["objectBucketName"] = json!(format!("obc-{}-{name}", self.namespace));
        written.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
        written.labels_mut().insert(PROVISIONED.to_owned(), "rook-ceph.ceph.rook.io-bucket".to_owned());
        if written != *claim {
            claims.replace(&name, &PostParams::default(), &written).await?;
        }
        let id = self.storage.grant(&bucket);
        self.write_results(claim, &bucket, &id).await?;
        self.report(&claims, &name, "Bound").await
    }

    async fn report(&self, claims: &Api<DynamicObject>, name: &str, phase: &str) -> Result<()> {
        let status = Patch::Merge(json!({"status": {"phase": phase}}));
        claims.patch_status(name, &PatchParams::default(), &status).await?;
        Ok(())
    }

    /// What has the name already is overwritten, whoever owns it.
    async fn write_results(&self, claim: &DynamicObject, bucket: &str, id: &str) -> Result<()> {
        let metadata = self.metadata(claim)?;
        let address = self.storage.address();
        let place = [
            ("BUCKET_NAME", bucket.to_owned()),
            ("BUCKET_HOST", address.ip().to_string()),
            ("BUCKET_PORT", address.port().to_string()),
            ("BUCKET_REGION", String::new()),
            ("BUCKET_SUBREGION", String::new()),
        ];
        let place: BTreeMap<String, String> = place.map(|(key, value)| (key.to_owned(), value)).into();
        let map = ConfigMap { metadata: metadata.clone(), data: Some(place), ..ConfigMap::default() };
        overwrite(&Api::namespaced(self.client.clone(), &self.namespace), map).await?;
        let key = [("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", super::s3::SECRET)];
        let key = key.map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())));
        let secret = Secret { metadata, data: Some(key.into()), ..Secret::default() };
        overwrite(&Api::namespaced(self.client.clone(), &self.namespace), secret).await
    }

    fn metadata(&self, claim: &DynamicObject) -> Result<ObjectMeta> {
        Ok(serde_json::from_value(json!({
            "name": claim.name_any(),
            "namespace": self.namespace,
            "finalizers": [FINALIZER],
            "labels": {PROVISIONED: "rook-ceph.ceph.rook.io-bucket"},
            "ownerReferences": [{
                "apiVersion": "objectbucket.io/v1alpha1", "kind": "ObjectBucketClaim", "name": claim.name_any(),
                "uid": claim.uid(), "controller": true, "blockOwnerDeletion": true,
            }],
        }))?)
    }

    /// The class says Delete: the bucket goes with all its objects.
    async fn remove(&self, claim: &DynamicObject) -> Result<()> {
        if let Some(bucket) = claim.data["spec"]["bucketName"].as_str() {
            self.storage.purge(bucket);
        }
        let name = claim.name_any();
        let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        let params = PatchParams::default();
        let (client, namespace) = (self.client.clone(), &self.namespace);
        for freed in [
            Api::<ConfigMap>::namespaced(client.clone(), namespace).patch(&name, &params, &free).await.map(drop),
            Api::<Secret>::namespaced(client, namespace).patch(&name, &params, &free).await.map(drop),
            claims(&self.client, namespace).patch(&name, &params, &free).await.map(drop),
        ] {
            match freed {
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                freed => freed?,
            }
        }
        Ok(())
    }
}

fn phase(claim: &DynamicObject) -> Option<&str> {
    claim.data["status"]["phase"].as_str()
}

async fn overwrite<K>(api: &Api<K>, object: K) -> Result<()>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let mut object = object;
    let name = object.meta().name.clone().unwrap_or_default();
    match api.get_opt(&name).await? {
        Some(live) => {
            object.meta_mut().resource_version.clone_from(&live.meta().resource_version);
            api.replace(&name, &PostParams::default(), &object).await?;
        }
        None => {
            api.create(&PostParams::default(), &object).await?;
        }
    }
    Ok(())
}
