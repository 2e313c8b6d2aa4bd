//! RabbitMQ: one connection with one channel for each queue, whether it is published to or consumed from.

pub(crate) mod messages;

use futures::StreamExt as _;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer, Event};
use serde::Serialize;

use crate::config::Config;
use crate::log::Log;

/// What the API publishes to, and what the workers consume.
pub(crate) const CLUSTER: &str = "ipfs-cluster-add-queue";
/// Pins in private networks.
pub(crate) const PINS: &str = "ipfs-pin-queue";
/// Keys to be made.
pub(crate) const KEYS: &str = "ipfs-key-creation-queue";
/// IPNS records to be published.
pub(crate) const NAMES: &str = "ipns-entry-queue";
/// Mail to be sent.
pub(crate) const MAIL: &str = "email-send-queue";
/// Requests about ENS names: the one queue whose connection nobody watches.
pub(crate) const ENS: &str = "ens-request-queue";
/// All nine, in the order in which the API connects.
pub(crate) const ALL: [&str; 9] = [
    NAMES,
    PINS,
    CLUSTER,
    MAIL,
    KEYS,
    "dash-payment-confirmation-queue",
    "eth-payment-confirmation-queue",
    "bitcoin-cash-payment-confirmation-queue",
    ENS,
];

/// How many messages a consumer has at once.
const PREFETCH: u16 = 10;
/// Seconds between heartbeats.
const HEARTBEAT: u16 = 10;
/// Survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// A connection for one queue.
pub(crate) struct Line {
    connection: Connection,
    channel: Channel,
    queue: &'static str,
}

impl Line {
    /// Connects to publish: the queue is not declared, so what is published before somebody else did is dropped.
    pub(crate) async fn publisher(config: &Config, queue: &'static str, log: &Log) -> Result<Self, String> {
        Self::open(config, queue, &log.named(queue).named("publish")).await
    }

    /// Connects to consume, and declares the queue: durable, and with no arguments.
    pub(crate) async fn consumer(config: &Config, queue: &'static str, log: &Log) -> Result<Self, String> {
        let log = log.named(queue).named("consumer");
        let line = Self::open(config, queue, &log).await?;
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let declared = line.channel.queue_declare(queue.into(), options, FieldTable::default()).await;
        declared.map_err(|error| error.to_string())?;
        log.info("queue declared", &[]);
        Ok(line)
    }

    async fn open(config: &Config, queue: &'static str, log: &Log) -> Result<Self, String> {
        if !config.get("RabbitMQ.TLSConfig.CACertFile").is_empty() {
            return Err("the stand-in speaks no TLS with RabbitMQ".to_owned());
        }
        let connecting = Connection::connect_uri(address(config.get("RabbitMQ.URL"))?, ConnectionProperties::default());
        let connection = connecting.await.map_err(|error| error.to_string())?;
        let channel = connection.create_channel().await.map_err(|error| error.to_string())?;
        log.info("channel opened", &[]);
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.map_err(|error| error.to_string())?;
        Ok(Self { connection, channel, queue })
    }

    /// Begins to consume; each message must be acknowledged.
    pub(crate) async fn consume(&self) -> Result<Consumer, String> {
        let options = BasicConsumeOptions::default();
        let consuming = self.channel.basic_consume(self.queue.into(), "".into(), options, FieldTable::default());
        consuming.await.map_err(|error| error.to_string())
    }

    /// Publishes: persistent, not mandatory, and nobody waits for a confirmation.
    pub(crate) async fn publish(&self, message: &impl Serialize) -> Result<(), String> {
        let body = serde_json::to_vec(message).map_err(|error| error.to_string())?;
        let properties =
            BasicProperties::default().with_delivery_mode(PERSISTENT).with_content_type("text/plain".into());
        let options = BasicPublishOptions::default();
        let publishing = self.channel.basic_publish("".into(), self.queue.into(), options, &body, properties);
        publishing.await.map(drop).map_err(|error| error.to_string())
    }

    /// Waits until the connection is lost, and says why.
    pub(crate) fn lost(&self) -> impl Future<Output = String> + Send + 'static {
        let mut events = self.connection.events_listener();
        async move {
            while let Some(event) = events.next().await {
                if let Event::Error(error) = event {
                    return error.to_string();
                }
            }
            "the connection is closed".to_owned()
        }
    }

    /// Closes the connection at once: what is not acknowledged will be delivered again.
    pub(crate) async fn close(&self) {
        let _ = self.connection.close(200, "".into()).await;
    }
}

fn address(url: &str) -> Result<AMQPUri, String> {
    let mut uri: AMQPUri = url.parse()?;
    if uri.vhost.is_empty() {
        "/".clone_into(&mut uri.vhost);
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_without_a_login_means_guest() {
        let uri = address("amqp://rabbit/").unwrap();
        assert_eq!((uri.authority.userinfo.username.as_str(), uri.authority.port), ("guest", 5672));
        assert_eq!(uri.vhost, "/");
        assert_eq!(address("amqp://u:p@rabbit:1/temporal").unwrap().vhost, "temporal");
        assert_eq!(address("amqp://u:p@rabbit:1/%2f").unwrap().vhost, "/");
    }

    #[test]
    fn invalid_address_is_refused() {
        assert!(address("").is_err() && address("http://rabbit").is_err());
    }
}
