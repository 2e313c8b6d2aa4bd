//! What is asked of the broker: which queues there are, and whether anybody consumes them.

use std::time::Duration;

use lapin::{
    Connection, ConnectionProperties, ErrorKind,
    options::QueueDeclareOptions,
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::FieldTable,
};
use temporal_stack_common::{
    address::host,
    failure::{deepest, words},
    relay::Relay,
};
use tokio::time::timeout;

use crate::{access::Broker, names::QUEUES};

/// How long a broker may take for everything that it is asked at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest frame, in bytes: RabbitMQ's own default.
const FRAME: u32 = 128 << 10;

/// How often a sign of life is asked of a broker that is silent, in seconds.
const HEARTBEAT: u16 = 20;
/// What a broker may send in all, in bytes.
const MOST: u64 = 1 << 20;

/// Why a broker did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It did not do what it was asked.
    #[error("RabbitMQ did not {what}: {cause}")]
    Refused {
        /// What it was asked.
        what: String,
        /// What it said.
        cause: String,
    },
    /// It took too long.
    #[error("RabbitMQ did not answer within {} s", PATIENCE.as_secs())]
    Slow,
}

/// A queue that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queue {
    /// Its name.
    pub(crate) name: &'static str,
    /// How many consumers it has.
    pub(crate) consumers: u32,
}

/// The queues of Temporal that are there, up to the first that is not.
pub(crate) async fn queues(broker: &Broker) -> Result<Vec<Queue>, Failure> {
    in_time(async {
        let (connection, _relay) = open(broker).await?;
        let mut queues = Vec::new();
        for name in QUEUES {
            // The broker closes the channel in which a queue was asked for that is not there.
            let channel = connection.create_channel().await.map_err(refused("open a channel"))?;
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            match channel.queue_declare(name.into(), options, FieldTable::default()).await {
                Ok(queue) => queues.push(Queue { name, consumers: queue.consumer_count() }),
                // All will be declared: no need to ask for the others.
                Err(error) if is_absent(&error) => break,
                Err(error) => return Err(refused(&format!("tell of the queue {name}"))(error)),
            }
        }
        Ok(queues)
    })
    .await
}

/// Declares all queues as Temporal's workers do, so that nothing is dropped that is published before one of them ran.
pub(crate) async fn declare(broker: &Broker) -> Result<(), Failure> {
    in_time(async {
        let (connection, _relay) = open(broker).await?;
        for name in QUEUES {
            let channel = connection.create_channel().await.map_err(refused("open a channel"))?;
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            let declared = channel.queue_declare(name.into(), options, FieldTable::default()).await;
            declared.map_err(refused(&format!("declare the queue {name}")))?;
        }
        Ok(())
    })
    .await
}

/// A connection, and the relay that ends it.
async fn open(broker: &Broker) -> Result<(Connection, Relay), Failure> {
    let what = "open a connection";
    let failed = |cause: &str| Failure::Refused { what: what.to_owned(), cause: words(cause) };
    let properties = ConnectionProperties::default().with_connection_name("temporal-stack".into());
    // The parser's own message may repeat the URI, and with it the password.
    let mut uri = broker.parsed().ok_or_else(|| failed("the URI of the binding is no AMQP URI"))?;
    let named = host(&uri.authority.host).map_err(|wrong| failed(&format!("the host of the URI {wrong}")))?;
    let relay = Relay::open(named, uri.authority.port, PATIENCE, MOST).await;
    let relay = relay.map_err(|error| failed(&error.to_string()))?;
    (uri.authority.host, uri.authority.port) = (relay.near().ip().to_string(), relay.near().port());
    // The library makes room for 32 frames of the length that the broker names, which may be four gigabytes.
    (uri.query.frame_max, uri.query.heartbeat) = (Some(FRAME), Some(HEARTBEAT));
    #[expect(clippy::disallowed_methods, reason = "the relay ends it, and frames have a limit")]
    let connection = Connection::connect_uri(uri, properties).await.map_err(refused(what))?;
    Ok((connection, relay))
}

async fn in_time<T>(asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(PATIENCE, asking).await.map_err(|_| Failure::Slow)?
}

fn refused(what: &str) -> impl FnOnce(lapin::Error) -> Failure {
    let what = what.to_owned();
    move |error| Failure::Refused { what, cause: words(&deepest(&error)) }
}

fn is_absent(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(error) = error.kind() else { return false };
    matches!(error.kind(), AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND))
}
