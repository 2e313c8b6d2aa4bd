//! Drives of MinIO that are lost: one server with four of them, then four servers with one each.

use anyhow::{Result, ensure};
use e2e::{Stopwatch, objects, turns};
use serde_json::Value;
use temporal_stack_common::{
    http::Method,
    s3::{Call, Code, Failure},
};

use crate::engine::Minio;

const BUCKET: &str = "kept";
const CLUSTER: &str = "/minio/health/cluster";
const READ: &str = "/minio/health/cluster/read";

async fn with_objects(servers: u8, drives: u8) -> Result<Minio> {
    let minio = Minio::start(servers, drives).await?;
    let client = minio.client(0)?;
    client.create(BUCKET, false).await?;
    objects::put_all(&client, BUCKET).await?;
    Ok(minio)
}

/// The number of drives in this state, as the controller asks for it while a server is slow: each with the URL of its server.
async fn in_state(minio: &Minio, state: &str) -> Result<usize> {
    let call = Call::path(Method::GET, &["minio", "admin", "v3", "storageinfo"]).with_limit(1 << 20);
    let answer: Value = minio.client(0)?.call(call).await?.json()?;
    let drives = answer["Disks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_of_server = |drive: &Value| drive["endpoint"].as_str().is_some_and(|url| url.starts_with("http://"));
    ensure!(drives.iter().all(is_of_server), "a drive has no server: {answer}");
    Ok(drives.iter().filter(|drive| drive["state"] == state).count())
}

/// Waits until a drive has a part of every object, and nobody heals.
async fn heals(minio: &Minio, server: usize, drive: u8) -> Result<()> {
    turns("the drive has a part of each object", async || Ok(minio.parts_on(server, drive, BUCKET) == objects::COUNT))
        .await?;
    minio.is_whole().await
}

#[tokio::test]
async fn wiped_drive_of_one_server_heals() -> Result<()> {
    let minio = with_objects(1, 4).await?;
    let client = minio.client(0)?;
    let mut times = Stopwatch::new();
    minio.wipe(0, 2)?;
    objects::are_equal(&client, BUCKET).await?;
    times.step("1,000 objects read with a wiped drive after");
    heals(&minio, 0, 2).await?;
    times.step("1,000 objects healed after");
    // The parts that were made again are used now.
    minio.wipe(0, 1)?;
    minio.wipe(0, 3)?;
    objects::read_equal(&client, BUCKET).await
}

#[tokio::test]
async fn replaced_volume_of_a_server_heals() -> Result<()> {
    let mut minio = with_objects(4, 1).await?;
    minio.kill(3);
    minio.wipe(3, 1)?;
    minio.all_say(CLUSTER, 200).await?;
    turns("the metrics count the lost drive", async || {
        Ok(minio.metric(0, "minio_cluster_drive_offline_total").await? > 0.5)
    })
    .await?;
    ensure!((in_state(&minio, "ok").await?, in_state(&minio, "offline").await?) == (3, 1));
    objects::are_equal(&minio.client(0)?, BUCKET).await?;
    let mut times = Stopwatch::new();
    minio.start_server(3)?;
    heals(&minio, 3, 1).await?;
    times.step("1,000 objects healed after");
    objects::are_equal(&minio.client(3)?, BUCKET).await
}

#[tokio::test]
async fn two_lost_servers_leave_objects_readable() -> Result<()> {
    let mut minio = with_objects(4, 1).await?;
    minio.kill(2);
    minio.kill(3);
    minio.all_say(CLUSTER, 503).await?;
    minio.all_say(READ, 200).await?;
    let client = minio.client(0)?;
    objects::read_equal(&client, BUCKET).await?;
    let refused = client.put(BUCKET, "more", b"more".to_vec()).await.expect_err("no quorum to write");
    is_unavailable(&refused)?;
    minio.start_server(2)?;
    minio.start_server(3)?;
    minio.is_healthy().await?;
    client.put(BUCKET, "more", b"more".to_vec()).await?;
    Ok(())
}

#[tokio::test]
async fn three_lost_servers_are_not_taken_for_lost_objects() -> Result<()> {
    let mut minio = with_objects(4, 1).await?;
    for server in 1..4 {
        minio.kill(server);
    }
    minio.all_say(READ, 503).await?;
    let refused = minio.client(0)?.get(BUCKET, &objects::key(1), objects::LIMIT).await.expect_err("no quorum to read");
    is_unavailable(&refused)?;
    minio.start_all().await?;
    objects::are_equal(&minio.client(0)?, BUCKET).await
}

/// The server says that it cannot answer: neither that there is no object, nor that it has no right.
fn is_unavailable(failure: &Failure) -> Result<()> {
    println!("without a quorum: {failure}");
    let is_busy = failure.code().is_some_and(|code| code.as_str().starts_with("SlowDown"));
    let is_unavailable = failure.is(&Code::ServiceUnavailable) || failure.status() == Some(503);
    let is_slow = matches!(failure, Failure::Http(_));
    ensure!(is_busy || is_unavailable || is_slow, "{failure}");
    Ok(())
}
