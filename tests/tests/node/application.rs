//! An application that connects twenty times a second, and follows the binding.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use e2e::{Binding, HANG, Space, sql};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_postgres::NoTls;

/// How far apart connections are.
const APART: Duration = Duration::from_millis(50);

/// What became of the connections, by the number of the login that they were opened with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Connections that answered `select 1`.
    pub(crate) answered: BTreeMap<u32, u32>,
    /// What those said that did not.
    pub(crate) failed: BTreeMap<u32, Vec<String>>,
}

impl Outcome {
    /// How many connections with this login answered.
    pub(crate) fn answered(&self, login: u32) -> u32 {
        self.answered.get(&login).copied().unwrap_or_default()
    }

    /// How many connections failed, of all logins.
    pub(crate) fn failures(&self) -> usize {
        self.failed.values().map(Vec::len).sum()
    }
}

/// A running application; it ends when this is dropped.
pub(crate) struct Application {
    outcome: watch::Receiver<Outcome>,
    tasks: JoinSet<()>,
}

impl Application {
    /// Starts with the binding as it is. It reads a new one only after as many further connections as `slowness` says: an
    /// application does not move over at once.
    pub(crate) async fn start(space: &Space, slowness: u32) -> Result<Self> {
        let address = space.address().await?;
        let binding = Arc::new(Mutex::new(space.binding().await?));
        let (sender, outcome) = watch::channel(Outcome::default());
        let sender = Arc::new(sender);
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(space.api::<Secret>(), binding.clone(), slowness, outcome.clone()));
        tasks.spawn(async move {
            let mut turns = interval(APART);
            turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut open: JoinSet<()> = JoinSet::new();
            loop {
                turns.tick().await;
                let binding = binding.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let sender = sender.clone();
                while open.try_join_next().is_some() {}
                open.spawn(async move {
                    let result = once(&binding, address).await;
                    sender.send_modify(|outcome| match result {
                        Ok(()) => *outcome.answered.entry(binding.login).or_default() += 1,
                        Err(error) => outcome.failed.entry(binding.login).or_default().push(format!("{error:#}")),
                    });
                });
            }
        });
        Ok(Self { outcome, tasks })
    }

    /// What became of the connections so far.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome.borrow().clone()
    }

    /// Waits until so many more connections with this login have answered.
    pub(crate) async fn answered(&self, login: u32, more: u32) -> Result<()> {
        let mut outcome = self.outcome.clone();
        let goal = outcome.borrow().answered(login) + more;
        let reached = timeout(HANG, outcome.wait_for(|outcome| outcome.answered(login) >= goal)).await;
        reached
            .with_context(|| format!("waited {HANG:?} for connections with login {login}: {:?}", self.outcome()))??;
        Ok(())
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.tasks.abort_all();
    }
}

/// Follows the binding, each time after `slowness` further answers.
async fn follow(
    secrets: kube::Api<Secret>,
    binding: Arc<Mutex<Binding>>,
    slowness: u32,
    outcome: watch::Receiver<Outcome>,
) {
    let total = |outcome: &Outcome| outcome.answered.values().sum::<u32>();
    let mut states = pin!(watcher::watch_object(secrets, "temporal-postgresdatabase-binding").default_backoff());
    while let Some(state) = states.next().await {
        let Some(next) = state.ok().flatten().as_ref().and_then(Binding::of) else { continue };
        let is_known = *binding.lock().unwrap_or_else(PoisonError::into_inner) == next;
        if is_known {
            continue;
        }
        let mut outcome = outcome.clone();
        let goal = total(&outcome.borrow()) + slowness;
        if outcome.wait_for(|outcome| total(outcome) >= goal).await.is_err() {
            return;
        }
        println!("  the application has read login {} from the binding", next.login);
        *binding.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }
}

async fn once(binding: &Binding, address: IpAddr) -> Result<()> {
    let (client, connection) = sql::config(binding, address)?.connect(NoTls).await?;
    tokio::spawn(async move { drop(connection.await) });
    client.simple_query("select 1").await?;
    Ok(())
}
