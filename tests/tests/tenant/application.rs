//! Random specs of Temporal, there and back. It is never complete without its products: the children are those that it has while it waits
//! for the broker.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Controller, One, full,
    prepare::api_server,
    schema::Random,
    seed,
    siblings::{Bindings, ask, waits_for_the_broker},
    snapshot::{children, normalised},
    step::quiet,
    subject::NAME,
    with_namespace,
};
use serde_json::{Value, json};
use temporal_stack_common::api::Temporal;

use crate::{
    specs::{DRAWS, ROUNDS, data, is_data, replace, storage},
    victim::observed_generation,
};

/// The children that follow from the spec alone: not the data, and not Secrets, which have certificates that are drawn again.
async fn outcome(space: &One<'_, Temporal>, controller: &Controller) -> Result<BTreeMap<String, String>> {
    waits_for_the_broker(space).await?;
    quiet(space, controller).await?;
    let mut children = children(space).await?;
    children.retain(|reference, child| !is_data(child) && !reference.starts_with("Secret/"));
    Ok(normalised(&children, &space.get().await?, &space.name))
}

/// Few pods: nothing of this is about their number.
fn with_few_replicas(spec: &mut Value) {
    match spec {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "replicas" && value.as_u64().is_some_and(|replicas| replicas > 3) {
                    *value = json!(3);
                }
                with_few_replicas(value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(with_few_replicas),
        _ => {}
    }
}

/// A random spec that the API server takes, with a volume that is not larger.
async fn drawn(space: &One<'_, Temporal>, random: &mut Random) -> Result<Value> {
    for _ in 0..DRAWS {
        let mut spec = random.spec::<Temporal>();
        with_few_replicas(&mut spec);
        if let Some(krab) = spec.get_mut("krab").and_then(Value::as_object_mut) {
            krab.insert("storage".to_owned(), storage(random));
        }
        if replace(space, &spec, true).await.is_ok() {
            return Ok(spec);
        }
    }
    anyhow::bail!("the API server took none of {DRAWS} specs")
}

#[tokio::test]
async fn random_spec_and_back_gives_the_same_children() {
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let mut random = Random::of(seed());
        let controller = Controller::start::<Temporal>(space).await?;
        ask(space, NAME, Bindings::to_nobody()).await?;
        let space = space.one::<Temporal>();
        let before = outcome(&space, &controller).await?;
        let (data_before, spec) = (data(&space).await?, serde_json::to_value(&space.get().await?.spec)?);
        ensure!(!before.is_empty() && !data_before.is_empty(), "nothing was made");
        let rounds = if full() { 20 * ROUNDS } else { ROUNDS };
        for round in 0..rounds {
            let other = drawn(&space, &mut random).await?;
            let generation = replace(&space, &other, false).await?.metadata.generation;
            space.until("looked at a random spec", |object| observed_generation(object) >= generation).await?;
            replace(&space, &spec, false).await?;
            let after = outcome(&space, &controller).await.with_context(|| format!("after {other}"))?;
            for (reference, child) in &before {
                let now = after.get(reference).map(String::as_str).unwrap_or_default();
                ensure!(now == child, "round {round}: {reference} was\n{child}\nand after {other} is\n{now}");
            }
            ensure!(after.len() == before.len(), "round {round}: after {other} there are {:?}", after.keys());
            let data_after = data(&space).await?;
            // Not what is in them: it is secret.
            let lost = data_before.iter().filter(|(name, content)| data_after.get(*name) != Some(*content));
            let lost: Vec<_> = lost.map(|(name, _)| name).collect();
            ensure!(lost.is_empty(), "round {round}: {lost:?} are not what they were, after {other}");
        }
        Ok(())
    })
    .await;
}
