//! An application that connects twenty times a second, and follows the binding.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use e2e::{Binding, HANG, One, Subject as _, broker::Session};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    runtime::{WatchStreamExt as _, watcher},
};
use temporal_stack_common::api::MessageQueue;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

/// How far apart connections are.
const APART: Duration = Duration::from_millis(50);

/// What became of the connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Connections that had a channel, by the number of the login that they were opened with.
    pub(crate) opened: BTreeMap<u32, u32>,
    /// What those said that had none.
    pub(crate) failed: Vec<String>,
}

impl Outcome {
    fn opened(&self, login: u32) -> u32 {
        self.opened.get(&login).copied().unwrap_or_default()
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
    pub(crate) async fn start(queue: &One<'_, MessageQueue>, slowness: u32) -> Result<Self> {
        let address = queue.service().await?;
        let binding = Arc::new(Mutex::new(queue.bound().await?));
        let (sender, outcome) = watch::channel(Outcome::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(queue.api(), binding.clone(), slowness, outcome.clone()));
        tasks.spawn(connect(binding, address, Arc::new(sender)));
        Ok(Self { outcome, tasks })
    }

    /// What became of the connections so far.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome.borrow().clone()
    }

    /// Waits until so many more connections with this login have been opened.
    pub(crate) async fn opened(&self, login: u32, more: u32) -> Result<()> {
        let mut outcome = self.outcome.clone();
        let goal = outcome.borrow().opened(login) + more;
        let reached = timeout(HANG, outcome.wait_for(|outcome| outcome.opened(login) >= goal)).await;
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

async fn connect(binding: Arc<Mutex<Binding>>, address: IpAddr, outcome: Arc<watch::Sender<Outcome>>) {
    let mut turns = interval(APART);
    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut open: JoinSet<()> = JoinSet::new();
    loop {
        turns.tick().await;
        let binding = binding.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let outcome = outcome.clone();
        while open.try_join_next().is_some() {}
        open.spawn(async move {
            let result = once(&binding, address).await;
            outcome.send_modify(|outcome| match result {
                Ok(()) => *outcome.opened.entry(binding.login).or_default() += 1,
                Err(error) => outcome.failed.push(format!("login {}: {error:#}", binding.login)),
            });
        });
    }
}

async fn once(binding: &Binding, address: IpAddr) -> Result<()> {
    let session = Session::open(binding, address).await?;
    Ok(session.connection.close(200, "".into()).await?)
}

/// Follows the binding, each time after `slowness` further connections.
async fn follow(
    secrets: Api<Secret>,
    binding: Arc<Mutex<Binding>>,
    slowness: u32,
    mut outcome: watch::Receiver<Outcome>,
) {
    let total = |outcome: &Outcome| outcome.opened.values().sum::<u32>();
    let mut states = pin!(watcher::watch_object(secrets, &MessageQueue::binding()).default_backoff());
    while let Some(state) = states.next().await {
        let Some(next) = state.ok().flatten().as_ref().and_then(Binding::of) else { continue };
        let is_known = *binding.lock().unwrap_or_else(PoisonError::into_inner) == next;
        if is_known {
            continue;
        }
        let goal = total(&outcome.borrow()) + slowness;
        if outcome.wait_for(|outcome| total(outcome) >= goal).await.is_err() {
            return;
        }
        println!("  the application has read login {} from the binding", next.login);
        *binding.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }
}
