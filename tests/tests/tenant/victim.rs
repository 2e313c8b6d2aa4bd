//! The one who must not notice anything: an object, what is known of it before the harm, and what must hold afterwards.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Controller, Identity, One, Space, Subject,
    fake::{Ipfs, Postgres, Rabbit, S3},
    prepare::api_server,
    siblings::{self, Bindings},
    snapshot::children,
    step::{made, quiet, write_secret},
    stranger::Stranger,
    subject::{NAME, condition_of, external},
    until, with_namespace,
};
use k8s_openapi::{
    api::{
        core::v1::{PersistentVolumeClaim, Pod},
        events::v1::Event,
    },
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    ResourceExt as _,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{IpfsCluster, MessageQueue, ObjectStorage, PostgresDatabase, Status as _, Temporal, annotation},
    condition::RECONCILING,
};

/// How much the controller may grow at any time by all that a stranger writes, in MiB: half of what its pod may have.
const GROWTH: u64 = 64;
/// How long the victim may wait for a pass: what the slowest answer takes, and no more than that.
const LATENCY: Duration = Duration::from_secs(20);
/// A name that nobody but the victim may read.
const SECRET: &str = "victims-own-secret";
/// A login that nobody but the victim uses.
const LOGIN: &str = "victim";
/// The victim's other object.
const BESIDE: &str = "beside";

/// A product that answers the victim, and notes who asks.
pub(crate) enum Product {
    Ipfs(Ipfs),
    Postgres(Postgres),
    S3(S3),
    Rabbit(Rabbit),
}

/// A kind that a victim can have.
pub(crate) trait Victim: Subject {
    /// Makes the object, and waits until it is as it should be.
    async fn settle(space: &One<'_, Self>, controller: &Controller) -> Result<Product>;

    /// Makes an object of which all is made that can be made without a node.
    async fn made(space: &One<'_, Self>, controller: &Controller) -> Result<()> {
        made(space, controller).await.map(drop)
    }
}

impl Victim for IpfsCluster {
    async fn settle(space: &One<'_, Self>, controller: &Controller) -> Result<Product> {
        let fake = Ipfs::start().await?;
        let (host, port) = (fake.address().ip().to_string(), fake.address().port().to_string());
        let keys = json!({"host": host, "port": port, "cluster-host": host, "cluster-port": port});
        write_secret(space, SECRET, &keys).await?;
        space.create(&external(SECRET)).await?;
        space.ready().await?;
        beside(space, controller).await?;
        Ok(Product::Ipfs(fake))
    }
}

impl Victim for PostgresDatabase {
    async fn settle(space: &One<'_, Self>, controller: &Controller) -> Result<Product> {
        let fake = Postgres::start().await?;
        let (host, port) = (fake.address().ip().to_string(), fake.address().port().to_string());
        let keys = json!({"host": host, "port": port, "username": LOGIN, "password": "p", "database": "d"});
        write_secret(space, SECRET, &keys).await?;
        space.create(&external(SECRET)).await?;
        space.ready().await?;
        beside(space, controller).await?;
        Ok(Product::Postgres(fake))
    }
}

impl Victim for ObjectStorage {
    async fn settle(space: &One<'_, Self>, _: &Controller) -> Result<Product> {
        let fake = S3::start().await?;
        write_secret(space, SECRET, &fake.keys()).await?;
        space.create(&Self::external(SECRET)).await?;
        space.ready().await?;
        Ok(Product::S3(fake))
    }
}

impl Victim for MessageQueue {
    async fn settle(space: &One<'_, Self>, controller: &Controller) -> Result<Product> {
        let fake = Rabbit::start().await?;
        let (host, port) = (fake.address().ip().to_string(), fake.address().port().to_string());
        let keys = json!({"host": host, "port": port, "username": LOGIN, "password": "p"});
        write_secret(space, SECRET, &keys).await?;
        space.create(&external(SECRET)).await?;
        space.ready().await?;
        beside(space, controller).await?;
        Ok(Product::Rabbit(fake))
    }
}

/// It is never Ready without a node: it waits for a broker, and has its keys, Services and policies meanwhile.
impl Victim for Temporal {
    async fn settle(space: &One<'_, Self>, controller: &Controller) -> Result<Product> {
        let fake = Postgres::start().await?;
        let bindings = Bindings { database: fake.address(), login: LOGIN, ..Bindings::to_nobody() };
        siblings::ask(space, NAME, bindings).await?;
        siblings::waits_for_the_broker(space).await?;
        quiet(space, controller).await?;
        Ok(Product::Postgres(fake))
    }

    async fn made(space: &One<'_, Self>, controller: &Controller) -> Result<()> {
        siblings::ask(space, NAME, Bindings::to_nobody()).await?;
        siblings::waits_for_the_broker(space).await?;
        quiet(space, controller).await.map(drop)
    }
}

/// Makes another object of the victim's, which has all children that the controller makes, and waits until only its pods are missing.
async fn beside<K: Subject>(space: &One<'_, K>, controller: &Controller) -> Result<()> {
    let object = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": {"name": BESIDE}, "spec": K::embedded(),
    });
    space.objects().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    let waits = |object: &K| {
        condition_of(object, RECONCILING).is_some_and(|condition| condition.message.contains("0 of 1 pods ready"))
    };
    let uid = until(&space.objects(), BESIDE, "nothing to wait for but its pods", waits).await?.uid();
    let pod = K::pod(0).replacen(NAME, BESIDE, 1);
    until(&space.api::<Pod>(), &pod, "been made", |_| true).await?;
    until(&space.api::<PersistentVolumeClaim>(), &format!("data-{pod}"), "been taken care of", |claim| {
        claim.annotations().get(annotation::OWNER) == uid.as_ref()
    })
    .await?;
    quiet(space, controller).await.map(drop)
}

impl Product {
    fn address(&self) -> SocketAddr {
        match self {
            Self::Ipfs(fake) => fake.address(),
            Self::Postgres(fake) => fake.address(),
            Self::Rabbit(fake) => fake.address(),
            Self::S3(fake) => fake.address(),
        }
    }

    /// What somebody else than the victim has asked it.
    async fn foreign(&self) -> Vec<String> {
        match self {
            Self::Ipfs(fake) => fake.foreign(),
            Self::Postgres(fake) => fake.others_than(LOGIN).await,
            Self::Rabbit(fake) => fake.others_than(LOGIN).await,
            Self::S3(fake) => fake.foreign(),
        }
    }

    /// How often it was asked.
    fn asked(&self) -> u64 {
        match self {
            Self::Ipfs(fake) => fake.asked(),
            Self::Postgres(fake) => fake.asked(),
            Self::Rabbit(fake) => fake.asked(),
            Self::S3(fake) => fake.asked().len() as u64,
        }
    }
}

/// All that a test of two strangers has.
pub(crate) struct Strangers<'a, K> {
    pub(crate) victim: One<'a, K>,
    pub(crate) hostile: One<'a, K>,
    pub(crate) stranger: Stranger,
    pub(crate) controller: &'a Controller,
    pub(crate) product: Product,
    before: Before,
}

/// What is known of the victim before the harm.
struct Before {
    conditions: BTreeMap<String, Vec<Condition>>,
    versions: BTreeMap<String, Value>,
    latency: Duration,
    memory: u64,
}

/// Runs a test with two namespaces and a controller over both; afterwards the victim must be as before.
pub(crate) async fn with_strangers<K: Victim>(harm: impl AsyncFnOnce(&Strangers<'_, K>) -> Result<()>) {
    let cluster = &api_server().await.expect("an API server");
    with_namespace(cluster, async |mine| {
        with_namespace(cluster, async |theirs| {
            let identity = Identity::of_cluster::<K>(mine).await?;
            let controller = Controller::start_with(mine, &identity, &[theirs]).await?;
            controller.leads().await?;
            let victim = mine.one::<K>();
            let product = K::settle(&victim, &controller).await?;
            let before = Before {
                conditions: conditions(&victim).await?,
                versions: versions(mine).await?,
                latency: latency(&victim).await?,
                memory: memory(&controller)?,
            };
            ensure!(product.asked() > 0, "the victim's product was never asked");
            controller.forget_peak();
            let stranger = Stranger::of(theirs).await?;
            let hostile = theirs.one::<K>();
            let strangers = Strangers { victim, hostile, stranger, controller: &controller, product, before };
            harm(&strangers).await?;
            strangers.ensure_unharmed().await
        })
        .await;
        Ok(())
    })
    .await;
}

impl<K: Victim> Strangers<'_, K> {
    /// The address of the victim's product.
    pub(crate) fn target(&self) -> SocketAddr {
        self.product.address()
    }

    /// Fails unless the victim is as before: ready, its children untouched, its product unasked by others, and served in time
    /// by a controller that has not grown; and unless either is told nothing of the other.
    pub(crate) async fn ensure_unharmed(&self) -> Result<()> {
        let latency = latency(&self.victim).await?;
        println!("latency of the victim before: {:.3} s", self.before.latency.as_secs_f64());
        println!("latency of the victim under harm: {:.3} s", latency.as_secs_f64());
        let peak = self.controller.peak_memory()? >> 20;
        println!("memory before: {} MiB", self.before.memory);
        println!("memory under harm: {} MiB", memory(self.controller)?);
        println!("most memory under harm: {peak} MiB");
        ensure!(latency < LATENCY, "the victim waited {latency:?} for a pass, {:?} before", self.before.latency);
        let grown = peak.saturating_sub(self.before.memory);
        ensure!(grown < GROWTH, "the controller had grown by {grown} MiB");

        let conditions = conditions(&self.victim).await?;
        ensure!(
            states(&conditions) == states(&self.before.conditions),
            "the victim's conditions were {:#?} and are {conditions:#?}",
            self.before.conditions
        );
        let versions = versions(&self.victim).await?;
        ensure!(versions == self.before.versions, "children were {:#?} and are {versions:#?}", self.before.versions);
        let foreign = self.product.foreign().await;
        ensure!(foreign.is_empty(), "the victim's product was asked by a stranger: {foreign:#?}");
        ensure_nothing_told(&self.hostile, &[&self.victim.name, SECRET]).await?;
        ensure_nothing_told(&self.victim, &[&self.hostile.name]).await?;
        self.ensure_no_panic()
    }

    /// Fails if a pass has panicked: the runtime says so on standard error, whatever becomes of the panic.
    fn ensure_no_panic(&self) -> Result<()> {
        for file in std::fs::read_dir(&self.victim.folder)?.flatten() {
            let text = std::fs::read_to_string(file.path()).unwrap_or_default();
            let panicked: Vec<_> = text.lines().filter(|line| line.contains("panicked at")).collect();
            ensure!(panicked.is_empty(), "{panicked:#?}");
        }
        Ok(())
    }
}

/// How long it takes until a change is looked at.
async fn latency<K: Subject>(victim: &One<'_, K>) -> Result<Duration> {
    let started = Instant::now();
    is_observed(victim).await?;
    Ok(started.elapsed())
}

/// Changes the spec and takes the change back, each time until it has been looked at. No child depends on this field.
pub(crate) async fn is_observed<K: Subject>(space: &One<'_, K>) -> Result<()> {
    for rollout in ["Automatic", "WhenAsked"] {
        let changed = space.patch(&json!({"spec": {"rollout": rollout}})).await?;
        let generation = changed.meta().generation;
        space.until("looked at its new spec", |object| observed_generation(object) >= generation).await?;
    }
    Ok(())
}

/// The newest spec that the controller has looked at.
pub(crate) fn observed_generation<K: Subject>(object: &K) -> Option<i64> {
    serde_json::to_value(object).ok()?["status"]["observedGeneration"].as_i64()
}

/// The conditions of each of the victim's objects.
async fn conditions<K: Subject>(victim: &One<'_, K>) -> Result<BTreeMap<String, Vec<Condition>>> {
    let conditions = |object: K| {
        let status = object.status().with_context(|| format!("{} has no status", object.name_any()))?;
        Ok((object.name_any(), status.conditions().to_vec()))
    };
    victim.objects().list(&ListParams::default()).await?.into_iter().map(conditions).collect()
}

/// What a condition says, and since when, without its message.
fn states(conditions: &BTreeMap<String, Vec<Condition>>) -> Vec<Value> {
    let all = conditions.iter().flat_map(|(name, conditions)| conditions.iter().map(move |one| (name, one)));
    all.map(|(name, one)| json!([name, one.type_, one.status, one.last_transition_time])).collect()
}

/// The version of each child.
async fn versions(space: &Space) -> Result<BTreeMap<String, Value>> {
    let children = children(space).await?;
    Ok(children.iter().map(|(name, child)| (name.clone(), child["metadata"]["resourceVersion"].clone())).collect())
}

fn memory(controller: &Controller) -> Result<u64> {
    Ok(controller.metrics()?.resident_memory().context("the controller does not tell its memory")? >> 20)
}

/// Conditions of all objects and all events of a namespace must have none of these words.
async fn ensure_nothing_told<K: Subject>(space: &One<'_, K>, words: &[&str]) -> Result<()> {
    let mut told = Vec::new();
    for object in space.objects().list(&ListParams::default()).await? {
        let conditions = object.status().map(|status| status.conditions().to_vec()).unwrap_or_default();
        told.extend(conditions.into_iter().map(|condition| format!("{}: {}", object.name_any(), condition.message)));
    }
    let events = space.api::<Event>().list(&ListParams::default()).await?;
    told.extend(events.into_iter().filter_map(|event| event.note));
    for word in words {
        let telling: Vec<_> = told.iter().filter(|text| text.contains(word)).collect();
        ensure!(telling.is_empty(), "{word} is told to a stranger: {telling:#?}");
    }
    Ok(())
}
