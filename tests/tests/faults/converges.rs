//! An object is made and changed through faults, and ends as one that met none.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use e2e::{
    Cluster, Controller, Identity, One, Record, Stopwatch, Subject,
    prepare::api_server,
    proxy::Proxy,
    snapshot::{children, normalised},
    step::{complete, quiet},
    with_namespace,
};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use temporal_stack_common::api::{IpfsCluster, MessageQueue, PostgresDatabase};
use tokio::time::interval;

use crate::seeds;

/// So many faults happen while the object is made, and as many while it is changed, unless it is complete before.
const FAULTS: u64 = 15;
/// Between two looks at an object that is not complete.
const IMPATIENCE: Duration = Duration::from_millis(500);

type Outcome = BTreeMap<String, String>;

/// What is asked for, one after the other: making, and a change of everything that a change can reach.
async fn ask<K: Subject>(space: &One<'_, K>, change: bool) -> Result<()> {
    if !change {
        return space.create(&K::embedded()).await.map(drop);
    }
    let mut spec = K::changed();
    spec["deletionPolicy"] = json!("Delete");
    space.patch(&json!({ "spec": spec })).await.map(drop)
}

/// Has the controller look at the object again and again: it has the longer a back-off, the more often it has failed.
pub(crate) async fn ask_again<K: Subject>(space: &One<'_, K>) -> Result<()> {
    let mut turns = interval(IMPATIENCE);
    loop {
        let turn = turns.tick().await;
        space.annotate("example.com/look", &json!(format!("{turn:?}"))).await?;
    }
}

async fn outcome<K: Subject>(space: &One<'_, K>, controller: &Controller) -> Result<Outcome> {
    let object = complete(space, controller).await?;
    Ok(normalised(&children(space).await?, &object, &space.name))
}

/// What comes of an API server on a good day.
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

/// What comes of one with the faults of a seed.
async fn disturbed<K: Subject>(cluster: &Cluster, seed: u64) -> Outcome {
    let mut outcome_of = Outcome::new();
    with_namespace(cluster, async |space| {
        println!("{} with seed {seed}", K::kind(&()));
        let mut watch = Stopwatch::new();
        let identity = Identity::of_namespace::<K>(space).await?;
        let proxy = Proxy::start(&identity, seed).await?;
        let record = Record::<Secret>::start(space).await?;
        let controller = Controller::start_as(space, &identity.through(proxy.address())?).await?;
        controller.leads().await?;
        for change in [false, true] {
            let enough = proxy.tally().total() + FAULTS;
            ask::<K>(&space.one(), change).await?;
            // The user is impatient, so that the controller is, too.
            let space = space.one::<K>();
            tokio::select! {
                faults = proxy.until_faults(enough) => drop(faults?),
                made = space.waits_for_its_pods() => drop(made?),
                asked = ask_again(&space) => asked?,
            }
        }
        proxy.calm();
        watch.step("faults");
        outcome_of = outcome::<K>(&space.one(), &controller).await?;
        watch.step("convergence");
        println!("faults: {}", proxy.tally());
        // What was drawn while answers were lost was drawn once.
        record.assert_made_once()?;
        let before = quiet::<K>(&space.one(), &controller).await?;
        let after = quiet::<K>(&space.one(), &controller).await?;
        ensure!(before == after, "requests go on; before:\n{before}after:\n{after}");
        Ok(())
    })
    .await;
    outcome_of
}

async fn an_object_ends_as_without_faults<K: Subject>() {
    let cluster = api_server().await.expect("an API server");
    let undisturbed = undisturbed::<K>(&cluster).await;
    assert!(undisturbed.len() >= 5, "there are too few children: {:?}", undisturbed.keys());
    for seed in seeds(&[1]) {
        let disturbed = disturbed::<K>(&cluster, seed).await;
        for (reference, child) in &undisturbed {
            let other = disturbed.get(reference).map(String::as_str).unwrap_or_default();
            assert!(
                other == child,
                "seed {seed}: {reference} differs; without faults:\n{child}\nwith faults:\n{other}"
            );
        }
        assert!(disturbed.len() == undisturbed.len(), "seed {seed}: there are others: {:?}", disturbed.keys());
    }
}

#[tokio::test]
async fn a_database_ends_as_without_faults() {
    an_object_ends_as_without_faults::<PostgresDatabase>().await;
}

#[tokio::test]
async fn a_queue_ends_as_without_faults() {
    an_object_ends_as_without_faults::<MessageQueue>().await;
}

#[tokio::test]
async fn an_ipfs_cluster_ends_as_without_faults() {
    an_object_ends_as_without_faults::<IpfsCluster>().await;
}
