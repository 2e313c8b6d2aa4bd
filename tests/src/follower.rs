//! An application that connects twenty times a second, and follows the binding.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{Binding, HANG};

/// How far apart connections are.
const APART: Duration = Duration::from_millis(50);

/// What became of the connections, by the number of the login that they were opened with.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How many answered.
    pub answered: BTreeMap<u32, u32>,
    /// The errors of those that did not.
    pub failed: BTreeMap<u32, Vec<String>>,
}

impl Outcome {
    /// How many connections with this login answered.
    pub fn answered(&self, login: u32) -> u32 {
        self.answered.get(&login).copied().unwrap_or_default()
    }

    /// How many connections failed, of all logins.
    pub fn failures(&self) -> usize {
        self.failed.values().map(Vec::len).sum()
    }

    fn total(&self) -> u32 {
        self.answered.values().sum()
    }
}

/// A running application; it ends when this is dropped.
pub struct Follower {
    outcome: watch::Receiver<Outcome>,
    tasks: JoinSet<()>,
}

impl Follower {
    /// Starts with the binding of that name as it is; `connect` opens one connection and uses it. It reads a new binding only after as
    /// many further connections as `slowness` says: an application does not move over at once.
    pub async fn start<F>(
        secrets: Api<Secret>,
        name: &str,
        slowness: u32,
        connect: impl Fn(Binding) -> F + Send + Sync + 'static,
    ) -> Result<Self>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let binding = Binding::of(&secrets.get(name).await?).context("the binding lacks a key")?;
        let binding = Arc::new(Mutex::new(binding));
        let (sender, outcome) = watch::channel(Outcome::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(secrets, name.to_owned(), binding.clone(), slowness, outcome.clone()));
        tasks.spawn(connect_again_and_again(binding, connect, Arc::new(sender)));
        Ok(Self { outcome, tasks })
    }

    /// What became of the connections so far.
    pub fn outcome(&self) -> Outcome {
        self.outcome.borrow().clone()
    }

    /// Waits until so many more connections with this login have answered.
    pub async fn answered(&self, login: u32, more: u32) -> Result<()> {
        let mut outcome = self.outcome.clone();
        let goal = outcome.borrow().answered(login) + more;
        let reached = timeout(HANG, outcome.wait_for(|outcome| outcome.answered(login) >= goal)).await;
        reached
            .with_context(|| format!("waited {HANG:?} for connections with login {login}: {:?}", self.outcome()))??;
        Ok(())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.tasks.abort_all();
    }
}

async fn connect_again_and_again<F>(
    binding: Arc<Mutex<Binding>>,
    connect: impl Fn(Binding) -> F,
    outcome: Arc<watch::Sender<Outcome>>,
) where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut turns = interval(APART);
    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut open: JoinSet<()> = JoinSet::new();
    loop {
        turns.tick().await;
        let binding = binding.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (login, outcome) = (binding.login, outcome.clone());
        let connecting = connect(binding);
        while open.try_join_next().is_some() {}
        open.spawn(async move {
            let result = connecting.await;
            outcome.send_modify(|outcome| match result {
                Ok(()) => *outcome.answered.entry(login).or_default() += 1,
                Err(error) => outcome.failed.entry(login).or_default().push(format!("{error:#}")),
            });
        });
    }
}

/// Follows the binding, each time after `slowness` further answers.
async fn follow(
    secrets: Api<Secret>,
    name: String,
    binding: Arc<Mutex<Binding>>,
    slowness: u32,
    mut outcome: watch::Receiver<Outcome>,
) {
    let mut states = pin!(watcher::watch_object(secrets, &name).default_backoff());
    while let Some(state) = states.next().await {
        let Some(next) = state.ok().flatten().as_ref().and_then(Binding::of) else { continue };
        let is_known = *binding.lock().unwrap_or_else(PoisonError::into_inner) == next;
        if is_known {
            continue;
        }
        let goal = outcome.borrow().total() + slowness;
        if outcome.wait_for(|outcome| outcome.total() >= goal).await.is_err() {
            return;
        }
        println!("  the application has read login {} from the binding", next.login);
        *binding.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }
}
