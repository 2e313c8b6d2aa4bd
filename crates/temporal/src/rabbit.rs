//! The requests to RabbitMQ: which queues exist, and how many consumers each has.

use std::time::Duration;

use lapin::{
    ErrorKind,
    options::QueueDeclareOptions,
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::FieldTable,
};
use temporal_stack_common::{
    amqp::{self, Open},
    failure::{deepest, printable},
    mesh,
};
use tokio::time::timeout;

use crate::{access::Broker, names::QUEUES, observed::Queue};

/// How long a connection with all its requests may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a broker may send in total, in bytes.
const MOST: u64 = 1 << 20;

/// Why a broker did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It refused a request.
    #[error("RabbitMQ did not {what}: {cause}")]
    Refused {
        /// The request.
        what: String,
        /// Its answer.
        cause: String,
    },
    /// The policy of a mesh refuses the controller, most likely.
    #[error("{}", mesh::closed("RabbitMQ"))]
    Closed,
    /// It took too long.
    #[error("RabbitMQ did not answer within {} s", PATIENCE.as_secs())]
    Slow,
}

/// Reads the queues of Temporal, up to the first that does not exist.
pub(crate) async fn read(broker: &Broker) -> Result<Vec<Queue>, Failure> {
    in_time(async {
        let open = open(broker).await?;
        let mut queues = Vec::new();
        for name in QUEUES {
            // The broker closes a channel after a request for an absent queue.
            let channel = open.connection.create_channel().await.map_err(refused("open a channel"))?;
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            match channel.queue_declare(name.into(), options, FieldTable::default()).await {
                Ok(queue) => queues.push(Queue { name, consumers: queue.consumer_count() }),
                // All will be declared, so the others need not be checked.
                Err(error) if is_absent(&error) => break,
                Err(error) => return Err(refused(&format!("report the queue {name}"))(error)),
            }
        }
        Ok(queues)
    })
    .await
}

/// Declares these queues as Temporal's workers do, so that nothing is lost that is published before one of them runs.
pub(crate) async fn declare(broker: &Broker, queues: &[&str]) -> Result<(), Failure> {
    in_time(async {
        let open = open(broker).await?;
        for name in queues {
            let channel = open.connection.create_channel().await.map_err(refused("open a channel"))?;
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            let declared = channel.queue_declare((*name).into(), options, FieldTable::default()).await;
            declared.map_err(refused(&format!("declare the queue {name}")))?;
        }
        Ok(())
    })
    .await
}

async fn open(broker: &Broker) -> Result<Open, Failure> {
    let what = "open a connection";
    let failed = |cause: &str| Failure::Refused { what: what.to_owned(), cause: printable(cause) };
    let uri = broker.parse().ok_or_else(|| failed("the URI in the binding is not an AMQP URI"))?;
    amqp::open(uri, PATIENCE, MOST).await.map_err(|failure| match failure {
        amqp::Failure::Unreachable(error) => failed(&error.to_string()),
        amqp::Failure::Closed => Failure::Closed,
        amqp::Failure::Slow => Failure::Slow,
        amqp::Failure::Refused(error) => refused(what)(error),
    })
}

async fn in_time<T>(asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(PATIENCE, asking).await.map_err(|_| Failure::Slow)?
}

fn refused(what: &str) -> impl FnOnce(lapin::Error) -> Failure {
    let what = what.to_owned();
    move |error| Failure::Refused { what, cause: printable(&deepest(&error)) }
}

fn is_absent(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(error) = error.kind() else { return false };
    matches!(error.kind(), AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND))
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::testkit::refusing_proxy;

    use super::*;

    #[tokio::test]
    async fn connection_that_a_mesh_closes_is_refused_by_policy() {
        let broker = Broker { uri: format!("amqp://u:p@127.0.0.1:{}/v", refusing_proxy().await) };
        let failure = read(&broker).await.map(drop).unwrap_err();
        assert!(matches!(failure, Failure::Closed), "{failure}");
    }
}
