//! A session with a broker over AMQP: like that of an application, also used to move messages between queues.

mod transfer;

use std::time::{Duration, SystemTime};

use futures::StreamExt;
use lapin::{
    BasicProperties, Channel, ErrorKind, PublisherConfirm,
    options::{
        BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
    types::FieldTable,
    uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo},
};
use temporal_stack_common::{
    amqp::{self, Limit, Open},
    failure::printable,
    login::Access,
    mesh,
};
use tokio::time::timeout;

#[cfg(test)]
use self::transfer::LARGEST;
pub(crate) use self::transfer::WINDOW;

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much a broker may send over a session for one message, in bytes.
pub(crate) const ECHO: u64 = 1 << 20;
/// Why a message was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No server answers at the address.
    #[error("{address} does not answer: {cause}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// The error.
        cause: String,
    },
    /// The policy of a mesh refuses the controller, most likely.
    #[error("{}", mesh::closed(address))]
    Closed {
        /// Host and port.
        address: String,
    },
    /// The login does not exist, or the password is wrong.
    #[error("{address} refuses the login {username}")]
    LoginRefused {
        /// Host and port.
        address: String,
        /// The login.
        username: String,
    },
    /// The virtual host does not exist, or the login may not use it.
    #[error("{address} refuses {username} access to the virtual host {virtual_host}")]
    NoVirtualHost {
        /// Host and port.
        address: String,
        /// The login.
        username: String,
        /// The virtual host.
        virtual_host: String,
    },
    /// It took too long.
    #[error("{address} did not {what} within {} s", PATIENCE.as_secs())]
    Slow {
        /// Host and port.
        address: String,
        /// The awaited operation.
        what: &'static str,
    },
    /// The broker refuses an operation on a queue: the queue is in use, or has other properties.
    #[error("{address} did not {what}: {cause}")]
    Broker {
        /// Host and port.
        address: String,
        /// The operation.
        what: &'static str,
        /// The broker's answer.
        cause: String,
        /// Its code, if any.
        code: u16,
    },
    /// A message does not fit into the memory that a move may take.
    #[error(
        "message in queue {queue} too large to be moved: it has more than {} MiB; consume it, then the move continues",
        transfer::LARGEST >> 20
    )]
    TooLarge {
        /// The queue whose next message it is.
        queue: String,
    },
    /// Another message came back, or none.
    #[error("{address} did not return the message that was published")]
    Lost {
        /// Host and port.
        address: String,
    },
}

/// A connection with one channel; it ends when it is dropped.
pub(crate) struct Session {
    open: Open,
    channel: Channel,
    access: Access,
    /// How much the broker may send.
    limit: Limit,
}

impl Session {
    /// Opens a connection with publisher confirms, over which the broker may send as much as the limit permits.
    pub(crate) async fn open(access: &Access, limit: impl Into<Limit>) -> Result<Self, Failure> {
        let limit = limit.into();
        let open = connect(access, limit.clone()).await?;
        let opening = async {
            let channel = open.connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(channel)
        };
        let channel = in_time(access, "open a channel", opening).await?;
        Ok(Self { open, channel, access: access.clone(), limit })
    }

    /// Publishes a message as an application would, and waits until it comes back.
    pub(crate) async fn echo(&self) -> Result<(), Failure> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let message = format!("temporal-stack {}", now.as_nanos());
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let declaring = self.channel.queue_declare("".into(), options, FieldTable::default());
        let queue = self.ask("declare a queue", declaring).await?.name().clone();
        let confirm = self.send(queue.as_str(), message.as_bytes(), BasicProperties::default()).await?;
        self.confirmed(confirm).await?;
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consuming = self.channel.basic_consume(queue, "".into(), options, FieldTable::default());
        let mut consumer = self.ask("allow a queue to be consumed", consuming).await?;
        let coming = timeout(PATIENCE, consumer.next()).await;
        let came = coming
            .map_err(|_| Failure::Slow { address: self.access.endpoint.to_string(), what: "deliver a message" })?;
        match came {
            Some(Ok(delivery)) if delivery.data == message.as_bytes() => Ok(()),
            _ => Err(Failure::Lost { address: self.access.endpoint.to_string() }),
        }
    }

    /// Declares a durable queue, on the node of this connection if the queue has only one.
    pub(crate) async fn declare(&self, name: &str, arguments: FieldTable) -> Result<(), Failure> {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.ask("declare a queue", self.channel.queue_declare(name.into(), options, arguments)).await.map(drop)
    }

    /// Binds a queue to an exchange.
    pub(crate) async fn bind(
        &self,
        queue: &str,
        exchange: &str,
        routing_key: &str,
        arguments: FieldTable,
    ) -> Result<(), Failure> {
        let options = lapin::options::QueueBindOptions::default();
        let binding = self.channel.queue_bind(queue.into(), exchange.into(), routing_key.into(), options, arguments);
        self.ask("bind a queue", binding).await
    }

    /// Deletes a queue if it has neither messages nor consumers, else returns `false`.
    pub(crate) async fn delete_if_idle(&self, name: &str) -> Result<bool, Failure> {
        // A refusal closes the channel, so it needs its own.
        let channel = self.ask("open a channel", self.open.connection.create_channel()).await?;
        let options = QueueDeleteOptions { if_unused: true, if_empty: true, ..QueueDeleteOptions::default() };
        match self.ask("delete a queue", channel.queue_delete(name.into(), options)).await {
            Ok(_) => Ok(true),
            Err(Failure::Broker { code: 406, .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn send(&self, queue: &str, data: &[u8], properties: BasicProperties) -> Result<PublisherConfirm, Failure> {
        // A message that no queue accepts is returned, instead of being confirmed and lost.
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        self.ask("accept a message", self.channel.basic_publish("".into(), queue.into(), options, data, properties))
            .await
    }

    async fn confirmed(&self, confirm: PublisherConfirm) -> Result<(), Failure> {
        let confirmation = self.ask("confirm a message", confirm).await?;
        if confirmation.is_ack() && confirmation.take_message().is_none() {
            return Ok(());
        }
        Err(Failure::Lost { address: self.access.endpoint.to_string() })
    }

    async fn ask<T>(&self, what: &'static str, asked: impl Future<Output = lapin::Result<T>>) -> Result<T, Failure> {
        in_time(&self.access, what, asked).await
    }
}

async fn connect(access: &Access, limit: impl Into<Limit>) -> Result<Open, Failure> {
    amqp::open(uri(access), PATIENCE, limit).await.map_err(|failure| refusal(access, &failure))
}

fn uri(Access { endpoint, username, password, scope }: &Access) -> AMQPUri {
    let userinfo = AMQPUserInfo { username: username.clone(), password: password.clone() };
    AMQPUri {
        authority: AMQPAuthority { userinfo, host: endpoint.host.clone(), port: endpoint.port },
        vhost: scope.clone(),
        scheme: AMQPScheme::AMQP,
        query: AMQPQueryString::default(),
    }
}

async fn in_time<T>(
    access: &Access,
    what: &'static str,
    asked: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Failure> {
    let answer =
        timeout(PATIENCE, asked).await.map_err(|_| Failure::Slow { address: access.endpoint.to_string(), what })?;
    answer.map_err(|error| failed(access, what, &error))
}

fn failed(access: &Access, what: &'static str, error: &lapin::Error) -> Failure {
    let code = match error.kind() {
        ErrorKind::ProtocolError(error) => error.get_id(),
        _ => 0,
    };
    Failure::Broker { address: access.endpoint.to_string(), what, cause: printable(&error.to_string()), code }
}

/// Why no connection was opened.
fn refusal(access: &Access, failure: &amqp::Failure) -> Failure {
    let address = access.endpoint.to_string();
    let error = match failure {
        amqp::Failure::Closed => return Failure::Closed { address },
        amqp::Failure::Slow => return Failure::Slow { address, what: "open a connection" },
        amqp::Failure::Unreachable(error) => {
            return Failure::Unreachable { address, cause: printable(&error.to_string()) };
        }
        amqp::Failure::Refused(error) => error,
    };
    let (username, virtual_host) = (access.username.clone(), access.scope.clone());
    match error.kind() {
        ErrorKind::ProtocolError(error) if *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
            Failure::LoginRefused { address, username }
        }
        ErrorKind::ProtocolError(error) if *error.kind() == AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
            Failure::NoVirtualHost { address, username, virtual_host }
        }
        _ => Failure::Unreachable { address, cause: printable(&error.to_string()) },
    }
}

#[cfg(test)]
mod tests;
