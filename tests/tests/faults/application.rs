//! Temporal through faults: the test plays those that it refers to, and nobody answers at what their bindings say.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use e2e::{
    Cluster, Controller, Identity, One, Record,
    prepare::api_server,
    proxy::{Proxy, Tally},
    siblings::{Bindings, ask, waits_for_the_broker},
    snapshot::{children, normalised},
    step::quiet,
    subject::NAME,
    with_namespace,
};
use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;
use temporal_stack_common::{api::Temporal, process::client::Counts};

use crate::{converges::ask_again, seeds};

/// So many faults happen while it is made, unless all is made before.
const FAULTS: u64 = 25;
/// So many happen in any case, and some of each class.
const LEAST: u64 = 15;

/// The children without what differs by chance: addresses are in there, too.
async fn outcome(space: &One<'_, Temporal>, controller: &Controller) -> Result<BTreeMap<String, String>> {
    waits_for_the_broker(space).await?;
    quiet(space, controller).await?;
    let mut children = children(space).await?;
    for (reference, child) in &mut children {
        if reference.ends_with("-binding") {
            child["data"].as_object_mut().into_iter().flatten().for_each(|(_, value)| *value = Value::Null);
        }
    }
    Ok(normalised(&children, &space.get().await?, &space.name))
}

/// Requests but those that look again whether there is a class by now, which is done while something is awaited.
fn counted(requests: Counts) -> Counts {
    Counts(requests.0.into_iter().filter(|(call, _)| call.resource != "storageclasses").collect())
}

async fn undisturbed(cluster: &Cluster) -> BTreeMap<String, String> {
    let mut outcome_of = BTreeMap::new();
    with_namespace(cluster, async |space| {
        let controller = Controller::start::<Temporal>(space).await?;
        ask(space, NAME, Bindings::to_nobody()).await?;
        outcome_of = outcome(&space.one(), &controller).await?;
        Ok(())
    })
    .await;
    outcome_of
}

#[tokio::test]
async fn temporal_converges_as_without_faults() {
    let cluster = api_server().await.expect("an API server");
    let undisturbed = undisturbed(&cluster).await;
    let mut faults = Tally::default();
    for seed in seeds(&[1]) {
        with_namespace(&cluster, async |space| {
            println!("Temporal with seed {seed}");
            let identity = Identity::of_namespace::<Temporal>(space).await?;
            let proxy = Proxy::start(&identity, seed).await?;
            let record = Record::<Secret>::start(space).await?;
            let controller = Controller::start_as(space, &identity.through(proxy.address())?).await?;
            controller.leads().await?;
            let space = space.one::<Temporal>();
            ask(&space, NAME, Bindings::to_nobody()).await?;
            tokio::select! {
                faults = proxy.until_faults(FAULTS) => drop(faults?),
                made = waits_for_the_broker(&space) => made?,
                asked = ask_again(&space) => asked?,
            }
            proxy.calm();
            let disturbed = outcome(&space, &controller).await?;
            println!("faults: {}", proxy.tally());
            faults.add_all(&proxy.tally());
            record.assert_made_once()?;
            let before = counted(quiet(&space, &controller).await?);
            let after = counted(quiet(&space, &controller).await?);
            ensure!(before == after, "requests go on; before:\n{before}after:\n{after}");
            for (reference, child) in &undisturbed {
                let other = disturbed.get(reference).map(String::as_str).unwrap_or_default();
                ensure!(other == child, "{reference} differs; without faults:\n{child}\nwith faults:\n{other}");
            }
            ensure!(disturbed.len() == undisturbed.len(), "there are others: {:?}", disturbed.keys());
            Ok(())
        })
        .await;
    }
    faults.ensure_disturbed(LEAST).expect("an API server on a bad day");
}
