//! What outlives an object, and another provider in its spec.

use anyhow::{Result, ensure};
use e2e::{
    Subject as _,
    fake::cloud_native_pg::{HIBERNATION, clusters},
    subject::NAME,
    until, until_gone,
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::PostgresDatabase,
    condition::{RECONCILING, STALLED},
};

use super::{CLUSTER, Subjects, cluster_of, delegated, spec, with_operator};
use crate::step::{made, quiet, theirs};

async fn delete(space: &Subjects<'_>) -> Result<()> {
    space.objects().delete(NAME, &DeleteParams::default()).await?;
    until_gone(&space.objects(), NAME).await
}

#[tokio::test]
async fn retained_cluster_is_hibernated_and_adopted_by_an_object_of_the_same_name() {
    with_operator(async |space, _, _| {
        space.create(&spec(&json!({}))).await?;
        delegated(space).await?;
        let before = cluster_of(space).await?;
        ensure!(before.owner_references().is_empty(), "garbage collection would take the data");
        let secret = space.api::<Secret>().get("temporal-postgresdatabase-cluster-administrator").await?;
        delete(space).await?;
        let clusters = clusters(&space.client, &space.name);
        let hibernated =
            |cluster: &DynamicObject| cluster.annotations().get(HIBERNATION).is_some_and(|value| value == "on");
        let retained = until(&clusters, CLUSTER, "been hibernated", hibernated).await?;
        ensure!(
            retained.uid() == before.uid() && retained.metadata.deletion_timestamp.is_none(),
            "it was not retained"
        );

        space.create(&spec(&json!({}))).await?;
        delegated(space).await?;
        let adopted = until(&clusters, CLUSTER, "been woken", |cluster| !hibernated(cluster)).await?;
        ensure!(adopted.uid() == before.uid(), "the cluster was not adopted");
        let after = space.api::<Secret>().get("temporal-postgresdatabase-cluster-administrator").await?;
        ensure!(after.uid() == secret.uid(), "the password was drawn again");

        // A user's own hibernation is left alone.
        let users = Patch::Merge(json!({"metadata": {"annotations": {HIBERNATION: "on"}}}));
        clusters.patch(CLUSTER, &PatchParams::default(), &users).await?;
        space.condition_about("Delegated", "False", "Hibernated", &["runs no server"]).await?;
        space
            .condition_about(RECONCILING, "True", "Hibernated", &["annotate clusters.postgresql.cnpg.io"])
            .await
            .map(drop)
    })
    .await;
}

#[tokio::test]
async fn deleted_object_takes_its_cluster_along_under_delete() {
    with_operator(async |space, _, _| {
        let mut wanted = spec(&json!({}));
        wanted["deletionPolicy"] = json!("Delete");
        space.create(&wanted).await?;
        delegated(space).await?;
        delete(space).await?;
        until_gone(&clusters(&space.client, &space.name), CLUSTER).await?;
        until_gone(&space.api::<Secret>(), "temporal-postgresdatabase-cluster-administrator").await
    })
    .await;
}

#[tokio::test]
async fn provider_with_data_is_not_left_before_anything_changes() {
    with_operator(async |space, controller, _| {
        space.create(&spec(&json!({}))).await?;
        delegated(space).await?;
        let before = cluster_of(space).await?.resource_version();
        let theirs = theirs::<PostgresDatabase>(space).await?;
        for (other, name) in
            [(json!({"postgres": {}}), "postgres"), (json!({"external": {"secretName": "theirs"}}), "external")]
        {
            let mut provider = json!({"cloudNativePg": null, "postgres": null, "external": null});
            provider.as_object_mut().into_iter().zip(other.as_object()).for_each(|(all, one)| all.extend(one.clone()));
            space.patch(&json!({"spec": {"provider": provider}})).await?;
            let told = format!("from cloudNativePg to {name}");
            space.condition_about(STALLED, "True", "ProviderChanged", &[&told, "set spec.provider back"]).await?;
            quiet(space, controller).await?;
            ensure!(cluster_of(space).await?.resource_version() == before, "the cluster has changed");
        }
        drop(theirs);
        let mut back = spec(&json!({}));
        back["provider"]["external"] = Value::Null;
        space.patch(&json!({"spec": back})).await?;
        delegated(space).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn embedded_server_with_a_volume_is_not_left_for_a_cluster() {
    with_operator(async |space, controller, _| {
        made(space, controller).await?;
        let claims = space.api::<PersistentVolumeClaim>();
        let claim = until(&claims, &PostgresDatabase::volume(0), "been made", |_| true).await?;
        let mut provider = spec(&json!({}))["provider"].clone();
        provider["postgres"] = Value::Null;
        space.patch(&json!({"spec": {"provider": provider}})).await?;
        let told =
            ["from postgres to cloudNativePg", "PersistentVolumeClaim/data-temporal-postgresdatabase-0", "pg_dump"];
        space.condition_about(STALLED, "True", "ProviderChanged", &told).await?;
        quiet(space, controller).await?;
        ensure!(clusters(&space.client, &space.name).get_opt(CLUSTER).await?.is_none(), "a cluster was made");
        ensure!(claims.get(&claim.name_any()).await?.uid() == claim.uid(), "the volume was touched");
        Ok(())
    })
    .await;
}
