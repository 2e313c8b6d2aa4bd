//! What stays, and what goes, with the object.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    One, Subject as _,
    objects::{are_equal, put_all},
    subject::NAME,
    until_gone,
};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod, Secret},
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams},
};
use serde_json::json;
use temporal_stack_common::api::ObjectStorage;

use crate::storage::{BUCKETS, for_each_engine, made, of, with_storage};

for_each_engine!(retained_objects_return_and_policy_delete_removes_all);

async fn delete(storage: &One<'_, ObjectStorage>) -> Result<()> {
    storage.objects().delete(NAME, &DeleteParams::default()).await?;
    until_gone(&storage.objects(), NAME).await?;
    until_gone(&storage.api::<StatefulSet>(), &ObjectStorage::set()).await?;
    until_gone(&storage.api::<Pod>(), &ObjectStorage::pod(0)).await
}

async fn retained_objects_return_and_policy_delete_removes_all(engine: &str) {
    with_storage(1, async |storage| {
        let spec = of(engine, &json!({}));
        let mut watch = made(storage, &spec).await?;
        let before = storage.bound(BUCKETS[0]).await?;
        put_all(&before.client()?, BUCKETS[0]).await?;
        let claims = storage.api::<PersistentVolumeClaim>();
        let claim = claims.list(&ListParams::default()).await?.items.pop().context("there is no volume")?;

        delete(storage).await?;
        watch.step("deleted; nothing runs after");
        for bucket in BUCKETS {
            until_gone(&storage.api::<Secret>(), &One::binding_of(bucket)).await?;
        }
        ensure!(claims.get(&claim.name_any()).await?.uid() == claim.uid(), "the volume is another one");

        // One of the same name takes over what was kept.
        storage.create(&spec).await?;
        storage.ready().await?;
        watch.step("made again; Ready after");
        ensure!(storage.event("Adopted").await?.contains("retained"), "no event tells of it");
        // Its Service, and so the address of this test, is another one.
        let after = storage.bound(BUCKETS[0]).await?;
        ensure!((&after.key, &after.bucket) == (&before.key, &before.bucket), "the binding is another one");
        are_equal(&after.client()?, BUCKETS[0]).await?;

        storage.patch(&json!({"spec": {"deletionPolicy": "Delete"}})).await?;
        storage.ready().await?;
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=temporal-stack");
        let names = storage.api::<Secret>().list(&ours).await?;
        let names: Vec<String> = names.iter().map(kube::ResourceExt::name_any).collect();
        delete(storage).await?;
        for name in &names {
            until_gone(&storage.api::<Secret>(), name).await?;
        }
        until_gone(&claims, &claim.name_any()).await?;
        watch.step("deleted with everything; all is gone after");
        Ok(())
    })
    .await;
}
