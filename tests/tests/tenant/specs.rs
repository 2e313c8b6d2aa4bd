//! Random specs, made of the kinds' own schemas, on a real API server: there and back is as before.

use std::{collections::BTreeMap, time::Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Controller, One, Subject, full,
    prepare::api_server,
    schema::Random,
    snapshot::{children, normalised},
    step::{complete, made},
    subject::NAME,
    with_namespace,
};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use temporal_stack_common::api::label;

use crate::{seed, victim::observed_generation};

/// How many random specs the object goes through.
const ROUNDS: u32 = 5;
/// How often a spec is drawn until the API server takes one.
const DRAWS: u32 = 400;

/// The children that are not data: data outlive what asked for them.
async fn outcome<K: Subject>(space: &One<'_, K>) -> Result<BTreeMap<String, String>> {
    let mut children = children(space).await?;
    children.retain(|_, child| child["metadata"]["labels"][label::DATA] != "true");
    Ok(normalised(&children, &space.get().await?, &space.name))
}

/// Puts a spec in the place of the one that is there.
async fn replace<K: Subject>(space: &One<'_, K>, spec: &Value, dry_run: bool) -> kube::Result<K> {
    let patch = serde_json::from_value(json!([{"op": "replace", "path": "/spec", "value": spec}]));
    let patch = Patch::Json::<()>(patch.map_err(kube::Error::SerdeError)?);
    space.objects().patch(NAME, &PatchParams { dry_run, ..PatchParams::default() }, &patch).await
}

/// A random spec that the API server takes, and that moves no data: of the same size, in the same number, in the same network.
async fn drawn<K: Subject>(space: &One<'_, K>, random: &mut Random) -> Result<Value> {
    for _ in 0..DRAWS {
        let mut spec = random.spec::<K>();
        for field in ["replicas", "network"] {
            spec.as_object_mut().map(|spec| spec.remove(field));
        }
        if let Some(provider) = spec["provider"][K::PROVIDER].as_object_mut() {
            provider.remove("replicas");
            provider.insert("storage".to_owned(), K::embedded()["provider"][K::PROVIDER]["storage"].clone());
        }
        if replace(space, &spec, true).await.is_ok() {
            return Ok(spec);
        }
    }
    anyhow::bail!("the API server took none of {DRAWS} specs")
}

for_each_kind!(a_random_spec_and_back_gives_the_same_children);

async fn a_random_spec_and_back_gives_the_same_children<K: Subject>() {
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let mut random = Random::of(seed());
        let controller = Controller::start::<K>(space).await?;
        let space = space.one::<K>();
        made(&space, &controller).await?;
        let (spec, before) = (K::embedded(), outcome(&space).await?);
        ensure!(!before.is_empty(), "nothing was made");
        let started = Instant::now();
        for round in 0..if full() { 20 * ROUNDS } else { ROUNDS } {
            let other = drawn(&space, &mut random).await?;
            let generation = replace(&space, &other, false).await?.meta().generation;
            space.until("looked at a random spec", |object| observed_generation(object) >= generation).await?;
            replace(&space, &spec, false).await?;
            complete(&space, &controller).await.with_context(|| format!("after {other}"))?;
            let after = outcome(&space).await?;
            for (reference, child) in &before {
                let now = after.get(reference).map(String::as_str).unwrap_or_default();
                ensure!(now == child, "round {round}: {reference} was\n{child}\nand after {other} is\n{now}");
            }
            ensure!(after.len() == before.len(), "round {round}: after {other} there are {:?}", after.keys());
        }
        println!("random specs: {:.1} s", started.elapsed().as_secs_f64());
        Ok(())
    })
    .await;
}
