use std::{fs, io::Write as _};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    database::NAME,
    host::{SERVER, Signal, signal_postmaster},
    until,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::json;
use temporal_stack_common::{
    api::{PostgresDatabase, Status as _},
    condition,
};

use crate::database::{embedded, made, with_space};

/// Ready, as it is now.
fn ready(object: &PostgresDatabase) -> Option<&Condition> {
    condition::find(object.status.as_ref()?.conditions(), condition::READY)
}

/// Waits until Ready is False, and all of the words are in its message.
async fn until_told(space: &e2e::Space, words: &[&str]) -> Result<Condition> {
    let is_told = |object: &PostgresDatabase| {
        ready(object)
            .is_some_and(|ready| ready.status == "False" && words.iter().all(|word| ready.message.contains(word)))
    };
    let object = until(&space.databases(), NAME, &format!("Ready False with {words:?}"), is_told).await?;
    ready(&object).cloned().context("the condition was there")
}

#[tokio::test]
async fn postgres_that_cannot_start_is_unready_until_it_can() {
    with_space(async |space| {
        let mut watch = made(space, &embedded(&json!({}))).await?;
        let file = space.volume().await?.join("pgdata/postgresql.auto.conf");
        let good = fs::read(&file)?;
        fs::OpenOptions::new().append(true).open(&file)?.write_all(b"no_such_setting = on\n")?;
        signal_postmaster(&space.server().await?, Signal::KILL)?;

        let ended = [SERVER, "container postgres ended with exit code", "kubectl -n", "logs"];
        // PostgreSQL's own words.
        let told = until_told(space, &[&ended[..], &["no_such_setting", "FATAL"]].concat()).await?;
        watch.step("Postgres cannot start: Ready False after");
        println!("  {}: {}", told.reason, told.message);
        ensure!(told.reason == "ChildrenNotReady", "{told:?}");

        fs::write(&file, good)?;
        space.ready().await?;
        watch.step("the cause is gone: Ready True after");
        Ok(())
    })
    .await;
}

/// More memory than PostgreSQL can count, so it ends whatever the machine has.
const TOO_MUCH: &str = "9000TB";

#[tokio::test]
async fn parameter_that_ends_postgres_is_told_and_taken_back() {
    with_space(async |space| {
        let mut watch = made(space, &embedded(&json!({}))).await?;
        let binding = space.binding().await?;
        let rows = "create table kept (n int); insert into kept select generate_series(1, 100)";
        space.connect(&binding).await?.run(rows).await?;

        let with = |value: Option<&str>| json!({"spec": {"provider": {"postgres": {"parameters": {"shared_buffers": value}}}}});
        space.patch(&with(Some(TOO_MUCH))).await?;
        let told = until_told(space, &[SERVER, "container postgres", "FATAL", "shared_buffers", TOO_MUCH]).await?;
        watch.step("Postgres cannot start: Ready False after");
        println!("  {}: {}", told.reason, told.message);

        space.patch(&with(None)).await?;
        space.ready().await?;
        watch.step("the parameter is taken back: Ready True after");
        let rows = space.connect(&binding).await?.one("select count(*) from kept").await?;
        ensure!(rows == "100", "the table has {rows} rows");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn postgres_that_hangs_is_unready_until_it_goes_on() {
    with_space(async |space| {
        let mut watch = made(space, &embedded(&json!({}))).await?;
        let server = space.server().await?;
        signal_postmaster(&server, Signal::STOP)?;
        // The controller may notice before the probe of the pod.
        let database = space.one::<PostgresDatabase>();
        let parts = ["0 of 1 pods ready"];
        let reported = database.condition_about(condition::READY, "False", "ChildrenNotReady", &parts).await;
        watch.step("Postgres hangs: Ready False after");
        signal_postmaster(&server, Signal::CONT)?;
        let reported = reported?;
        println!("  {}: {}", reported.reason, reported.message);

        space.ready().await?;
        watch.step("Postgres goes on: Ready True after");
        let after = space.server().await?;
        ensure!(after.metadata.uid == server.metadata.uid, "the pod was made again");
        ensure!(e2e::host::restarts(&after) == 0, "Postgres was started again");
        Ok(())
    })
    .await;
}
