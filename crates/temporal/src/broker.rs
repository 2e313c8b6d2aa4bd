//! What is asked of the broker: which queues there are, and whether anybody consumes them.

use std::time::Duration;

use lapin::{
    Connection, ConnectionProperties, ErrorKind,
    options::QueueDeclareOptions,
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::FieldTable,
};
use temporal_stack_common::failure::deepest;
use tokio::time::timeout;

use crate::{access::Broker, names::QUEUES};

/// How long a broker may take for everything that it is asked at once.
const PATIENCE: Duration = Duration::from_secs(10);

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
        let connection = open(broker).await?;
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
        let connection = open(broker).await?;
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

async fn open(broker: &Broker) -> Result<Connection, Failure> {
    let properties = ConnectionProperties::default().with_connection_name("temporal-stack".into());
    Connection::connect(&broker.uri, properties).await.map_err(refused("open a connection"))
}

async fn in_time<T>(asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(PATIENCE, asking).await.map_err(|_| Failure::Slow)?
}

fn refused(what: &str) -> impl FnOnce(lapin::Error) -> Failure {
    let what = what.to_owned();
    move |error| Failure::Refused { what, cause: deepest(&error) }
}

fn is_absent(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(error) = error.kind() else { return false };
    matches!(error.kind(), AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND))
}
