//! What holds for every kind, for this provider.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use e2e::{
    Controller, Identity, Record, Space,
    fake::CloudNativePg,
    prepare::api_server,
    snapshot::{children, normalised},
    with_namespace,
};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use temporal_stack_common::api::PostgresDatabase;

use super::{CLUSTER, INSTALLED, Subjects, absent_then_installed, cluster_of, delegated, release, spec, with_operator};
use crate::{
    crash::{ended_at_each_write, ensure_same},
    step::{look, quiet},
};

#[tokio::test]
async fn pass_over_an_unchanged_object_sends_no_request() {
    with_operator(async |space, controller, _| {
        space.create(&spec(&json!({}))).await?;
        delegated(space).await?;
        let before = quiet(space, controller).await?;
        for _ in 0..10 {
            look(space, controller).await?;
        }
        println!("requests until a database of CloudNativePG waits for its server alone:\n{before}");
        let after = controller.requests()?.of_passes();
        ensure!(after == before, "passes over an unchanged object made requests; before:\n{before}after:\n{after}");
        Ok(())
    })
    .await;
}

/// What is asked for, one after the other.
fn wanted() -> [Value; 2] {
    let fields = json!({"instances": 5, "parameters": {"work_mem": "8MB"}, "synchronous": {"number": 1}});
    let mut changed = spec(&fields);
    changed["deletionPolicy"] = json!("Delete");
    [spec(&json!({})), changed]
}

async fn ask(space: &Subjects<'_>, spec: &Value) -> Result<PostgresDatabase> {
    match space.objects().get_opt(e2e::subject::NAME).await? {
        None => space.create(spec).await,
        Some(_) => space.patch(&json!({ "spec": spec })).await,
    }
}

async fn outcome(space: &Space, controller: &Controller) -> Result<BTreeMap<String, String>> {
    let object = delegated(&space.one()).await?;
    quiet(&space.one::<PostgresDatabase>(), controller).await?;
    let mut children = children(space).await?;
    children.insert(format!("Cluster/{CLUSTER}"), serde_json::to_value(cluster_of(space).await?)?);
    Ok(normalised(&children, &object, &space.name))
}

async fn undisturbed() -> BTreeMap<String, String> {
    let mut children = BTreeMap::new();
    with_operator(async |space, controller, _| {
        for spec in &wanted() {
            ask(space, spec).await?;
            children = outcome(space, controller).await?;
        }
        Ok(())
    })
    .await;
    children
}

#[tokio::test]
async fn crash_around_each_write_leaves_the_same_objects() {
    INSTALLED.get_or_init(absent_then_installed).await;
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let operator = CloudNativePg::start(&space.client, &space.name);
        let identity = Identity::of_namespace::<PostgresDatabase>(space).await?;
        let record = Record::<Secret>::start(space).await?;
        for spec in &wanted() {
            ask(&space.one(), spec).await?;
            let ends = ended_at_each_write(space, &identity).await?;
            println!("a database of CloudNativePG: ended {ends} times");
            ensure!(ends > 3, "there were hardly any writes");
        }
        let controller = Controller::start_as(space, &identity).await?;
        let disturbed = outcome(space, &controller).await?;
        record.assert_made_once()?;
        drop((controller, operator));
        release(space).await?;
        ensure_same(&disturbed, &undisturbed().await)
    })
    .await;
}
