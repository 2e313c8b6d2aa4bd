//! Random specs, made of the kinds' own schemas, on a real API server: there and back is as before, whether the other spec was carried
//! out, refused, or moves data that nobody may move.

use std::{collections::BTreeMap, time::Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Controller, One, Subject, full,
    prepare::{FIXED, GROWS, api_server},
    schema::Random,
    seed,
    snapshot::{children, normalised},
    step::complete,
    subject::NAME,
    with_namespace,
};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{IpfsCluster, MessageQueue, Status as _, label},
    condition::{self, STALLED},
};

use crate::victim::observed_generation;

/// How many random specs the object goes through.
pub(crate) const ROUNDS: u32 = 5;
/// How often a spec is drawn until the API server takes one.
pub(crate) const DRAWS: u32 = 400;

/// The children that are not data, as text.
async fn outcome<K: Subject>(space: &One<'_, K>) -> Result<BTreeMap<String, String>> {
    let mut children = children(space).await?;
    children.retain(|_, child| !is_data(child));
    Ok(normalised(&children, &space.get().await?, &space.name))
}

/// The children that are data: who they are, and what they have. There may be more of them later: data outlive what asked for them.
pub(crate) async fn data<K: Subject>(space: &One<'_, K>) -> Result<BTreeMap<String, Value>> {
    let children = children(space).await?.into_iter().filter(|(_, child)| is_data(child));
    Ok(children.map(|(reference, child)| (reference, json!([child["metadata"]["uid"], child["data"]]))).collect())
}

pub(crate) fn is_data(child: &Value) -> bool {
    child["metadata"]["labels"][label::DATA] == "true"
}

/// The spec to which the object comes back: of several pods, where the kind can have them.
fn first<K: Subject>() -> Value {
    let mut spec = K::embedded();
    set_replicas::<K>(&mut spec, 3);
    spec
}

/// Sets the number of pods, where the kind has one.
fn set_replicas<K: Subject>(spec: &mut Value, replicas: u32) {
    if K::PROGRAM == IpfsCluster::PROGRAM {
        spec["replicas"] = json!(replicas);
    } else if K::PROGRAM == MessageQueue::PROGRAM && spec["provider"][K::PROVIDER].is_object() {
        spec["provider"][K::PROVIDER]["replicas"] = json!(replicas);
    }
}

/// A volume that is not larger than the one that there is, which could not become smaller again.
pub(crate) fn storage(random: &mut Random) -> Value {
    random.value(&json!({"enum": [
        {"size": "1Gi", "storageClassName": GROWS},
        {"size": "512Mi", "storageClassName": GROWS},
        {"size": "1Gi", "storageClassName": FIXED},
        {"size": "1Gi", "storageClassName": "nobody-has-it"},
        {"size": "1Gi"},
    ]}))
}

/// Puts a spec in the place of the one that is there.
pub(crate) async fn replace<K: Subject>(space: &One<'_, K>, spec: &Value, dry_run: bool) -> kube::Result<K> {
    let patch = serde_json::from_value(json!([{"op": "replace", "path": "/spec", "value": spec}]));
    let patch = Patch::Json::<()>(patch.map_err(kube::Error::SerdeError)?);
    space.objects().patch(NAME, &PatchParams { dry_run, ..PatchParams::default() }, &patch).await
}

/// A random spec that the API server takes. It has not more pods, and no larger volumes: without nodes, neither can be taken back.
async fn drawn<K: Subject>(space: &One<'_, K>, random: &mut Random) -> Result<Value> {
    for _ in 0..DRAWS {
        let mut spec = random.spec::<K>();
        let replicas = random.value(&json!({"enum": [1, 3]}));
        set_replicas::<K>(&mut spec, replicas.as_u64().and_then(|replicas| replicas.try_into().ok()).unwrap_or(1));
        if let Some(provider) = spec["provider"][K::PROVIDER].as_object_mut() {
            for field in ["servers", "drivesPerServer"] {
                provider.remove(field);
            }
            provider.insert("storage".to_owned(), storage(random));
        }
        if replace(space, &spec, true).await.is_ok() {
            return Ok(spec);
        }
    }
    anyhow::bail!("the API server took none of {DRAWS} specs")
}

fn is_stalled<K: Subject>(object: &K) -> bool {
    let conditions = object.status().map(|status| status.conditions().to_vec()).unwrap_or_default();
    condition::find(&conditions, STALLED).is_some_and(|stalled| stalled.status == "True")
}

e2e::for_each_kind!(random_spec_and_back_gives_the_same_children);

async fn random_spec_and_back_gives_the_same_children<K: Subject>() {
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let mut random = Random::of(seed());
        let controller = Controller::start::<K>(space).await?;
        let space = space.one::<K>();
        let spec = first::<K>();
        space.create(&spec).await?;
        complete(&space, &controller).await?;
        let (before, data_before) = (outcome(&space).await?, data(&space).await?);
        ensure!(!before.is_empty() && !data_before.is_empty(), "nothing was made");
        let (started, mut stalled) = (Instant::now(), 0);
        let rounds = if full() { 20 * ROUNDS } else { ROUNDS };
        for round in 0..rounds {
            let other = drawn(&space, &mut random).await?;
            let generation = replace(&space, &other, false).await?.meta().generation;
            let observed =
                space.until("looked at a random spec", |object| observed_generation(object) >= generation).await?;
            stalled += u32::from(is_stalled(&observed));
            replace(&space, &spec, false).await?;
            complete(&space, &controller).await.with_context(|| format!("after {other}"))?;
            let (after, data_after) = (outcome(&space).await?, data(&space).await?);
            for (reference, child) in &before {
                let now = after.get(reference).map(String::as_str).unwrap_or_default();
                ensure!(now == child, "round {round}: {reference} was\n{child}\nand after {other} is\n{now}");
            }
            ensure!(after.len() == before.len(), "round {round}: after {other} there are {:?}", after.keys());
            // Not what is in them: it is secret.
            let lost = data_before.iter().filter(|(name, content)| data_after.get(*name) != Some(*content));
            let lost: Vec<_> = lost.map(|(name, _)| name).collect();
            ensure!(lost.is_empty(), "round {round}: {lost:?} are not what they were, after {other}");
        }
        println!("{stalled} of {rounds} random specs were refused");
        ensure!(stalled > 0, "no spec was refused");
        println!("random specs: {:.1} s", started.elapsed().as_secs_f64());
        Ok(())
    })
    .await;
}
