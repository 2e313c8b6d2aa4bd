//! Uploads with a fault every so often: each is pinned, or was refused to the client, or the application said that it failed.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::{Needs, One, Space, Stopwatch, Subject as _, full, installed::SYSTEM, peers::until_answer};
use futures::{AsyncBufReadExt as _, StreamExt as _};
use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, LogParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::Value;
use temporal_stack_common::api::{IpfsCluster, MessageQueue, PostgresDatabase, Temporal};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    database::cloud_native_pg::servers,
    on_stack,
    temporal::{Ipfs, of_stack, random},
};

/// How long whoever was refused waits before the next upload.
const PAUSE: Duration = Duration::from_secs(1);

/// What may happen between two uploads.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Database,
    /// To servers of CloudNativePG.
    Servers(servers::Fault),
    QueueNode,
    IpfsPeer,
    KeyServer,
    /// Of this role.
    Worker(&'static str),
    Api,
    Controller,
}

const FAULTS: [Fault; 11] = [
    Fault::Database,
    Fault::QueueNode,
    Fault::IpfsPeer,
    Fault::KeyServer,
    Fault::Worker("cluster"),
    Fault::Worker("pin"),
    Fault::Worker("key-creation"),
    Fault::Worker("ipns-entry"),
    Fault::Worker("email-send"),
    Fault::Api,
    Fault::Controller,
];

/// What may happen here: the faults of servers, if CloudNativePG runs them.
async fn faults(space: &Space) -> Result<Vec<Fault>> {
    let database = space.one::<PostgresDatabase>().get().await?;
    if database.spec.provider.cloud_native_pg.is_none() {
        return Ok(FAULTS.to_vec());
    }
    let of_servers = servers::Fault::OF_SERVERS.into_iter().map(Fault::Servers);
    Ok(of_servers.chain(FAULTS.into_iter().filter(|fault| !matches!(fault, Fault::Database))).collect())
}

impl Fault {
    /// Deletes the pods that it is about, without waiting for what comes after.
    async fn happen(self, space: &Space) -> Result<()> {
        let pods = space.api::<Pod>();
        let role = |role: &str| ListParams::default().labels(&format!("temporal-stack.dev/role={role}"));
        let delete = async |name: &str| pods.delete(name, &DeleteParams::default()).await.map(drop);
        let all = async |which: ListParams| pods.delete_collection(&DeleteParams::default(), &which).await.map(drop);
        match self {
            Self::Database => delete(&PostgresDatabase::pod(0)).await?,
            Self::Servers(fault) => fault.happen(space).await?,
            Self::QueueNode => delete(&MessageQueue::pod(1)).await?,
            Self::IpfsPeer => delete(&IpfsCluster::pod(1)).await?,
            Self::KeyServer => delete(&format!("{}-0", Temporal::child("krab"))).await?,
            Self::Worker(worker) => all(role(worker)).await?,
            Self::Api => all(role("api")).await?,
            Self::Controller => {
                let of_it = ListParams::default().labels("app.kubernetes.io/name=temporal-controller");
                let pods = Api::<Pod>::namespaced(space.client.clone(), SYSTEM);
                pods.delete_collection(&DeleteParams::default(), &of_it).await?;
            }
        }
        Ok(())
    }
}

/// What the workers have said of CIDs that they could not pin, also those that have gone since.
#[derive(Clone, Default)]
struct Complaints(Arc<Mutex<BTreeMap<String, String>>>);

impl Complaints {
    /// Listens to all workers that there are and will be, until it is dropped.
    fn listen(&self, space: &Space) -> JoinSet<()> {
        let (all, pods) = (self.clone(), space.api::<Pod>());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let of_cluster = watcher::Config::default().labels("temporal-stack.dev/role=cluster");
            let mut seen = pin!(watcher::watcher(pods.clone(), of_cluster).default_backoff().applied_objects());
            let mut known = BTreeSet::new();
            let mut listeners = JoinSet::new();
            while let Some(pod) = seen.next().await {
                if let Ok(pod) = pod
                    && known.insert(pod.uid())
                {
                    listeners.spawn(all.clone().follow(pods.clone(), pod.name_any()));
                }
            }
        });
        tasks
    }

    async fn follow(self, pods: Api<Pod>, name: String) {
        let params = LogParams { container: Some("cluster".to_owned()), follow: true, ..LogParams::default() };
        loop {
            // Not while it waits for what it needs; and again when its container was started again.
            if let Ok(lines) = pods.log_stream(&name, &params).await {
                let mut lines = lines.lines();
                while let Some(Ok(line)) = lines.next().await {
                    self.take(&line);
                }
            }
            if pods.get_opt(&name).await.ok().flatten().is_none() {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    fn take(&self, line: &str) {
        let Ok(said) = serde_json::from_str::<Value>(line) else { return };
        if let (Some("error"), Some(cid)) = (said["level"].as_str(), said["cid"].as_str()) {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(cid.to_owned(), said.to_string());
        }
    }

    fn of(&self, cid: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(cid).cloned()
    }
}

/// Uploads, with a fault every so often; what was accepted with when and after which fault, and why others were refused.
async fn upload(
    space: &Space,
    temporal: &One<'_, Temporal>,
    faults: &[Fault],
    each: usize,
) -> Result<(BTreeMap<String, String>, Vec<String>)> {
    let caller = temporal.admin().await?;
    let (mut accepted, mut refused) = (BTreeMap::new(), Vec::new());
    for &fault in faults {
        let mut watch = Stopwatch::new();
        fault.happen(space).await?;
        let before = refused.len();
        for _ in 0..each {
            match caller.add(random(5000)).await {
                Ok(cid) => drop(accepted.insert(cid, format!("{fault:?} at {}", Timestamp::now()))),
                Err(error) => {
                    refused.push(format!("{fault:?}: {error:#}"));
                    sleep(PAUSE).await;
                }
            }
        }
        watch.step(&format!("{fault:?}: {each} uploads, {} refused, after", refused.len() - before));
        if let Fault::Servers(fault) = fault {
            fault.is_over(space).await?;
        }
        temporal.ready().await?;
        watch.step(&format!("{fault:?}: Ready after"));
    }
    Ok((accepted, refused))
}

#[tokio::test]
async fn every_upload_between_faults_is_accounted_for() {
    on_stack(Needs::stack().weighing(6).ending::<Temporal>(), async |space| {
        let temporal = of_stack(space);
        temporal.ready().await?;
        let complaints = Complaints::default();
        let listening = complaints.listen(space);
        let each = if full() { 20 } else { 5 };
        let faults = faults(space).await?;
        let (accepted, refused) = upload(space, &temporal, &faults, each).await?;
        let sent = accepted.len() + refused.len();
        ensure!(sent == each * faults.len(), "{sent} were sent");

        let ipfs = Ipfs::of(space).await?;
        let first = ipfs.peers.first().context("a peer")?;
        let settled = async || {
            let pinned = first.allocations().await?;
            let open = |cid: &String| !pinned.contains_key(cid) && complaints.of(cid).is_none();
            Ok(accepted.clone().into_iter().filter(|(cid, _)| open(cid)).collect::<Vec<_>>())
        };
        until_answer("every accepted upload to be pinned, or said to have failed", settled, Vec::is_empty).await?;
        let pins = first.allocations().await?;
        let (pinned, failed): (Vec<&String>, Vec<&String>) = accepted.keys().partition(|cid| pins.contains_key(*cid));
        for cid in &pinned {
            ipfs.all_have(cid).await?;
            ipfs.forget(cid).await?;
        }
        drop(listening);
        println!(
            "{sent} sent = {} pinned + {} refused to the client + {} acknowledged with an error",
            pinned.len(),
            refused.len(),
            failed.len()
        );
        for cid in &failed {
            println!("{cid}: {}", complaints.of(cid).unwrap_or_default());
        }
        for why in &refused {
            println!("{why}");
        }
        ensure!(pinned.len() > sent / 2, "few are pinned");
        temporal.ready().await.map(drop)
    })
    .await;
}
