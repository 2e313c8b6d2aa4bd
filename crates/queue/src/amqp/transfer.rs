//! Moves messages between queues: with a bound for the memory that they take, and without losing one.

use std::{future::pending, time::Duration};

use futures::StreamExt;
use lapin::{
    Acker, BasicProperties, PublisherConfirm,
    options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use temporal_stack_common::{
    amqp::{Limit, Window},
    failure::printable,
    quota::{Quota, Share},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep, timeout_at},
};

use super::{Failure, Session, connect, failed};

/// How many messages are in flight while a queue is moved.
const UNDER_WAY: u16 = 50;
/// How much of them is kept at the same time, in bytes: twelve queues may be moved at once, and each byte is kept up to three
/// times, by the two connections and between them.
pub(crate) const WINDOW: usize = 1 << 20;
/// The largest message that is moved, in bytes: as much as RabbitMQ accepts unless it is configured otherwise. The window is
/// extended by its own size until such a message has arrived.
pub(super) const LARGEST: usize = 16 << 20;
/// The move that extends its window, of all brokers.
static EXTENDED: Semaphore = Semaphore::const_new(1);
/// The moves that extend their window or wait for that: one of each namespace, so that the moves of one never keep those of others
/// waiting for more than one message.
static IN_LINE: Quota = Quota::new(usize::MAX, 1);
/// What the frames of a message take at least, in bytes.
const FRAMES: usize = 50;
/// What the confirmation of a message takes at most, in bytes.
const CONFIRMATION: usize = 64;
/// How long a broker that has to wait must have delivered no whole message until its window is extended, and until the message
/// counts as too large: the library may take a while to read what has arrived.
const PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// How long a queue must deliver nothing before it counts as empty.
const SILENCE: Duration = Duration::from_millis(500);

impl Session {
    /// Moves messages from one queue to another until none is left, each acknowledged only after the other queue has it. No other
    /// client may consume meanwhile. `until` is the deadline; `false`: it was reached first.
    ///
    /// The messages arrive over a connection of their own, whose window bounds the memory that they take, whatever their sizes
    /// are: the broker waits until those that it has sent are confirmed.
    pub(crate) async fn transfer(&self, from: &str, to: &str, until: Instant) -> Result<bool, Failure> {
        let window = Window::new(WINDOW);
        let open = connect(&self.access, window.clone()).await?;
        let channel = self.ask("open a channel", open.connection.create_channel()).await?;
        self.ask("limit deliveries", channel.basic_qos(UNDER_WAY, BasicQosOptions::default())).await?;
        let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
        let consuming = channel.basic_consume(from.into(), "".into(), options, FieldTable::default());
        let mut consumer = self.ask("allow a queue to be consumed exclusively", consuming).await?;
        let mut under_way = UnderWay::default();
        let mut extension = Extension::default();
        while Instant::now() < until {
            let waiting = async {
                window.used_up().await;
                sleep(extension.pause()).await;
            };
            let silent = async {
                sleep(SILENCE).await;
                if window.is_used_up() {
                    pending::<()>().await;
                }
            };
            let next = tokio::select! {
                biased;
                next = consumer.next() => next,
                () = waiting => {
                    // Nothing but a part of the next message is left.
                    self.settle(std::mem::take(&mut under_way), &window).await?;
                    if !extension.extend(&window, from, until).await? {
                        break;
                    }
                    continue;
                }
                () = silent => {
                    self.settle(under_way, &window).await?;
                    let cancelling = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
                    self.ask("cancel a consumer", cancelling).await?;
                    self.ask("close a channel", channel.close(200, "".into())).await?;
                    return Ok(true);
                }
            };
            let Some(delivery) = next else { break };
            let delivery = delivery.map_err(|error| failed(&self.access, "deliver a message", &error))?;
            let confirm = self.send(to, &delivery.data, without_copies(delivery.properties.clone())).await?;
            under_way.confirms.push(confirm);
            under_way.bytes += delivery.data.len() + FRAMES;
            under_way.newest = Some(delivery.acker);
            if extension.is_in_use() || under_way.confirms.len() >= usize::from(UNDER_WAY) / 2 {
                self.settle(std::mem::take(&mut under_way), &window).await?;
                extension = Extension::default();
            }
        }
        // Messages that were delivered but not moved are requeued with the connection.
        self.settle(under_way, &window).await?;
        Ok(false)
    }

    /// Acknowledges the messages that the other queue has confirmed, and gives their room back.
    async fn settle(&self, under_way: UnderWay, window: &Window) -> Result<(), Failure> {
        for confirm in under_way.confirms {
            self.confirmed(confirm).await?;
            if let Limit::Window(window) = &self.limit {
                window.give_back(CONFIRMATION);
            }
        }
        let Some(newest) = under_way.newest else { return Ok(()) };
        let options = BasicAckOptions { multiple: true };
        self.ask("accept an acknowledgement", async { newest.ack(options).await.map(drop) }).await?;
        window.give_back(under_way.bytes);
        Ok(())
    }
}

/// The headers CC and BCC would send copies to other queues again.
fn without_copies(properties: BasicProperties) -> BasicProperties {
    let Some(headers) = properties.headers() else { return properties };
    let mut kept = FieldTable::default();
    for (key, value) in headers.inner().iter().filter(|(key, _)| !["CC", "BCC"].contains(&key.as_str())) {
        kept.insert(key.clone(), value.clone());
    }
    properties.with_headers(kept)
}

/// Messages that were forwarded and are not acknowledged yet.
#[derive(Default)]
struct UnderWay {
    confirms: Vec<PublisherConfirm>,
    newest: Option<Acker>,
    /// What they take in the window.
    bytes: usize,
}

/// The extension of a window for the next message.
#[derive(Default)]
struct Extension {
    /// How often the window was extended since the latest message.
    times: usize,
    /// Held while it is larger than usual.
    turn: Option<(SemaphorePermit<'static>, Share)>,
}

impl Extension {
    fn is_in_use(&self) -> bool {
        self.times > 0
    }

    /// Whether the largest message fits into what has arrived.
    fn is_complete(&self) -> bool {
        self.times > LARGEST / WINDOW
    }

    fn pause(&self) -> Duration {
        if self.is_complete() { LAST_PAUSE } else { PAUSE }
    }

    /// Lets the broker send as much as the window again; `false` if another move uses more than its window until the deadline.
    /// The frames of small messages take more than is given back, so the first time is usual.
    async fn extend(&mut self, window: &Window, queue: &str, until: Instant) -> Result<bool, Failure> {
        if self.is_complete() {
            return Err(Failure::TooLarge { queue: printable(queue) });
        }
        if self.times > 0 && self.turn.is_none() {
            let mut share = IN_LINE.share();
            if !share.extend_until(1, until).await {
                return Ok(false);
            }
            let Ok(Ok(turn)) = timeout_at(until, EXTENDED.acquire()).await else { return Ok(false) };
            self.turn = Some((turn, share));
        }
        self.times += 1;
        window.give_back(WINDOW);
        Ok(true)
    }
}
