//! An object is made and changed through faults, and ends as one that met none.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use e2e::{
    Cluster, Controller, Identity, One, Record, Stopwatch, Subject,
    prepare::api_server,
    proxy::{Proxy, Tally},
    step::{ask, outcome, quiet, undisturbed},
    with_namespace,
};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use temporal_stack_common::api::{IpfsCluster, MessageQueue, ObjectStorage, PostgresDatabase};
use tokio::time::interval;

use crate::seeds;

/// So many faults happen while the object is made, and as many while it is changed, unless it is complete before.
const FAULTS: u64 = 15;
/// So many happen in any case, and some of each class.
const LEAST: u64 = 20;
/// Between two looks at an object that is not complete.
const IMPATIENCE: Duration = Duration::from_millis(500);

/// Has the controller look at the object again and again: it has the longer a back-off, the more often it has failed.
pub(crate) async fn ask_again<K: Subject>(space: &One<'_, K>) -> Result<()> {
    let mut turns = interval(IMPATIENCE);
    loop {
        let turn = turns.tick().await;
        space.annotate("example.com/look", &json!(format!("{turn:?}"))).await?;
    }
}

/// What comes of one with the faults of a seed, and these faults.
async fn disturbed<K: Subject>(cluster: &Cluster, seed: u64) -> (BTreeMap<String, String>, Tally) {
    let (mut outcome_of, mut faults) = (BTreeMap::new(), Tally::default());
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
        faults = proxy.tally();
        println!("faults: {faults}");
        // What was drawn while answers were lost was drawn once.
        record.assert_made_once()?;
        let before = quiet::<K>(&space.one(), &controller).await?;
        let after = quiet::<K>(&space.one(), &controller).await?;
        ensure!(before == after, "requests go on; before:\n{before}after:\n{after}");
        Ok(())
    })
    .await;
    (outcome_of, faults)
}

async fn object_ends_as_without_faults<K: Subject>() {
    let cluster = api_server().await.expect("an API server");
    let undisturbed = undisturbed::<K>(&cluster).await;
    assert!(undisturbed.len() >= 5, "there are too few children: {:?}", undisturbed.keys());
    let mut faults = Tally::default();
    for seed in seeds(&[1]) {
        let (disturbed, of_seed) = disturbed::<K>(&cluster, seed).await;
        faults.add_all(&of_seed);
        for (reference, child) in &undisturbed {
            let other = disturbed.get(reference).map(String::as_str).unwrap_or_default();
            assert!(
                other == child,
                "seed {seed}: {reference} differs; without faults:\n{child}\nwith faults:\n{other}"
            );
        }
        assert!(disturbed.len() == undisturbed.len(), "seed {seed}: there are others: {:?}", disturbed.keys());
    }
    faults.ensure_disturbed(LEAST).expect("an API server on a bad day");
}

#[tokio::test]
async fn database_converges_as_without_faults() {
    object_ends_as_without_faults::<PostgresDatabase>().await;
}

#[tokio::test]
async fn queue_converges_as_without_faults() {
    object_ends_as_without_faults::<MessageQueue>().await;
}

#[tokio::test]
async fn ipfs_cluster_converges_as_without_faults() {
    object_ends_as_without_faults::<IpfsCluster>().await;
}

#[tokio::test]
async fn object_storage_converges_as_without_faults() {
    object_ends_as_without_faults::<ObjectStorage>().await;
}
