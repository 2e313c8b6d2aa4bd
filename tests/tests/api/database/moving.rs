//! A change of the provider, as far as it goes without a server that can be copied from: a database elsewhere answers one query, and goes
//! on serving while its target is set up, until the spec names it again.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Controller, Identity, One, Space, Subject as _,
    fake::{
        CloudNativePg, Postgres,
        cloud_native_pg::{CLUSTERS, clusters, crd},
    },
    prepare::api_server,
    subject::{NAME, condition_of},
    until, until_gone, with_namespace,
};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{PersistentVolumeClaim, Secret, Service},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::PostgresDatabase,
    condition::{READY, RECONCILING, STALLED},
};

use crate::{
    crash::ended_at_each_write,
    step::{made, quiet, write_secret},
    with_controller,
};

type Subjects<'a> = One<'a, PostgresDatabase>;

/// The record of a move, and its Job.
const MOVE: &str = "temporal-postgresdatabase-move";

/// A Secret that leads to a server at which every query has one answer.
async fn answering(space: &Space) -> Result<Postgres> {
    let server = Postgres::start().await?;
    let keys = json!({
        "host": "127.0.0.1", "port": server.address().port().to_string(), "username": "u", "password": "p",
        "database": "d",
    });
    write_secret(space, "theirs", &keys).await?;
    Ok(server)
}

/// A patch of the spec to this provider alone.
fn provider(provider: &Value) -> Value {
    let mut all = json!({"postgres": null, "cloudNativePg": null, "external": null});
    for (key, value) in provider.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    json!({"spec": {"provider": all}})
}

fn external() -> Value {
    provider(&json!({"external": {"secretName": "theirs"}}))
}

fn embedded() -> Value {
    provider(&PostgresDatabase::embedded()["provider"])
}

fn delegated() -> Value {
    provider(&json!({"cloudNativePg": {"storage": {"size": "1Gi"}}}))
}

async fn binding(space: &Space) -> Result<Secret> {
    Ok(space.api::<Secret>().get(&PostgresDatabase::binding()).await?)
}

/// Waits until the target is being set up while the source serves.
async fn until_prepared(space: &Subjects<'_>) -> Result<()> {
    space.condition("Moving", "True", "Preparing").await?;
    space
        .until("Ready beside Reconciling", |object| {
            let is = |kind| condition_of(object, kind).is_some_and(|condition| condition.status == "True");
            is(READY) && is(RECONCILING)
        })
        .await
        .map(drop)
}

/// Waits until nothing of the move is left.
async fn until_returned(space: &Subjects<'_>) -> Result<()> {
    until_gone(&space.api::<Secret>(), MOVE).await?;
    space.ready().await?;
    // The status follows what was written.
    space.until("no condition of a move", |object| condition_of(object, "Moving").is_none()).await.map(drop)
}

#[tokio::test]
async fn source_serves_while_an_embedded_target_comes_and_goes() {
    with_controller::<PostgresDatabase>(async |space, controller| {
        let _server = answering(space).await?;
        space.create(&json!({"provider": {"external": {"secretName": "theirs"}}})).await?;
        space.ready().await?;
        let before = binding(space).await?;

        space.patch(&embedded()).await?;
        until(&space.api::<StatefulSet>(), &PostgresDatabase::set(), "been made", |_| true).await?;
        until(&space.api::<PersistentVolumeClaim>(), &PostgresDatabase::volume(0), "been made", |_| true).await?;
        until_prepared(space).await?;
        let record = space.api::<Secret>().get(MOVE).await?;
        ensure!(record.owner_references().is_empty(), "the record goes before the data");
        ensure!(binding(space).await?.data == before.data, "the binding has changed");

        space.patch(&external()).await?;
        until_returned(space).await?;
        until_gone(&space.api::<StatefulSet>(), &PostgresDatabase::set()).await?;
        until_gone(&space.api::<Service>(), &PostgresDatabase::set()).await?;
        until_gone(&space.api::<PersistentVolumeClaim>(), &PostgresDatabase::volume(0)).await?;
        ensure!(binding(space).await?.data == before.data, "the binding has changed");
        quiet(space, controller).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn source_serves_while_a_cluster_comes_and_goes() {
    with_controller::<PostgresDatabase>(async |space, controller| {
        install(space).await?;
        let _operator = CloudNativePg::start(&space.client, &space.name);
        let _server = answering(space).await?;
        space.create(&json!({"provider": {"external": {"secretName": "theirs"}}})).await?;
        space.ready().await?;
        let before = binding(space).await?;
        let clusters = clusters(&space.client, &space.name);
        space.patch(&delegated()).await?;
        until(&clusters, &PostgresDatabase::set(), "been made", |_| true).await?;
        until_prepared(space).await?;
        ensure!(binding(space).await?.data == before.data, "the binding has changed");

        space.patch(&external()).await?;
        until_gone(&clusters, &PostgresDatabase::set()).await?;
        until_returned(space).await?;
        ensure!(binding(space).await?.data == before.data, "the binding has changed");
        quiet(space, controller).await.map(drop)
    })
    .await;
}

/// The kind is there for all tests of the process, whichever comes first.
async fn install(space: &Space) -> Result<()> {
    let kinds = Api::<CustomResourceDefinition>::all(space.client.clone());
    match kinds.create(&PostParams::default(), &crd()?).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        installed => drop(installed?),
    }
    until(&kinds, CLUSTERS, "been established", |kind| {
        let conditions = kind.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().any(|condition| condition.type_ == "Established" && condition.status == "True")
    })
    .await
    .map(drop)
}

#[tokio::test]
async fn volume_from_before_is_never_a_target() {
    with_controller::<PostgresDatabase>(async |space, controller| {
        made(space, controller).await?;
        let claims = space.api::<PersistentVolumeClaim>();
        let claim = until(&claims, &PostgresDatabase::volume(0), "been made", |_| true).await?;
        let _server = answering(space).await?;
        space.patch(&external()).await?;
        space.ready().await?;
        space.condition_about("PreviousDataKept", "True", "Retained", &["delete pvc"]).await?;

        space.patch(&embedded()).await?;
        let told = ["has data from before", "delete pvc data-temporal-postgresdatabase-0", "back to external"];
        space.condition_about(STALLED, "True", "MoveBlocked", &told).await?;
        space
            .until("Ready about the old server", |object| {
                condition_of(object, READY).is_some_and(|ready| ready.status == "True")
            })
            .await?;
        quiet(space, controller).await?;
        ensure!(claims.get(&claim.name_any()).await?.uid() == claim.uid(), "the volume was touched");
        ensure!(space.api::<Secret>().get_opt(MOVE).await?.is_none(), "the move has begun");

        claims.delete(&claim.name_any(), &DeleteParams::default()).await?;
        until_prepared(space).await?;
        space.patch(&external()).await?;
        until_returned(space).await
    })
    .await;
}

#[tokio::test]
async fn changed_provider_in_the_binding_is_drift() {
    with_controller::<PostgresDatabase>(async |space, _| {
        let _server = answering(space).await?;
        space.create(&json!({"provider": {"external": {"secretName": "theirs"}}})).await?;
        space.ready().await?;
        let secrets = space.api::<Secret>();
        let patch = Patch::Merge(json!({"stringData": {"provider": "postgres"}}));
        secrets.patch(&PostgresDatabase::binding(), &PatchParams::default(), &patch).await?;
        until(&secrets, &PostgresDatabase::binding(), "been corrected", |binding| {
            temporal_stack_common::binding::text(binding, "provider") == Some("external")
        })
        .await?;
        ensure!(secrets.get_opt(MOVE).await?.is_none(), "a move has begun");
        Ok(())
    })
    .await;
}

/// A change to another provider and back, with an end of the process before and after each write.
#[tokio::test]
async fn crash_around_each_write_of_a_move_loses_nothing() {
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let _server = answering(space).await?;
        let objects: Subjects<'_> = space.one();
        objects.create(&json!({"provider": {"external": {"secretName": "theirs"}}})).await?;
        let identity = Identity::of_namespace::<PostgresDatabase>(space).await?;
        ended_at_each_write(space, &identity).await?;
        let before = binding(space).await?;
        let uid = before.uid().context("the binding exists")?;

        objects.patch(&embedded()).await?;
        let ends = ended_at_each_write(space, &identity).await?;
        println!("to the target: ended {ends} times");
        ensure!(ends > 3, "there were hardly any writes");
        let records = space.api::<Secret>();
        let record = records.get(MOVE).await?;
        ensure!(binding(space).await?.uid().as_ref() == Some(&uid), "the binding was made again");

        objects.patch(&external()).await?;
        let ends = ended_at_each_write(space, &identity).await?;
        println!("back: ended {ends} times");
        let controller = Controller::start_as(space, &identity).await?;
        until_returned(&objects).await?;
        until_gone(&space.api::<PersistentVolumeClaim>(), &PostgresDatabase::volume(0)).await?;
        ensure!(record.metadata.uid.is_some() && records.get_opt(MOVE).await?.is_none());
        ensure!(binding(space).await?.data == before.data, "the binding has changed");
        objects.objects().delete(NAME, &DeleteParams::default()).await?;
        drop(controller);
        Ok(())
    })
    .await;
}
