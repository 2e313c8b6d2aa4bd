//! Buckets that a provisioner creates: their claims, settings and bindings.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Space,
    fake::rook::{Conduct, claims},
    subject::assert_told,
    until,
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    ResourceExt as _,
    api::{DynamicObject, PostParams},
};
use serde_json::{Value, json};

use super::{binding, claim, spec, with_rook};

fn config(claim: &DynamicObject) -> &Value {
    &claim.data["spec"]["additionalConfig"]
}

/// The fields of the spec that the controller owns.
fn owned(claim: &DynamicObject) -> Result<Vec<String>> {
    let entries = claim.metadata.managed_fields.clone().unwrap_or_default();
    let ours = entries.into_iter().filter(|entry| entry.manager.as_deref() == Some("storage"));
    let fields = ours.filter_map(|entry| entry.fields_v1).map(|fields| serde_json::to_value(fields.0));
    let fields: Vec<Value> = fields.collect::<Result<_, _>>()?;
    let names = fields.iter().filter_map(|fields| fields["f:spec"].as_object());
    Ok(names.flat_map(|fields| fields.keys().cloned()).collect())
}

#[tokio::test]
async fn buckets_become_ready_with_bindings_of_their_own() {
    with_rook(Conduct::Works, async |space, stage| {
        let buckets = json!([
            {"name": "photos", "versioning": true, "expirationDays": 30},
            {"name": "logs"},
        ]);
        space.create(&spec(space, &buckets)).await?;
        space.ready().await?;
        let photos = binding(space, "photos").await?;
        let logs = binding(space, "logs").await?;
        ensure!(photos["endpoint"] == format!("http://{}", stage.storage.address()), "another endpoint");
        ensure!(photos["provider"] == "rook" && photos["restricted"] == "true", "another binding");
        ensure!(photos["bucket"].starts_with("temporal-objectstorage-pho"), "{}", photos["bucket"]);
        ensure!(photos["access-key-id"] != logs["access-key-id"], "both buckets have the same key");
        let setting = |name| stage.storage.setting(&photos["bucket"], name);
        ensure!(setting("versioning").is_some_and(|document| document.contains("Enabled")), "no versions are kept");
        ensure!(setting("lifecycle").is_some_and(|document| document.contains("<Days>30</Days>")), "nothing expires");
        ensure!(stage.storage.setting(&logs["bucket"], "lifecycle").is_none(), "the other bucket was changed");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn names_that_are_written_back_are_not_taken_over() {
    with_rook(Conduct::Works, async |space, _| {
        space.create(&spec(space, &json!([{"name": "photos"}]))).await?;
        space.ready().await?;
        let before = claim(space, "photos").await?;
        ensure!(before.data["spec"]["bucketName"].is_string(), "the provisioner wrote nothing back");
        space.patch(&json!({"spec": {"buckets": [{"name": "photos", "quota": "5Gi"}]}})).await?;
        let claims = claims(&space.client, &space.name);
        let limited = until(&claims, &before.name_any(), "a quota", |claim| config(claim)["maxSize"] == "5Gi").await?;
        space.ready().await?;
        space.patch(&json!({"spec": {"buckets": [{"name": "photos"}]}})).await?;
        let after = until(&claims, &before.name_any(), "no quota", |claim| config(claim)["maxSize"].is_null()).await?;
        for claim in [&limited, &after] {
            for field in ["bucketName", "objectBucketName", "generateBucketName", "storageClassName"] {
                ensure!(claim.data["spec"][field] == before.data["spec"][field], "{field} has changed");
            }
            let owned = owned(claim)?;
            ensure!(!owned.iter().any(|field| field == "f:bucketName" || field == "f:objectBucketName"), "{owned:?}");
        }
        ensure!(after.uid() == before.uid(), "the claim was made again");
        Ok(())
    })
    .await;
}

/// Objects of a user with names that the bucket and its object suggest.
async fn foreign(space: &Space, name: &str) -> Result<(ConfigMap, Secret)> {
    let map = serde_json::from_value(json!({"metadata": {"name": name}, "data": {"their": "own"}}))?;
    let secret = serde_json::from_value(json!({"metadata": {"name": name}, "stringData": {"their": "own"}}))?;
    let params = PostParams::default();
    Ok((space.api().create(&params, &map).await?, space.api().create(&params, &secret).await?))
}

#[tokio::test]
async fn objects_with_likely_names_are_not_overwritten() {
    with_rook(Conduct::Works, async |space, _| {
        let mut before = Vec::new();
        for name in ["photos", "temporal-photos", "temporal-objectstorage-photos"] {
            before.push((name, foreign(space, name).await?));
        }
        space.create(&spec(space, &json!([{"name": "photos"}]))).await?;
        space.ready().await?;
        for (name, (map, secret)) in before {
            ensure!(space.api::<ConfigMap>().get(name).await? == map, "ConfigMap/{name} was overwritten");
            ensure!(space.api::<Secret>().get(name).await? == secret, "Secret/{name} was overwritten");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn key_of_a_bucket_is_told_to_nobody() {
    with_rook(Conduct::Works, async |space, _| {
        space.create(&spec(space, &json!([{"name": "photos"}]))).await?;
        let ready = space.ready().await?;
        let bound = binding(space, "photos").await?;
        let object = serde_json::to_string(&space.get().await?)?;
        for part in ["access-key-id", "secret-access-key"] {
            let value = bound.get(part).context("the binding has a key")?;
            ensure!(!object.contains(value.as_str()), "{part} is in the object");
        }
        assert_told(&ready, &[])
    })
    .await;
}

#[tokio::test]
async fn bucket_that_vanished_is_not_replaced_by_an_empty_one() {
    with_rook(Conduct::Works, async |space, stage| {
        space.create(&spec(space, &json!([{"name": "photos"}]))).await?;
        space.ready().await?;
        let bound = binding(space, "photos").await?;
        stage.storage.lose(&bound["bucket"]);
        space.annotate("example.com/look", &json!("1")).await?;
        space.condition_about("BucketsReady", "False", "BucketFailed", &["photos", "NoSuchBucket"]).await?;
        ensure!(!stage.storage.buckets().contains(&bound["bucket"]), "an empty bucket was made");
        Ok(())
    })
    .await;
}
