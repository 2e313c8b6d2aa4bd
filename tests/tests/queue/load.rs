//! An application that publishes all the time, and publishes again what was not confirmed.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use e2e::{Binding, HANG, broker::Session};
use futures::StreamExt as _;
use lapin::options::BasicAckOptions;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

/// How many messages wait for their confirms at once.
const BATCH: u64 = 20;
/// How far apart batches are.
const APART: Duration = Duration::from_millis(100);

/// How far it has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    /// Messages are numbered from 0, and all below this one are confirmed.
    pub(crate) confirmed: u64,
    /// How often it had to publish a batch again.
    pub(crate) again: u32,
    /// The longest time between two confirmed batches.
    pub(crate) longest: Duration,
}

/// A running publisher; it ends when this is dropped.
pub(crate) struct Load {
    published: watch::Receiver<Published>,
    last: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Load {
    /// Starts to publish to a queue.
    pub(crate) fn start(binding: &Binding, address: IpAddr, queue: &'static str) -> Self {
        let (sender, published) = watch::channel(Published::default());
        let (last, until) = watch::channel(u64::MAX);
        let task = tokio::spawn(publish(binding.clone(), address, queue, sender, until));
        Self { published, last, task }
    }

    /// Waits until so many more are confirmed.
    pub(crate) async fn confirmed(&self, more: u64) -> Result<()> {
        let mut published = self.published.clone();
        let goal = published.borrow().confirmed + more;
        let reached = timeout(HANG, published.wait_for(|published| published.confirmed >= goal)).await;
        reached.with_context(|| format!("waited {HANG:?} for confirms: {:?}", self.published.borrow()))??;
        Ok(())
    }

    /// Ends when at least so many are confirmed in all.
    pub(crate) async fn end(self, least: u64) -> Result<Published> {
        self.last.send_replace(least);
        let mut published = self.published.clone();
        let ended = timeout(HANG, async { while published.changed().await.is_ok() {} });
        ended.await.with_context(|| format!("waited {HANG:?} for the last confirms: {:?}", self.published.borrow()))?;
        Ok(self.published.borrow().clone())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn publish(
    binding: Binding,
    address: IpAddr,
    queue: &'static str,
    published: watch::Sender<Published>,
    until: watch::Receiver<u64>,
) {
    let mut turns = interval(APART);
    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut since = Instant::now();
    loop {
        turns.tick().await;
        let Ok(session) = Session::open(&binding, address).await else { continue };
        loop {
            let next = published.borrow().confirmed;
            if next >= *until.borrow() {
                return;
            }
            turns.tick().await;
            let batch = (next..next + BATCH).map(|number| number.to_string());
            if let Err(error) = session.publish("", queue, batch).await {
                println!("  again from {next}: {error:#}");
                published.send_modify(|published| published.again += 1);
                break;
            }
            published.send_modify(|published| {
                published.confirmed += BATCH;
                published.longest = published.longest.max(since.elapsed());
            });
            since = Instant::now();
        }
    }
}

/// Takes all messages out of a queue; fails if one of those that were confirmed does not come. Says how many came twice.
pub(crate) async fn take_all(session: &Session, queue: &str, confirmed: u64) -> Result<u64> {
    let mut consumer = session.consume(queue).await?;
    let mut missing: BTreeSet<u64> = (0..confirmed).collect();
    let mut twice = 0;
    while !missing.is_empty() {
        let next = timeout(HANG, consumer.next()).await;
        let next = next.with_context(|| {
            let first: Vec<_> = missing.iter().take(20).collect();
            format!("{} of {confirmed} confirmed messages are lost, the first of them: {first:?}", missing.len())
        })?;
        let delivery = next.context("the consumer has ended")??;
        let number: u64 = std::str::from_utf8(&delivery.data)?.parse()?;
        if !missing.remove(&number) {
            twice += 1;
        }
        delivery.ack(BasicAckOptions::default()).await?;
    }
    ensure!(missing.is_empty());
    Ok(twice)
}
