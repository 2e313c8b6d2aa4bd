//! The whole stack in a namespace of its own: on defaults, and with each of the seed's files left out.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use e2e::{Needs, One, Space, Stopwatch, Subject as _, full, subject::condition_of, temporal::ADMIN, until};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Pod, Secret},
};
use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, ListParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{IpfsCluster, MessageQueue, PostgresDatabase, Temporal, annotation},
    condition::{CONFIG_HONOURED, READY},
};

use crate::{
    in_namespace,
    temporal::{
        Ipfs,
        credentials::{rotate, uploads},
        is_kept, random,
    },
};

pub(crate) const PEERS: u32 = 2;
/// What the whole stack weighs: a server, a node, two peers and Temporal.
pub(crate) const WEIGHT: u32 = 8;
const NAME: &str = e2e::subject::NAME;

/// The seed's four files, by name.
const SEED: [(&str, &str); 4] = [
    ("postgres-config", include_str!("../../../fixtures/seed/postgres-config.yaml")),
    ("rabbitmq-config", include_str!("../../../fixtures/seed/rabbitmq-config.yaml")),
    ("ipfs-cluster-config", include_str!("../../../fixtures/seed/ipfs-cluster-config.yaml")),
    ("temporal-config", include_str!("../../../fixtures/seed/temporal-config.yaml")),
];

/// Makes the seed's objects but one in this namespace.
async fn seeded(space: &Space, without: &str) -> Result<()> {
    for (name, text) in SEED.into_iter().filter(|(name, _)| *name != without) {
        let mut object: DynamicObject = serde_saphyr::from_str(text)?;
        object.metadata.namespace = Some(space.name.clone());
        let types = object.types.clone().context("a kind")?;
        let kind = ApiResource::from_gvk(&GroupVersionKind::try_from(types)?);
        let api = Api::<DynamicObject>::namespaced_with(space.client.clone(), &space.name, &kind);
        api.create(&PostParams::default(), &object).await.with_context(|| name.to_owned())?;
    }
    Ok(())
}

/// Makes the four custom resources, small, and waits until all is Ready.
pub(crate) async fn made(space: &Space) -> Result<One<'_, Temporal>> {
    let account = json!({"username": "e2e", "password": "a-password-of-the-tests", "email": "e2e@example.com"});
    let account: Secret = serde_json::from_value(json!({"metadata": {"name": ADMIN}, "stringData": account}))?;
    space.api::<Secret>().create(&PostParams::default(), &account).await?;
    let named = json!({"name": NAME});
    let spec = json!({"database": named, "queue": named, "ipfs": named, "admins": [{"secretName": ADMIN}]});
    let mut watch = Stopwatch::new();
    // The one that refers before those that it refers to: the order is nobody's to keep.
    space.one::<Temporal>().create(&spec).await?;
    space.one::<PostgresDatabase>().create(&json!({})).await?;
    space.one::<MessageQueue>().create(&json!({})).await?;
    let kubo = json!({"gateway": {}, "pubsub": true});
    space
        .one::<IpfsCluster>()
        .create(&json!({"replicas": PEERS, "network": "private", "provider": {"kubo": kubo}}))
        .await?;
    let temporal = space.one::<Temporal>();
    temporal.ready().await?;
    watch.step("the whole stack Ready after");
    Ok(temporal)
}

pub(crate) async fn keeps_an_upload(space: &Space, temporal: &One<'_, Temporal>) -> Result<()> {
    let ipfs = Ipfs::of_size(space, PEERS).await?;
    is_kept(&temporal.admin().await?, &ipfs, random(30_000)).await.map(drop)
}

#[tokio::test]
async fn default_stack_works_and_rotations_refuse_no_upload() {
    in_namespace(Needs::whole(WEIGHT), async |space| {
        let temporal = made(space).await?;
        temporal.condition(CONFIG_HONOURED, "True", "AsWritten").await?;
        keeps_an_upload(space, &temporal).await?;

        let caller = temporal.admin().await?;
        let end = AtomicBool::new(false);
        let mut watch = Stopwatch::new();
        let story = async {
            let rotated = rotate(&space.one::<PostgresDatabase>(), &temporal).await;
            end.store(true, Ordering::SeqCst);
            rotated
        };
        let (rotated, (accepted, refused)) = tokio::join!(story, uploads(&caller, &end));
        rotated?;
        watch.step("the login of the database was rotated and all pods rolled after");
        println!("{} uploads meanwhile, {} refused", accepted.len() + refused.len(), refused.len());
        ensure!(refused.is_empty() && accepted.len() > 10, "{refused:?}");

        failed_migration_is_reported(space, &temporal).await?;
        worker_that_lost_its_queue_is_replaced(space, &temporal).await?;
        keeps_an_upload(space, &temporal).await
    })
    .await;
}

/// The program ends well, and one of its tables is not there.
async fn failed_migration_is_reported(space: &Space, temporal: &One<'_, Temporal>) -> Result<()> {
    let session = space.until_connects().await?;
    session.run("DROP TABLE zones; CREATE VIEW zones AS SELECT 1 AS id").await?;
    let before = pods(temporal).await?;
    temporal.annotate(annotation::RESTART, &json!("1")).await?;
    let parts = ["the tables zones do not exist", "logs job/", annotation::RESTART];
    temporal.condition_about(READY, "False", "MigrationFailed", &parts).await?;
    ensure!(
        before.iter().all(|(name, _)| !name.contains("-api-"))
            || pods(temporal).await?.iter().any(|pod| before.contains(pod)),
        "what ran does not run any more"
    );
    keeps_an_upload(space, temporal).await?;
    session.run("DROP VIEW zones").await?;
    temporal.annotate(annotation::RESTART, &json!("2")).await?;
    temporal.ready().await.map(drop)
}

async fn pods(temporal: &One<'_, Temporal>) -> Result<Vec<(String, Option<String>)>> {
    let ours = ListParams::default().labels("app.kubernetes.io/component=temporal");
    let pods = temporal.api::<Pod>().list(&ours).await?;
    Ok(pods.iter().map(|pod| (pod.name_any(), pod.uid())).collect())
}

/// It runs on, and consumes nothing.
async fn worker_that_lost_its_queue_is_replaced(space: &Space, temporal: &One<'_, Temporal>) -> Result<()> {
    let mut watch = Stopwatch::new();
    let worker = Temporal::child("cluster");
    let before = temporal.api::<Deployment>().get(&worker).await?;
    space.one::<MessageQueue>().until_session().await?.delete("ipfs-cluster-add-queue").await?;
    let unserved =
        |object: &Temporal| condition_of(object, "QueuesServed").is_some_and(|served| served.status == "False");
    temporal.until("a queue without consumers", unserved).await?;
    let rolled = |deployment: &Deployment| deployment.metadata.generation > before.metadata.generation;
    until(&temporal.api::<Deployment>(), &worker, "been rolled", rolled).await?;
    temporal.ready().await?;
    watch.step("a worker whose queue was deleted was made again after");
    Ok(())
}

#[tokio::test]
async fn seed_works_without_any_one_file() {
    if !full() {
        println!("not tried: it takes a stack for each");
        return;
    }
    for (without, _) in SEED {
        in_namespace(Needs::whole(WEIGHT), async |space| {
            println!("without {without}");
            seeded(space, without).await?;
            let temporal = made(space).await?;
            keeps_an_upload(space, &temporal).await?;
            let there = space.api::<ConfigMap>().list(&ListParams::default()).await?;
            ensure!(!there.iter().any(|map| map.name_any() == without), "{without} is there: {}", Value::from(without));
            Ok(())
        })
        .await;
    }
}
