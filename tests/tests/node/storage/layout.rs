//! MinIO with several drives and several servers: what is lost heals, and servers restart one by one.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    One, Stopwatch, Subject as _, full,
    load::{Application, Load, reads_again},
    objects::{are_equal, put_all, read_equal},
    subject::condition_of,
    turns, until,
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::{ResourceExt as _, api::DeleteParams};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path, time::Duration};
use temporal_stack_common::api::{ObjectStorage, annotation::FULL_RESTART};

use crate::storage::{BUCKETS, made, of, with_storage};

const SERVERS: u32 = 4;
/// How long an application tries a request again.
const PATIENCE: Duration = Duration::from_secs(30);

fn four_servers() -> Value {
    of("minio", &json!({"servers": SERVERS}))
}

/// The UID of each pod.
async fn pods(storage: &One<'_, ObjectStorage>) -> Result<BTreeMap<u32, Option<String>>> {
    let mut uids = BTreeMap::new();
    for ordinal in 0..SERVERS {
        let pod = storage.api::<Pod>().get(&ObjectStorage::pod(ordinal)).await?;
        uids.insert(ordinal, pod.uid());
    }
    Ok(uids)
}

/// Removes everything in a directory, as a new drive is.
fn wipe(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        if removed.is_err() && path.exists() {
            // A server writes there at the moment.
            fs::remove_dir_all(&path).with_context(|| format!("could not remove {}", path.display()))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn wiped_drive_heals() {
    with_storage(2, async |storage| {
        let mut watch = made(storage, &of("minio", &json!({"drivesPerServer": 4}))).await?;
        let client = storage.bound(BUCKETS[0]).await?.client()?;
        put_all(&client, BUCKETS[0]).await?;
        let drive = storage.volume_of(&format!("data2-{}", ObjectStorage::pod(0))).await?;
        wipe(&drive)?;
        are_equal(&client, BUCKETS[0]).await?;
        watch.step("1,000 objects read with a wiped drive after");
        // The controller, which looks every 30 s, may miss that it heals.
        turns("the drive has a part of every object again", async || {
            let parts = fs::read_dir(drive.join(BUCKETS[0])).map_or(0, Iterator::count);
            Ok(parts == e2e::objects::COUNT)
        })
        .await?;
        storage.condition("DrivesHealthy", "True", "AsExpected").await?;
        watch.step("it has healed after");
        Ok(())
    })
    .await;
}

fn is_degraded(object: &ObjectStorage) -> bool {
    condition_of(object, "DrivesHealthy").is_some_and(|condition| {
        condition.status == "False" && ["DrivesOffline", "DrivesHealing"].contains(&condition.reason.as_str())
    })
}

#[tokio::test]
async fn lost_volume_of_a_server_is_reported_and_heals() {
    with_storage(6, async |storage| {
        let mut watch = made(storage, &four_servers()).await?;
        let client = storage.bound(BUCKETS[0]).await?.client()?;
        put_all(&client, BUCKETS[0]).await?;
        watch.step("1,000 objects put after");
        let (claims, pods) = (storage.api::<PersistentVolumeClaim>(), storage.api::<Pod>());
        let (claim, pod) = (ObjectStorage::volume(3), ObjectStorage::pod(3));
        let before = claims.get(&claim).await?.uid();
        claims.delete(&claim, &DeleteParams::default()).await?;
        pods.delete(&pod, &DeleteParams::default()).await?;
        // At the same time: a new drive heals within seconds. Its server has no pod for a while, whatever the others notice.
        tokio::try_join!(
            read_equal(&client, BUCKETS[0]),
            storage.until("said that a drive is not in use", is_degraded),
        )?;
        watch.step("the lost volume is reported after");
        storage.condition("VolumesKept", "False", "VolumeReplaced").await?;
        until(&claims, &claim, "been made again", |claim| claim.uid() != before).await?;
        storage.condition("DrivesHealthy", "True", "AsExpected").await?;
        watch.step("a new volume has healed, as reported after");
        are_equal(&client, BUCKETS[0]).await
    })
    .await;
}

#[tokio::test]
async fn changed_resources_restart_one_server_after_the_other() {
    if !full() {
        println!("left out: it takes minutes; without a node, `storage::servers` restarts them one by one");
        return;
    }
    with_storage(8, async |storage| {
        made(storage, &four_servers()).await?;
        let before = pods(storage).await?;
        let bound = storage.bound(BUCKETS[0]).await?;
        // While a server stops or comes back, MinIO refuses some writes: for a moment, or on a busy machine for longer.
        let application = Application::with_patience(vec![bound.address.clone()], &bound.key, PATIENCE);
        let load = Load::start(&application, BUCKETS[0]);
        load.goes_on(40).await?;
        let mut watch = Stopwatch::new();
        let resources = json!({"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "640Mi"}});
        storage.patch_provider(&json!({"resources": resources})).await?;
        storage.ready().await?;
        watch.step("four servers restarted one by one; Ready after");
        load.goes_on(40).await?;
        let rounds = load.end().await?;
        let retries = application.retries.load(std::sync::atomic::Ordering::Relaxed);
        println!("{} puts and gets, {retries} of them tried again", 2 * rounds.iter().sum::<usize>());
        println!("longest request with its retries: {:.1} s", application.longest().as_secs_f64());
        reads_again(&bound.client()?, BUCKETS[0], &rounds).await?;
        let after = pods(storage).await?;
        ensure!(before.iter().all(|(ordinal, uid)| after[ordinal] != *uid), "a server was not restarted");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn another_root_credential_takes_one_full_stop() {
    with_storage(6, async |storage| {
        made(storage, &four_servers()).await?;
        let bound = storage.bound(BUCKETS[0]).await?;
        put_all(&bound.client()?, BUCKETS[0]).await?;
        let before = pods(storage).await?;
        let mut watch = Stopwatch::new();
        storage.annotate(FULL_RESTART, &json!("once")).await?;
        for ordinal in 0..SERVERS {
            let is_other = |pod: &Pod| pod.uid() != before[&ordinal];
            until(&storage.api::<Pod>(), &ObjectStorage::pod(ordinal), "been made again", is_other).await?;
        }
        storage.ready().await?;
        watch.step("full stop and start with another root credential; Ready after");
        storage.api::<Secret>().get(&ObjectStorage::child("root-2")).await.context("there is no other credential")?;
        ensure!(storage.bound(BUCKETS[0]).await? == bound, "the binding is another one");
        are_equal(&bound.client()?, BUCKETS[0]).await
    })
    .await;
}
