//! Data that move from one provider to another, with the real CloudNativePG, which `cargo xtask up --database cloudNativePg` installs. Only
//! with `--full`: a million rows, and writers that never stop.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::{Needs, Session, Space, Stopwatch, full, installed::SYSTEM, until_gone};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod, Secret},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{PostgresDatabase, label},
    condition::STALLED,
};
use tokio::time::{interval, timeout};

use super::{embedded, ledger::Ledger};

/// User and group of the server in the local image.
const POSTGRES: u32 = 999;
/// How many rows there are at the beginning.
const ROWS: u32 = 1_000_000;
/// How long a move may hang.
const PATIENCE: Duration = Duration::from_secs(1200);
/// The record of a move.
const RECORD: &str = "temporal-postgresdatabase-move";

/// Runs a test in a namespace of its own, if the larger counts are wanted.
async fn with_space(needs: Needs, test: impl AsyncFnOnce(&Space) -> Result<()>) {
    if !full() {
        println!("left out: it needs CloudNativePG, and runs with `cargo xtask test --full` only");
        return;
    }
    crate::in_namespace(needs, test).await;
}

/// A patch of the spec to this provider alone.
fn provider(provider: &Value) -> Value {
    let mut all = json!({"postgres": null, "cloudNativePg": null, "external": null});
    for (key, value) in provider.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    json!({"spec": {"provider": all}})
}

fn delegated(instances: u32, more: &Value) -> Value {
    let mut fields = json!({
        "instances": instances, "runAsUser": POSTGRES, "storage": {"size": "2Gi"},
        "resources": {"requests": {"cpu": "20m", "memory": "96Mi"}},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        fields[key] = value.clone();
    }
    provider(&json!({"cloudNativePg": fields}))
}

fn back_to_embedded() -> Value {
    provider(&embedded(&json!({}))["provider"])
}

/// An embedded database with all that a copy must not lose.
async fn filled(space: &Space) -> Result<Session> {
    space.create(&embedded(&json!({}))).await?;
    space.ready().await?;
    let session = space.until_connects().await?;
    for statement in [
        "create extension pgcrypto",
        "create extension pg_trgm",
        &format!("create table kept as select n, md5(n::text) word from generate_series(1, {ROWS}) n"),
        "alter table kept add primary key (n)",
        "create index on kept using gin (word gin_trgm_ops)",
        "create sequence tickets start 1000",
        "select nextval('tickets') from generate_series(1, 17)",
        "select lo_from_bytea(4711, decode(repeat('c0ffee', 100000), 'hex'))",
    ] {
        session.run(statement).await.with_context(|| statement.to_owned())?;
    }
    Ok(session)
}

/// All of it is there, and belongs to whom it should.
async fn ensure_kept(session: &Session) -> Result<()> {
    for (query, wanted) in [
        ("select count(*) from kept", "1000000"),
        ("select count(*) from kept where word <> md5(n::text)", "0"),
        ("select last_value from tickets", "1016"),
        ("select nextval('tickets')", "1017"),
        ("select length(lo_get(4711))", "300000"),
        ("select string_agg(extname, ',' order by extname) from pg_extension", "pg_trgm,pgcrypto,plpgsql"),
        ("select relowner::regrole from pg_class where relname = 'kept'", "temporal_owner"),
        ("select current_user", "temporal_owner"),
    ] {
        let answer = session.one(query).await?;
        ensure!(answer == wanted, "{query}: {answer}, not {wanted}");
    }
    Ok(())
}

/// Waits for the end of the move to this provider.
async fn until_moved(space: &Space, host: &str) -> Result<()> {
    // A move takes longer than one wait for a binding may.
    let mut turns = interval(Duration::from_millis(200));
    let changed = async {
        while !space.binding().await.is_ok_and(|binding| binding.host.starts_with(host)) {
            turns.tick().await;
        }
    };
    timeout(PATIENCE, changed).await.context("the binding did not change")?;
    until_gone(&space.api::<Secret>(), RECORD).await?;
    space.ready().await.map(drop)
}

/// Kills the controller of databases until the flag is set, every few seconds.
async fn kill_repeatedly(space: &Space, ends: &AtomicBool) -> Result<u32> {
    let pods = Api::<Pod>::namespaced(space.client.clone(), SYSTEM);
    let killed = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    let (mut count, mut turns) = (0, interval(Duration::from_secs(7)));
    turns.tick().await;
    while !ends.load(Ordering::SeqCst) {
        turns.tick().await;
        let all = ListParams::default().labels(&format!("{}=database-controller", label::NAME));
        pods.delete_collection(&killed, &all).await?;
        count += 1;
    }
    Ok(count)
}

/// Moves there and back with a writer. `kills`: the controller is killed again and again meanwhile.
async fn there_and_back(space: &Space, kills: bool) -> Result<()> {
    let mut watch = Stopwatch::new();
    drop(filled(space).await?);
    watch.step("filled after");
    for (patch, host) in [
        (delegated(1, &json!({})), "temporal-postgresdatabase-rw."),
        (back_to_embedded(), "temporal-postgresdatabase."),
    ] {
        let session = space.connect_by_host(&space.binding().await?).await?;
        session.run("select setval('tickets', 1016)").await?;
        let ledger = Ledger::start(space).await?;
        ledger.grows_by(50).await?;
        if host.ends_with("database.") {
            // The volume from before the first move must not come back as it was.
            space
                .api::<PersistentVolumeClaim>()
                .delete("data-temporal-postgresdatabase-0", &DeleteParams::default())
                .await?;
            until_gone(&space.api::<PersistentVolumeClaim>(), "data-temporal-postgresdatabase-0").await?;
        }
        space.patch(&patch).await?;
        let ends = AtomicBool::new(!kills);
        let (moved, killed) = tokio::join!(
            async {
                let moved = until_moved(space, host).await;
                ends.store(true, Ordering::SeqCst);
                moved
            },
            kill_repeatedly(space, &ends)
        );
        moved?;
        println!("controller killed {} times", killed?);
        ledger.goes_on(&format!("moved to {host}")).await?;
        watch.step("moved after");
        ledger.adds_up().await?;
        let session = space.connect_by_host(&space.binding().await?).await?;
        ensure_kept(&session).await?;
        space.condition("PreviousDataKept", "True", "Retained").await?;
    }
    Ok(())
}

#[tokio::test]
async fn moved_database_loses_no_row_on_the_way_there_and_back() {
    with_space(Needs::pods::<PostgresDatabase>(4), async |space| there_and_back(space, false).await).await;
}

#[tokio::test]
async fn move_goes_on_while_the_controller_is_killed() {
    with_space(Needs::alone(), async |space| there_and_back(space, true).await).await;
}

#[tokio::test]
async fn move_that_cannot_finish_leaves_the_old_server_serving() {
    with_space(Needs::pods::<PostgresDatabase>(4), async |space| {
        drop(filled(space).await?);
        let before = space.binding().await?;
        // The database has more than this.
        space.patch(&delegated(1, &json!({"storage": {"size": "64Mi"}}))).await?;
        let stalled = space.condition(STALLED, "True", "MoveBlocked").await?.message;
        ensure!(stalled.contains("storage.size is 64Mi") && stalled.contains("set it to"), "{stalled}");
        let session = space.connect(&before).await?;
        ensure!(session.one("select count(*) from kept").await? == "1000000");
        ensure!(space.binding().await? == before, "the binding has changed");

        space.patch(&back_to_embedded()).await?;
        until_gone(&space.api::<Secret>(), RECORD).await?;
        space.ready().await?;
        ensure!(session.one("select count(*) from kept").await? == "1000000", "the old server was disturbed");
        let sets = space.api::<StatefulSet>();
        sets.get("temporal-postgresdatabase").await.context("the old server has gone").map(drop)
    })
    .await;
}
