//! Four servers of MinIO that are stopped: one by one, when all say that they may be, and all at once.

use std::time::Duration;

use anyhow::Result;
use e2e::{
    Stopwatch,
    load::{Application, Load, reads_again},
    objects, turns,
};
use temporal_stack_common::s3::{Client, Code};
use tokio::time::sleep;

use crate::engine::Minio;

const BUCKET: &str = "kept";
/// How long servers that all answer may still miss the drives of one that came back.
const SETTLES_WITHIN: Duration = Duration::from_secs(20);
/// How long a server answers before its pod is ready: three probes, 5 s apart.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);
/// MinIO refuses a write for a moment (`SlowDownWrite`), or lets it wait, while it notices that a server stops or is back.
const PATIENCE: Duration = Duration::from_secs(5);
const GATE: &str = "/minio/health/cluster?maintenance=true";

#[tokio::test]
async fn restart_one_by_one_fails_no_request_with_retries() -> Result<()> {
    let mut minio = Minio::start(4, 1).await?;
    minio.client(0)?.create(BUCKET, false).await?;
    let login = minio.login(BUCKET).await?;
    let application = Application::with_patience(minio.addresses(), &login, PATIENCE);
    let load = Load::start(&application, BUCKET);
    load.goes_on(20).await?;
    let mut times = Stopwatch::new();
    for server in 0..4 {
        minio.may_stop().await?;
        // As its pod is taken out of the Service, and lingers, before it stops.
        application.leave_out(server, true);
        load.goes_on(10).await?;
        minio.stop(server).await?;
        load.goes_on(10).await?;
        minio.start_server(server)?;
        minio.is_healthy().await?;
        // It is ready after three answers.
        sleep(CONNECTED_WITHIN).await;
        application.leave_out(server, false);
        // As the controller does: see `SETTLES_WITHIN` of its restart gate.
        sleep(SETTLES_WITHIN).await;
        times.step(&format!("server {server} restarted after"));
    }
    minio.may_stop().await?;
    load.goes_on(20).await?;
    let rounds = load.end().await?;
    let retries = application.retries.load(std::sync::atomic::Ordering::Relaxed);
    println!("{} puts and gets, {retries} of them tried again", 2 * rounds.iter().sum::<usize>());
    let user = Client::new(&minio.address(1), &login)?;
    assert_eq!(reads_again(&user, BUCKET, &rounds).await?, rounds.iter().sum::<usize>());
    Ok(())
}

#[tokio::test]
async fn gate_is_closed_while_one_server_is_down() -> Result<()> {
    let mut minio = Minio::start(4, 1).await?;
    minio.may_stop().await?;
    minio.kill(3);
    minio.all_say(GATE, 412).await?;
    minio.all_say("/minio/health/cluster", 200).await?;
    minio.start_server(3)?;
    minio.may_stop().await
}

#[tokio::test]
async fn another_root_key_needs_a_full_stop() -> Result<()> {
    let mut minio = Minio::start(4, 1).await?;
    let client = minio.client(0)?;
    client.create(BUCKET, false).await?;
    objects::put_all(&client, BUCKET).await?;
    let login = minio.login(BUCKET).await?;
    let user = |minio: &Minio, server| Client::new(&minio.address(server), &login);

    // One server alone is cut off from the others, which go on without it.
    minio.may_stop().await?;
    minio.stop(3).await?;
    let old = minio.change_root();
    minio.start_server(3)?;
    minio.says(3, "/minio/health/cluster", 503).await?;
    minio.says(3, "/minio/health/live", 200).await?;
    objects::read_equal(&user(&minio, 0)?, BUCKET).await?;

    // All of them, stopped and started, know the new key and no more the old one; users stay.
    for server in 0..4 {
        minio.stop(server).await?;
    }
    let mut times = Stopwatch::new();
    minio.start_all().await?;
    times.step("four servers started after");
    minio.may_stop().await?;
    objects::are_equal(&user(&minio, 3)?, BUCKET).await?;
    let root = minio.client(2)?;
    // Servers that have just started refuse writes until they have connections to each other.
    turns("the new root key writes", async || Ok(root.put(BUCKET, "as-root", b"root".to_vec()).await.is_ok())).await?;
    let refused = Client::new(&minio.address(2), &old)?.get(BUCKET, "as-root", objects::LIMIT).await;
    let refused = refused.expect_err("the old root key");
    assert!(refused.is(&Code::InvalidAccessKeyId), "{refused}");
    Ok(())
}

#[tokio::test]
async fn another_root_key_of_one_server_needs_a_restart() -> Result<()> {
    let mut minio = Minio::start(1, 1).await?;
    minio.client(0)?.create(BUCKET, false).await?;
    let login = minio.login(BUCKET).await?;
    let user = Client::new(&minio.address(0), &login)?;
    user.put(BUCKET, "mine", b"mine".to_vec()).await?;
    let old = minio.change_root();
    minio.stop(0).await?;
    minio.start_all().await?;
    assert_eq!(user.get(BUCKET, "mine", objects::LIMIT).await?, b"mine");
    let refused = Client::new(&minio.address(0), &old)?.buckets().await.expect_err("the old root key");
    assert!(refused.is(&Code::InvalidAccessKeyId), "{refused}");
    minio.client(0)?.buckets().await?;
    Ok(())
}
