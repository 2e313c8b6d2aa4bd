//! Databases that CloudNativePG runs, with its real operator, which `cargo xtask node up --cloud-native-pg` installs. Most of them with
//! `--full` only: three servers each.

pub(crate) mod servers;

use anyhow::{Context as _, Result, ensure};
use e2e::{Needs, Space, Stopwatch, full, subject::NAME, until_gone};
use kube::{ResourceExt as _, api::DeleteParams};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{PostgresDatabase, annotation::ROTATE},
    condition::READY,
};

use self::servers::{Fault, primary, scale_operator};
use crate::database::{application, ledger::Ledger};

/// User and group of the server in the local image.
const POSTGRES: u32 = 999;
/// Connections that an application opens with the old login after the binding has changed.
const SLOWNESS: u32 = 20;

/// Runs a test in a namespace of its own, if the larger counts are wanted.
async fn with_space(needs: Needs, test: impl AsyncFnOnce(&Space) -> Result<()>) {
    if !full() {
        println!("left out: it runs with `cargo xtask test --full` only");
        return;
    }
    crate::in_namespace(needs, test).await;
}

fn three_servers() -> Needs {
    Needs::pods::<PostgresDatabase>(4)
}

/// A spec of three small servers.
fn spec() -> Value {
    json!({"provider": {"cloudNativePg": {
        "runAsUser": POSTGRES,
        "storage": {"size": "1Gi"},
        "resources": {"requests": {"cpu": "20m", "memory": "96Mi"}},
        "synchronous": {"number": 1},
    }}})
}

async fn made(space: &Space) -> Result<Stopwatch> {
    let mut watch = Stopwatch::new();
    space.create(&spec()).await?;
    space.ready().await.context("not Ready; is CloudNativePG installed (cargo xtask node up --cloud-native-pg)?")?;
    watch.step("three servers Ready after");
    Ok(watch)
}

#[tokio::test]
async fn three_servers_rotate_their_login_and_replace_a_killed_primary() {
    crate::in_namespace(three_servers(), async |space| {
        let mut watch = made(space).await?;
        let told = space.condition("FailoverReady", "True", "AsExpected").await?;
        ensure!(told.message.contains("1 may fail without loss of data"), "{}", told.message);
        space.condition("Delegated", "True", "AsExpected").await?;
        let binding = space.binding().await?;
        ensure!(binding.host.starts_with("temporal-postgresdatabase-rw."), "{}", binding.host);
        let session = space.connect_by_host(&binding).await?;
        ensure!(session.one("select current_user").await? == "temporal_owner");
        drop(session);

        let application = application::start(space, SLOWNESS).await?;
        application.answered(1, SLOWNESS).await?;
        space.annotate(ROTATE, &json!("first")).await?;
        let second = space.until_binding("the second login", |binding| binding.login == 2).await?;
        ensure!(second.host == binding.host && second.username != binding.username, "{second:?}");
        application.answered(2, SLOWNESS).await?;
        let outcome = application.outcome();
        println!("connections by login: {:?}, failed: {}", outcome.answered, outcome.failures());
        ensure!(outcome.failures() == 0, "connections failed: {outcome:?}");
        drop(application);
        watch.step("rotated after");

        let ledger = Ledger::start(space).await?;
        let before = primary(space).await?;
        Fault::Primary.happen(space).await?;
        ledger.goes_on("the primary killed").await?;
        ensure!(primary(space).await?.name_any() != before.name_any(), "the primary is the one that was killed");
        space.condition("FailoverReady", "True", "AsExpected").await?;
        space.ready().await?;
        watch.step("three servers again after");
        ledger.adds_up().await
    })
    .await;
}

#[tokio::test]
async fn ledger_adds_up_through_faults_of_servers() {
    // Another test must not need the operator while it is stopped.
    with_space(Needs::alone(), async |space| {
        made(space).await?;
        let ledger = Ledger::start(space).await?;
        for fault in Fault::OF_SERVERS {
            let mut watch = Stopwatch::new();
            fault.happen(space).await?;
            let goes_on = ledger.goes_on(&format!("{fault:?}")).await;
            fault.is_over(space).await?;
            goes_on?;
            space.condition("FailoverReady", "True", "AsExpected").await?;
            space.ready().await?;
            watch.step(&format!("{fault:?}: all servers again after"));
        }
        ledger.adds_up().await
    })
    .await;
}

#[tokio::test]
async fn retained_cluster_is_adopted_with_its_rows_and_goes_under_delete() {
    with_space(three_servers(), async |space| {
        let mut watch = made(space).await?;
        let first = space.binding().await?;
        let session = space.connect_by_host(&first).await?;
        session.run("create table kept (n int); insert into kept values (1)").await?;
        drop(session);
        space.databases().delete(NAME, &DeleteParams::default()).await?;
        until_gone(&space.databases(), NAME).await?;
        servers::none_run(space).await?;
        watch.step("deleted under Retain, hibernated after");

        let mut deleting = spec();
        deleting["deletionPolicy"] = json!("Delete");
        space.create(&deleting).await?;
        space.ready().await?;
        watch.step("created again, Ready after");
        let session = space.connect_by_host(&space.binding().await?).await?;
        ensure!(session.one("select n from kept").await? == "1", "the row is lost");
        drop(session);
        space.databases().delete(NAME, &DeleteParams::default()).await?;
        until_gone(&space.databases(), NAME).await?;
        servers::are_gone_with_their_volumes(space).await
    })
    .await;
}

#[tokio::test]
async fn stopped_operator_leaves_the_database_ready_and_is_named() {
    with_space(Needs::alone(), async |space| {
        made(space).await?;
        scale_operator(space, 0).await?;
        let told = without_an_operator(space).await;
        // Namespaces of other tests cannot go without it, either.
        scale_operator(space, 1).await?;
        told?;
        space.patch(&json!({"spec": {"access": {"metrics": null}}})).await?;
        space.condition("Delegated", "True", "AsExpected").await?;
        space.ready().await.map(drop)
    })
    .await;
}

async fn without_an_operator(space: &Space) -> Result<()> {
    // An edit has everything read again at once.
    space.patch(&json!({"spec": {"access": {"metrics": [{"podSelector": {}}]}}})).await?;
    let told = space.condition("Delegated", "Unknown", "OperatorNotReady").await?;
    ensure!(told.message.contains("kubectl get pods -A"), "{}", told.message);
    space.condition("FailoverReady", "Unknown", "OperatorNotReady").await?;
    space.condition(READY, "True", "Verified").await?;
    let session = space.connect_by_host(&space.binding().await?).await?;
    ensure!(session.one("select 1").await? == "1");
    Ok(())
}
