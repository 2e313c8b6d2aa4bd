//! The process ends before and after each of its writes in turn, and nobody can tell afterwards.

use anyhow::{Result, bail, ensure};
use e2e::{
    Cluster, Controller, Identity, One, Record, Space, Subject,
    controller::run_faulty,
    prepare::api_server,
    snapshot::{children, normalised},
    with_namespace,
};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use crate::step::complete;

/// More writes than any of the steps has.
const MANY: u32 = 120;

/// What is asked for, one after the other: making, and a change of everything that a change can reach.
async fn ask<K: Subject>(space: &One<'_, K>, change: bool) -> Result<K> {
    if !change {
        return space.create(&K::embedded()).await;
    }
    let mut spec = K::changed();
    spec["deletionPolicy"] = json!("Delete");
    space.patch(&json!({ "spec": spec })).await
}

type Outcome = std::collections::BTreeMap<String, String>;

async fn outcome<K: Subject>(space: &One<'_, K>, controller: &Controller) -> Result<Outcome> {
    let object = complete(space, controller).await?;
    Ok(normalised(&children(space).await?, &object, &space.name))
}

/// What comes of a controller that lives.
async fn undisturbed<K: Subject>(cluster: &Cluster) -> Outcome {
    let mut outcome_of = Outcome::new();
    with_namespace(cluster, async |space| {
        let controller = Controller::start::<K>(space).await?;
        for change in [false, true] {
            ask::<K>(&space.one(), change).await?;
            outcome_of = outcome::<K>(&space.one(), &controller).await?;
        }
        Ok(())
    })
    .await;
    outcome_of
}

/// Starts the controller again and again; it ends before its first write, then after its first write, and so one write
/// later each time, until there is none left. Returns how often it ended.
pub(crate) async fn ended_at_each_write(space: &Space, identity: &Identity) -> Result<u32> {
    for turn in 0..MANY {
        let when = if turn % 2 == 0 { "before" } else { "after" };
        let status = run_faulty(space, identity, when, 1).await?;
        if status.success() {
            return Ok(turn);
        }
        ensure!(was_aborted(status), "the controller ended by itself: {status}");
    }
    bail!("after {MANY} ends there were still writes to do")
}

fn was_aborted(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    const SIGABRT: i32 = 6;
    status.signal() == Some(SIGABRT)
}

for_each_kind!(a_process_that_ends_before_and_after_each_write_leaves_what_one_that_lives_does);

async fn a_process_that_ends_before_and_after_each_write_leaves_what_one_that_lives_does<K: Subject>() {
    let cluster = api_server().await.expect("an API server");
    let cluster = &cluster;
    let disturbed = with_namespace(cluster, async |space| {
        let identity = Identity::of_namespace::<K>(space).await?;
        let record = Record::<Secret>::start(space).await?;
        for change in [false, true] {
            ask::<K>(&space.one(), change).await?;
            let ends = ended_at_each_write(space, &identity).await?;
            println!("{} {}: ended {ends} times", if change { "changing" } else { "making" }, K::kind(&()));
            ensure!(ends > 3, "there were hardly any writes");
        }
        let controller = Controller::start_as(space, &identity).await?;
        let disturbed = outcome::<K>(&space.one(), &controller).await?;
        record.assert_made_once()?;
        let undisturbed = undisturbed::<K>(cluster).await;
        for (reference, child) in &undisturbed {
            let other = disturbed.get(reference).map(String::as_str).unwrap_or_default();
            ensure!(other == child, "{reference} differs; undisturbed:\n{child}\nafter the crashes:\n{other}");
        }
        ensure!(disturbed.len() == undisturbed.len(), "there are others: {:?}", disturbed.keys());
        ensure!(disturbed.len() >= 5, "there are too few: {:?}", disturbed.keys());
        Ok(())
    });
    disturbed.await;
}
