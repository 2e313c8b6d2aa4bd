//! What is said to a broker in AMQP: as an application would, and to move messages between queues.

use std::{
    fmt, io,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use futures::StreamExt;
use lapin::{
    Acker, BasicProperties, Channel, Connection, ConnectionProperties, ErrorKind, PublisherConfirm,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
    types::FieldTable,
    uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo},
};
use temporal_stack_common::{binding::authority, failure::words, relay::Relay};
use tokio::time::timeout;

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest frame, in bytes: RabbitMQ's own default.
const FRAME: u32 = 128 << 10;
/// How often a sign of life is asked of a broker that is silent, in seconds.
const HEARTBEAT: u16 = 20;
/// What a broker may send that is only used for one message, in bytes.
pub(crate) const ECHO: u64 = 1 << 20;
/// How many messages are under way at once while a queue is moved.
const UNDER_WAY: u16 = 50;
/// How long an emptied queue is listened to before it is taken for empty.
const SILENCE: Duration = Duration::from_millis(500);

/// Where a broker is, and as whom it is used. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// Host name or address.
    pub(crate) host: String,
    /// TCP port.
    pub(crate) port: u16,
    /// The login.
    pub(crate) username: String,
    /// Its password.
    pub(crate) password: String,
    /// The virtual host.
    pub(crate) virtual_host: String,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} at {}", self.username, self.virtual_host, self.address())
    }
}

impl Access {
    /// Host and port.
    pub(crate) fn address(&self) -> String {
        authority(&self.host, self.port)
    }

    /// To the near end of a relay.
    fn uri(&self, address: SocketAddr) -> AMQPUri {
        let userinfo = AMQPUserInfo { username: self.username.clone(), password: self.password.clone() };
        // The library makes room for 32 frames of the length that the broker names, which may be four gigabytes.
        let query =
            AMQPQueryString { frame_max: Some(FRAME), heartbeat: Some(HEARTBEAT), ..AMQPQueryString::default() };
        AMQPUri {
            scheme: AMQPScheme::AMQP,
            authority: AMQPAuthority { userinfo, host: address.ip().to_string(), port: address.port() },
            vhost: self.virtual_host.clone(),
            query,
        }
    }
}

/// Why a message did not go through.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody answers at the address.
    #[error("{address} does not answer: {cause}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What happened instead.
        cause: String,
    },
    /// The broker knows no such login, or the password is wrong.
    #[error("{address} refuses the login {username}")]
    Refused {
        /// Host and port.
        address: String,
        /// The login.
        username: String,
    },
    /// There is no such virtual host, or the login may not use it.
    #[error("{address} does not let {username} use the virtual host {virtual_host}")]
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
        /// What was awaited.
        what: &'static str,
    },
    /// The broker refuses to use a queue in this way: it is in use, or not as it was.
    #[error("{address} did not {what}: {cause}")]
    Broker {
        /// Host and port.
        address: String,
        /// What was asked.
        what: &'static str,
        /// The broker's answer.
        cause: String,
        /// Its code, where it has one.
        code: u16,
    },
    /// The message that came back is another one, or none.
    #[error("{address} did not give back the message that was published")]
    Lost {
        /// Host and port.
        address: String,
    },
}

/// A connection with one channel; it ends when it is dropped.
pub(crate) struct Session {
    connection: Connection,
    channel: Channel,
    access: Access,
    /// The last to be dropped: the library says goodbye over it.
    _relay: Relay,
}

impl Session {
    /// Opens a connection, whose publications are confirmed, and over which the broker may send so many bytes.
    pub(crate) async fn open(access: &Access, limit: u64) -> Result<Self, Failure> {
        let properties = ConnectionProperties::default().with_connection_name("temporal-stack".into());
        let failed =
            |error: io::Error| Failure::Unreachable { address: access.address(), cause: words(&error.to_string()) };
        let relay = Relay::open(&access.host, access.port, PATIENCE, limit).await.map_err(failed)?;
        #[expect(clippy::disallowed_methods, reason = "the relay ends it, and frames have a limit")]
        let connecting = Connection::connect_uri(access.uri(relay.near()), properties);
        let connection = timeout(PATIENCE, connecting)
            .await
            .map_err(|_| Failure::Slow { address: access.address(), what: "open a connection" })?
            .map_err(|error| refusal(access, &error))?;
        let opening = async {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(channel)
        };
        let channel = in_time(access, "open a channel", opening).await?;
        Ok(Self { connection, channel, access: access.clone(), _relay: relay })
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
        let mut consumer = self.ask("let a queue be consumed", consuming).await?;
        let coming = timeout(PATIENCE, consumer.next()).await;
        let came = coming.map_err(|_| Failure::Slow { address: self.access.address(), what: "deliver a message" })?;
        match came {
            Some(Ok(delivery)) if delivery.data == message.as_bytes() => Ok(()),
            _ => Err(Failure::Lost { address: self.access.address() }),
        }
    }

    /// Moves messages from one queue to another until none is left, each acknowledged only after the other has it. Nobody else
    /// may consume meanwhile. `until` bounds the time; `false`: it was too short.
    pub(crate) async fn transfer(&self, from: &str, to: &str, until: tokio::time::Instant) -> Result<bool, Failure> {
        let channel = self.ask("open a channel", self.connection.create_channel()).await?;
        self.ask("bound deliveries", channel.basic_qos(UNDER_WAY, BasicQosOptions::default())).await?;
        let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
        let consuming = channel.basic_consume(from.into(), "".into(), options, FieldTable::default());
        let mut consumer = self.ask("let a queue be consumed alone", consuming).await?;
        let mut under_way = UnderWay::default();
        let mut is_empty = false;
        while tokio::time::Instant::now() < until {
            let Ok(next) = timeout(SILENCE, consumer.next()).await else {
                is_empty = true;
                break;
            };
            let Some(delivery) = next else { break };
            let delivery = delivery.map_err(|error| self.failed("deliver a message", &error))?;
            let confirm = self.send(to, &delivery.data, without_copies(delivery.properties.clone())).await?;
            under_way.confirms.push(confirm);
            under_way.newest = Some(delivery.acker);
            if under_way.confirms.len() >= usize::from(UNDER_WAY) / 2 {
                self.settle(std::mem::take(&mut under_way)).await?;
            }
        }
        self.settle(under_way).await?;
        let cancelling = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
        self.ask("cancel a consumer", cancelling).await?;
        // What was delivered and not moved goes back with the channel.
        self.ask("close a channel", channel.close(200, "".into())).await?;
        Ok(is_empty)
    }

    /// Makes a durable queue, on the node of this connection where the type has but one.
    pub(crate) async fn declare(&self, name: &str, arguments: FieldTable) -> Result<(), Failure> {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.ask("declare a queue", self.channel.queue_declare(name.into(), options, arguments)).await.map(drop)
    }

    /// Leads messages from an exchange to a queue.
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

    /// Deletes a queue if it has neither messages nor consumers. `false`: it has.
    pub(crate) async fn delete_if_idle(&self, name: &str) -> Result<bool, Failure> {
        // A refusal closes the channel, and others are still needed.
        let channel = self.ask("open a channel", self.connection.create_channel()).await?;
        let options = QueueDeleteOptions { if_unused: true, if_empty: true, ..QueueDeleteOptions::default() };
        match self.ask("delete a queue", channel.queue_delete(name.into(), options)).await {
            Ok(_) => Ok(true),
            Err(Failure::Broker { code: 406, .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Acknowledges what has been confirmed elsewhere.
    async fn settle(&self, under_way: UnderWay) -> Result<(), Failure> {
        for confirm in under_way.confirms {
            self.confirmed(confirm).await?;
        }
        let Some(newest) = under_way.newest else { return Ok(()) };
        let options = BasicAckOptions { multiple: true };
        self.ask("take an acknowledgement", async { newest.ack(options).await.map(drop) }).await
    }

    async fn send(&self, queue: &str, data: &[u8], properties: BasicProperties) -> Result<PublisherConfirm, Failure> {
        // A message that no queue takes comes back, instead of being confirmed and gone.
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        self.ask("take a message", self.channel.basic_publish("".into(), queue.into(), options, data, properties)).await
    }

    async fn confirmed(&self, confirm: PublisherConfirm) -> Result<(), Failure> {
        let confirmation = self.ask("confirm a message", confirm).await?;
        if confirmation.is_ack() && confirmation.take_message().is_none() {
            return Ok(());
        }
        Err(Failure::Lost { address: self.access.address() })
    }

    async fn ask<T>(&self, what: &'static str, asked: impl Future<Output = lapin::Result<T>>) -> Result<T, Failure> {
        in_time(&self.access, what, asked).await
    }

    fn failed(&self, what: &'static str, error: &lapin::Error) -> Failure {
        failed(&self.access, what, error)
    }
}

/// The headers CC and BCC would send copies to other queues, which have had theirs.
fn without_copies(properties: BasicProperties) -> BasicProperties {
    let Some(headers) = properties.headers() else { return properties };
    let mut kept = FieldTable::default();
    for (key, value) in headers.inner().iter().filter(|(key, _)| !["CC", "BCC"].contains(&key.as_str())) {
        kept.insert(key.clone(), value.clone());
    }
    properties.with_headers(kept)
}

/// Messages that were sent on and are not acknowledged yet.
#[derive(Default)]
struct UnderWay {
    confirms: Vec<PublisherConfirm>,
    newest: Option<Acker>,
}

async fn in_time<T>(
    access: &Access,
    what: &'static str,
    asked: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Failure> {
    let answer = timeout(PATIENCE, asked).await.map_err(|_| Failure::Slow { address: access.address(), what })?;
    answer.map_err(|error| failed(access, what, &error))
}

fn failed(access: &Access, what: &'static str, error: &lapin::Error) -> Failure {
    let code = match error.kind() {
        ErrorKind::ProtocolError(error) => error.get_id(),
        _ => 0,
    };
    Failure::Broker { address: access.address(), what, cause: words(&error.to_string()), code }
}

/// Why no connection came to be.
fn refusal(access: &Access, error: &lapin::Error) -> Failure {
    let address = access.address();
    let username = access.username.clone();
    if let ErrorKind::ProtocolError(error) = error.kind() {
        match error.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => return Failure::Refused { address, username },
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
                return Failure::NoVirtualHost { address, username, virtual_host: access.virtual_host.clone() };
            }
            _ => {}
        }
    }
    Failure::Unreachable { address, cause: words(&error.to_string()) }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// A frame with a method on channel 0.
    fn frame(method: &[u8]) -> Vec<u8> {
        [&[1, 0, 0], u32::try_from(method.len()).unwrap().to_be_bytes().as_slice(), method, &[0xce]].concat()
    }

    /// The method of the next frame.
    async fn method(stream: &mut TcpStream) -> Vec<u8> {
        let mut head = [0; 7];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes(head[3..].try_into().unwrap()) as usize;
        let mut rest = vec![0; length + 1];
        stream.read_exact(&mut rest).await.unwrap();
        rest
    }

    #[tokio::test]
    async fn the_broker_does_not_choose_how_much_room_is_made() {
        // No limit at all, and four gigabytes.
        for frame_max in [0_u32, u32::MAX] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let access = access(listener.local_addr().unwrap().port());
            let opening = tokio::spawn(async move { Session::open(&access, ECHO).await.map(drop) });
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut header = [0; 8];
            stream.read_exact(&mut header).await.unwrap();
            let start = b"\x00\x0a\x00\x0a\x00\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05en_US";
            stream.write_all(&frame(start)).await.unwrap();
            assert_eq!(method(&mut stream).await[..4], [0, 10, 0, 11]);
            let tune = [b"\x00\x0a\x00\x1e\0\0".as_slice(), &frame_max.to_be_bytes(), &[0, 0]].concat();
            stream.write_all(&frame(&tune)).await.unwrap();
            let tuned = method(&mut stream).await;
            assert_eq!(tuned[..4], [0, 10, 0, 31]);
            assert_eq!(u32::from_be_bytes(tuned[6..10].try_into().unwrap()), FRAME);
            opening.abort();
        }
    }

    /// How many threads of the library there are.
    fn threads() -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        tasks
            .filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.contains("lapin")))
            .count()
    }

    /// A broker that begins each connection with these bytes and says no more.
    async fn broker(says: &'static [u8]) -> Access {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(says).await;
                held.push(stream);
            }
        });
        access(port)
    }

    fn access(port: u16) -> Access {
        let part = |text: &str| text.to_owned();
        Access { host: part("127.0.0.1"), port, username: part("u"), password: part("p"), virtual_host: part("/") }
    }

    #[tokio::test]
    async fn a_silent_broker_keeps_no_thread() {
        let access = broker(b"").await;
        for _ in 0..3 {
            // Whoever does not want to wait any longer lets go of it.
            assert!(timeout(Duration::from_millis(100), Session::open(&access, ECHO)).await.is_err());
        }
        let gone = async {
            while threads() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(30), gone).await.expect("the library's threads have not ended");
    }

    #[tokio::test]
    async fn garbage_is_a_failure() {
        let access = broker(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        assert!(Session::open(&access, ECHO).await.is_err());
    }
}
