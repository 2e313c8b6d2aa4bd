//! etcd is put back to a snapshot while a controller runs: the past is believed, and acted upon.

use anyhow::{Result, ensure};
use e2e::{
    Controller, Identity, Space, Stopwatch, Subject as _, fake::Postgres, plane::Plane, step::write_secret,
    subject::external, until, with_namespace,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, PostParams};
use serde_json::json;
use temporal_stack_common::{api::PostgresDatabase, binding::text};

/// So far is the API server ahead of the snapshot when it is put back.
const AHEAD: u32 = 300;
/// So often may the controller end: for each time the API server is away, and once more.
const MOST_STARTS: u32 = 6;

/// The user's Secret, with this login.
async fn write(space: &Space, fake: &Postgres, username: &str) -> Result<()> {
    let (host, port) = (fake.address().ip().to_string(), fake.address().port().to_string());
    let keys = json!({"host": host, "port": port, "username": username, "password": "p", "database": "d"});
    write_secret(space, "theirs", &keys).await
}

/// Waits until the binding has this login.
async fn bound(space: &Space, username: &str) -> Result<()> {
    let has = |secret: &Secret| text(secret, "username") == Some(username);
    until(&space.api::<Secret>(), &PostgresDatabase::binding(), &format!("the login {username}"), has).await.map(drop)
}

/// Starts the controller, and again whenever it has ended, as the kubelet does: to begin again is one way to believe in the past.
async fn kept_running(space: &Space, identity: &Identity) -> Result<()> {
    let mut starts = 0;
    loop {
        starts += 1;
        println!("start {starts} of the controller");
        let controller = Controller::start_as(space, identity).await?;
        // Whoever runs for longer than a test waits has not ended.
        while controller.log.end().await.is_err() {}
        ensure!(starts < MOST_STARTS, "the controller has ended {starts} times");
    }
}

async fn restored(plane: &mut Plane, space: &Space) -> Result<()> {
    let mut watch = Stopwatch::new();
    let fake = Postgres::start().await?;
    write(space, &fake, "first").await?;
    let database = space.one::<PostgresDatabase>();
    database.create(&external("theirs")).await?;
    database.ready().await?;
    bound(space, "first").await?;
    plane.snapshot().await?;
    watch.step("snapshot");

    write(space, &fake, "second").await?;
    bound(space, "second").await?;
    let maps = space.api::<ConfigMap>();
    let ahead = stream::iter(0..AHEAD).map(async |number| {
        let map = json!({"metadata": {"name": format!("ahead-{number}")}});
        maps.create(&PostParams::default(), &serde_json::from_value(map)?).await?;
        anyhow::Ok(())
    });
    ahead.buffer_unordered(8).try_collect::<Vec<()>>().await?;
    plane.restore().await?;
    watch.step("restore");

    bound(space, "first").await?;
    write(space, &fake, "third").await?;
    bound(space, "third").await?;
    watch.step("a change after the restore");
    // What was there in the time that is no more is not taken for there.
    space.api::<Secret>().delete(&PostgresDatabase::binding(), &DeleteParams::default()).await?;
    bound(space, "third").await?;
    database.ready().await?;
    watch.step("a deletion after the restore");
    Ok(())
}

#[tokio::test]
async fn restored_snapshot_is_reconciled() {
    let mut plane = Plane::start().await.expect("an API server of its own");
    let cluster = plane.cluster.clone();
    with_namespace(&cluster, async |space| {
        let identity = Identity::of_namespace::<PostgresDatabase>(space).await?;
        tokio::select! {
            ended = kept_running(space, &identity) => ended,
            restored = restored(&mut plane, space) => restored,
        }
    })
    .await;
}
