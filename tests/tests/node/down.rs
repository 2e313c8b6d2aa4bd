use std::{fs, io::Write as _};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    database::NAME,
    host::{SERVER, Signal, signal_postmaster},
    until, with_namespace,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::json;
use temporal_stack_common::{
    api::{PostgresDatabase, Status as _},
    condition,
};

use crate::{cluster, embedded, made};

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
async fn while_postgres_cannot_start_ready_is_false_with_the_reason_and_then_true_again_by_itself() {
    with_namespace(&cluster(), async |space| {
        let mut watch = made(space, &embedded(&json!({}))).await?;
        let file = space.volume().await?.join("pgdata/postgresql.auto.conf");
        let good = fs::read(&file)?;
        fs::OpenOptions::new().append(true).open(&file)?.write_all(b"no_such_setting = on\n")?;
        signal_postmaster(&space.server().await?, Signal::KILL)?;

        let told =
            until_told(space, &[SERVER, "container postgres ended with exit code", "kubectl -n", "logs"]).await?;
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

#[tokio::test]
async fn while_postgres_hangs_ready_is_false_with_the_reason_and_then_true_again_by_itself() {
    with_namespace(&cluster(), async |space| {
        let mut watch = made(space, &embedded(&json!({}))).await?;
        let server = space.server().await?;
        signal_postmaster(&server, Signal::STOP)?;
        let told = until_told(space, &["0 of 1 pods ready"]).await;
        watch.step("Postgres hangs: Ready False after");
        signal_postmaster(&server, Signal::CONT)?;
        let told = told?;
        println!("  {}: {}", told.reason, told.message);
        ensure!(told.reason == "ChildrenNotReady", "{told:?}");

        space.ready().await?;
        watch.step("Postgres goes on: Ready True after");
        let after = space.server().await?;
        ensure!(after.metadata.uid == server.metadata.uid, "the pod was made again");
        ensure!(e2e::host::restarts(&after) == 0, "Postgres was started again");
        Ok(())
    })
    .await;
}
