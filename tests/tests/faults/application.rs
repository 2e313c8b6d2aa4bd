//! Temporal through faults: the test plays those that it refers to, and nobody answers at what their bindings say.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use e2e::{
    Cluster, Controller, Identity, One, Record, Space, Subject,
    prepare::api_server,
    proxy::Proxy,
    snapshot::{children, normalised},
    step::quiet,
    subject::NAME,
    with_namespace,
};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{IpfsCluster, MessageQueue, PostgresDatabase, Temporal, label},
    condition::RECONCILING,
};

use crate::{converges::ask_again, seeds};

/// So many faults happen while it is made, unless all is made before.
const FAULTS: u64 = 25;

/// An object that Temporal refers to, Ready, with a binding that leads nowhere.
async fn sibling<K: Subject>(space: &Space, binding: Value) -> Result<()> {
    let made = space.one::<K>().create(&K::embedded()).await?;
    let bytes = |value: &Value| ByteString(value.as_str().unwrap_or_default().as_bytes().to_vec());
    let data: BTreeMap<&String, ByteString> =
        binding.as_object().into_iter().flatten().map(|(key, value)| (key, bytes(value))).collect();
    let secret = json!({"metadata": {"name": K::binding(), "labels": {label::BINDING: "true"}}, "data": data});
    space.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    let generation = made.meta().generation;
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "Verified", "message": "answers",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": generation,
    });
    let status = json!({"observedGeneration": generation, "conditions": [ready], "binding": {"name": K::binding()}});
    let patch = Patch::Merge(json!({ "status": status }));
    space.api::<K>().patch_status(NAME, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Makes all that Temporal refers to, then Temporal.
async fn ask(space: &One<'_, Temporal>) -> Result<()> {
    let database = json!({
        "type": "postgresql", "host": "127.0.0.1", "port": "1", "username": "u", "password": "p", "database": "temporal",
    });
    sibling::<PostgresDatabase>(space, database).await?;
    sibling::<MessageQueue>(space, json!({"type": "rabbitmq", "uri": "amqp://u:p@127.0.0.1:1/temporal"})).await?;
    let ipfs =
        json!({"type": "ipfs", "host": "127.0.0.1", "port": "1", "cluster-host": "127.0.0.1", "cluster-port": "1"});
    sibling::<IpfsCluster>(space, ipfs).await?;
    let mut spec = Temporal::embedded();
    for field in ["database", "queue", "ipfs"] {
        spec[field] = json!({ "name": NAME });
    }
    space.create(&spec).await.map(drop)
}

/// Waits until only products are missing: the broker is the first that is needed.
async fn waits_for_the_broker(space: &One<'_, Temporal>) -> Result<()> {
    space.condition(RECONCILING, "True", "Unreachable").await.map(drop)
}

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

async fn undisturbed(cluster: &Cluster) -> BTreeMap<String, String> {
    let mut outcome_of = BTreeMap::new();
    with_namespace(cluster, async |space| {
        let controller = Controller::start::<Temporal>(space).await?;
        ask(&space.one()).await?;
        outcome_of = outcome(&space.one(), &controller).await?;
        Ok(())
    })
    .await;
    outcome_of
}

#[tokio::test]
async fn temporal_ends_as_without_faults() {
    let cluster = api_server().await.expect("an API server");
    let undisturbed = undisturbed(&cluster).await;
    for seed in seeds(&[1]) {
        with_namespace(&cluster, async |space| {
            println!("Temporal with seed {seed}");
            let identity = Identity::of_namespace::<Temporal>(space).await?;
            let proxy = Proxy::start(&identity, seed).await?;
            let record = Record::<Secret>::start(space).await?;
            let controller = Controller::start_as(space, &identity.through(proxy.address())?).await?;
            controller.leads().await?;
            let space = space.one::<Temporal>();
            ask(&space).await?;
            tokio::select! {
                faults = proxy.until_faults(FAULTS) => drop(faults?),
                made = waits_for_the_broker(&space) => made?,
                asked = ask_again(&space) => asked?,
            }
            proxy.calm();
            let disturbed = outcome(&space, &controller).await?;
            println!("faults: {}", proxy.tally());
            record.assert_made_once()?;
            for (reference, child) in &undisturbed {
                let other = disturbed.get(reference).map(String::as_str).unwrap_or_default();
                ensure!(other == child, "{reference} differs; without faults:\n{child}\nwith faults:\n{other}");
            }
            ensure!(disturbed.len() == undisturbed.len(), "there are others: {:?}", disturbed.keys());
            Ok(())
        })
        .await;
    }
}
