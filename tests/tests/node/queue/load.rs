//! Applications that publish all the time: one publishes again what was not confirmed, another asks for no confirmations.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use e2e::{Binding, HANG, Stopwatch, broker::Session};
use futures::StreamExt as _;
use lapin::options::BasicAckOptions;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval, timeout},
};

/// How many messages wait for their confirms at once.
const BATCH: u64 = 20;
/// How far apart batches are.
const APART: Duration = Duration::from_millis(100);
/// How many applications ask for no confirmations: several on each node.
const CONNECTIONS: u64 = 9;
/// How far apart messages of one of them are.
const BETWEEN: Duration = Duration::from_millis(20);

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

/// What a publisher without confirmations has on its mind.
#[derive(Debug, Default)]
struct Sent {
    /// Messages that went to the broker without an error.
    messages: BTreeSet<u64>,
    /// How often one did not.
    refused: u64,
}

/// Applications that ask for no confirmations, as Temporal's API is one; they end when this is dropped.
pub(crate) struct Careless {
    queue: &'static str,
    last: watch::Sender<bool>,
    tasks: JoinSet<Sent>,
}

impl Careless {
    /// Starts to publish to a queue.
    pub(crate) fn start(binding: &Binding, address: IpAddr, queue: &'static str) -> Self {
        let last = watch::Sender::new(false);
        let first = (0..CONNECTIONS).map(|connection| connection << u32::BITS);
        let tasks = first.map(|first| send(binding.clone(), address, queue, first, last.subscribe())).collect();
        Self { queue, last, tasks }
    }

    /// Ends, and takes what was sent out of the queue; fails if a message does not come. Says how many were refused.
    pub(crate) async fn end(self, session: &Session, watch: &mut Stopwatch) -> Result<u64> {
        self.last.send_replace(true);
        let ended = timeout(HANG, self.tasks.join_all()).await.context("the publishers do not end")?;
        let refused = ended.iter().map(|sent| sent.refused).sum();
        let messages: BTreeSet<u64> = ended.into_iter().flat_map(|sent| sent.messages).collect();
        let count = messages.len();
        take_all(session, self.queue, messages).await?;
        watch.step(&format!("{count} messages without confirmations were consumed, {refused} had been refused, after"));
        Ok(refused)
    }
}

/// Sends messages with numbers from this one on; one that was refused is not sent again.
async fn send(binding: Binding, address: IpAddr, queue: &'static str, first: u64, last: watch::Receiver<bool>) -> Sent {
    let mut turns = interval(BETWEEN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = Sent::default();
    let mut next = first;
    while !*last.borrow() {
        turns.tick().await;
        let Ok(session) = Session::unconfirmed(&binding, address).await else { continue };
        while !*last.borrow() {
            turns.tick().await;
            let number = next;
            next += 1;
            if session.send(queue, &number.to_string()).await.is_err() {
                sent.refused += 1;
                break;
            }
            sent.messages.insert(number);
        }
    }
    sent
}

/// Takes all messages out of a queue; fails if one of these does not come. Says how many others came, or came twice.
pub(crate) async fn take_all(session: &Session, queue: &str, mut missing: BTreeSet<u64>) -> Result<u64> {
    let mut consumer = session.consume(queue).await?;
    let all = missing.len();
    let mut twice = 0;
    while !missing.is_empty() {
        let next = timeout(HANG, consumer.next()).await;
        let next = next.with_context(|| {
            let first: Vec<_> = missing.iter().take(20).collect();
            format!("{} of {all} messages are lost, the first of them: {first:?}", missing.len())
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
