//! `queue …`: a consumer of one queue.
//!
//! Whatever becomes of a message, it is acknowledged: one that failed is gone, and at most its price is given back.

mod cluster;
mod keys;
mod mail;
mod names;
mod pins;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::arguments::Flags;
use crate::broker::{self, Line};
use crate::config::Config;
use crate::database::Database;
use crate::log::{Log, Said};
use crate::signal::terminated;
use crate::stop::Stop;

/// Which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `ipfs cluster`.
    Cluster,
    /// `ipfs pin`.
    Pins,
    /// `ipfs key-creation`.
    Keys,
    /// `ipfs ipns-entry`.
    Names,
    /// `email-send`.
    Mail,
}

impl Kind {
    fn queue(self) -> &'static str {
        match self {
            Self::Cluster => broker::CLUSTER,
            Self::Pins => broker::PINS,
            Self::Keys => broker::KEYS,
            Self::Names => broker::NAMES,
            Self::Mail => broker::MAIL,
        }
    }

    /// What its log is called; its file has `.log` at the end.
    fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster_pin_consumer",
            Self::Pins => "pin_consumer",
            Self::Keys => "key_consumer",
            Self::Names => "ipns_consumer",
            Self::Mail => "email_consumer",
        }
    }
}

/// What every worker has.
struct Tools {
    config: Config,
    database: Database,
    log: Log,
    dev: bool,
    /// True once the process is told to end.
    ending: watch::Receiver<bool>,
}

impl Tools {
    /// Reads a message; one that cannot be read is only said.
    fn read<T: for<'a> Deserialize<'a>>(&self, body: &[u8]) -> Option<T> {
        let read = serde_json::from_slice(body);
        read.inspect_err(|error| self.log.error("failed to unmarshal message", &[("error", error)])).ok()
    }

    /// Gives the price back.
    async fn refund(&self, user: &str, kind: &str, cost: f64) {
        if cost == 0.0 {
            return;
        }
        if let Err(error) = self.database.add_credits(user, cost).await {
            let details: [(&str, &Said<'_>); 4] =
                [("error", &error), ("user", &user), ("call_type", &kind), ("cost", &cost)];
            self.log.error("failed to refund user credits", &details);
        }
    }

    /// Waits until the process is told to end.
    async fn ended(&self) {
        let mut ending = self.ending.clone();
        if ending.wait_for(|ending| *ending).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What one worker has beside that.
enum Work {
    Cluster(cluster::Pinner),
    Pins(Box<pins::Pinner>),
    Keys(keys::Maker),
    Names(names::Publisher),
    Mail,
}

impl Work {
    async fn start(kind: Kind, tools: &Arc<Tools>) -> Result<Self, Stop> {
        let failed = |cause: String| Stop::caused("failed to consume messages", cause);
        Ok(match kind {
            Kind::Cluster => {
                Self::Cluster(cluster::Pinner::start(tools).await.map_err(|failure| failure.stop(failed))?)
            }
            Kind::Pins => Self::Pins(Box::new(pins::Pinner::start(tools).await.map_err(failed)?)),
            Kind::Keys => Self::Keys(keys::Maker::start(tools)),
            Kind::Names => Self::Names(names::Publisher::start(tools).await.map_err(failed)?),
            Kind::Mail => {
                tools.log.info("processing email send requests", &[]);
                Self::Mail
            }
        })
    }

    /// Does what a message asks for. A panic of a worker ends the process.
    async fn handle(&self, tools: &Tools, body: &[u8]) -> Result<(), Stop> {
        match self {
            Self::Cluster(pinner) => return pinner.handle(tools, body).await,
            Self::Pins(pinner) => pinner.handle(tools, body).await,
            Self::Keys(maker) => maker.handle(tools, body).await,
            Self::Names(publisher) => publisher.handle(tools, body).await,
            Self::Mail => mail::handle(tools, body),
        }
        Ok(())
    }
}

/// Why consuming came to an end.
enum End {
    /// The broker is gone; it is tried once more.
    Lost,
    /// The process was told to end.
    Told,
}

/// Consumes until told to end.
pub(crate) async fn run(config: Config, flags: &Flags, kind: Kind) -> Result<(), Stop> {
    let log = Log::open(config.get("LogDir"), &format!("{}.log", kind.name()))?.named(kind.name());
    let database =
        Database::open_either(&config).await.map_err(|failure| Stop::caused("failed to start db", failure))?;
    eprintln!("press CTRL+C to stop processing and close queue resources");
    let (end, ending) = watch::channel(false);
    let tools =
        Arc::new(Tools { config, database, log: log.named(kind.queue()).named("consumer"), dev: flags.dev, ending });
    tokio::spawn(async move {
        terminated().await;
        end.send_replace(true);
        // Kept, so that those who wait for it see the value.
        end.closed().await;
    });
    let mut under_way = JoinSet::new();
    loop {
        let line = Line::consumer(&tools.config, kind.queue(), &log);
        let line = line.await.map_err(|cause| Stop::caused("failed to start queue", cause))?;
        match consume(&line, kind, &tools, &mut under_way).await? {
            End::Lost => line.close().await,
            End::Told => {
                line.close().await;
                break;
            }
        }
    }
    // What is under way ends; its acknowledgement comes too late, so the message will be delivered again.
    while under_way.join_next().await.is_some() {}
    Ok(())
}

async fn consume(
    line: &Line,
    kind: Kind,
    tools: &Arc<Tools>,
    under_way: &mut JoinSet<Result<(), Stop>>,
) -> Result<End, Stop> {
    let failed = |cause: String| Stop::caused("failed to consume messages", cause);
    let mut lost = std::pin::pin!(line.lost());
    let mut messages = line.consume().await.map_err(failed)?;
    let work = Arc::new(Work::start(kind, tools).await?);
    loop {
        tokio::select! {
            () = tools.ended() => return Ok(End::Told),
            cause = &mut lost => {
                tools.log.error("a protocol connection error stopping rabbitmq was received", &[("error", &cause)]);
                return Ok(End::Lost);
            }
            Some(ended) = under_way.join_next() => ended.unwrap_or(Ok(()))?,
            message = messages.next() => match message {
                Some(Ok(message)) => drop(under_way.spawn(handle(message, work.clone(), tools.clone()))),
                // An error is followed by the loss of the connection.
                Some(Err(_)) => {}
                // The queue was deleted under its consumer. The original does not notice: it reads empty messages for ever,
                // as fast as it can, and consumes nothing any more.
                None => {
                    tools.log.error("failed to unmarshal message", &[("error", &"unexpected end of JSON input")]);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            },
        }
    }
}

async fn handle(message: Delivery, work: Arc<Work>, tools: Arc<Tools>) -> Result<(), Stop> {
    let handled = work.handle(&tools, &message.data).await;
    if handled.is_ok() {
        let _ = message.acker.ack(BasicAckOptions::default()).await;
    }
    handled
}
