//! Messages as an application sends them, and the management API as the controller's administrator: from this machine, which
//! reaches Services and pods of the tests.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer, PublisherConfirm,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions,
        QueueDeclareOptions, QueueDeleteOptions,
    },
    types::FieldTable,
    uri::AMQPUri,
};
use serde_json::Value;
use temporal_stack_common::{api::MessageQueue, binding::text};
use tokio::time::{interval, timeout};

use crate::{Binding, HANG, One, Subject as _, http, subject::NAME, until};

/// The queues that Temporal's processes declare when they start: durable, and without arguments. The controller has a list of its
/// own, and tests must notice where that is wrong.
pub const TEMPORAL: [&str; 9] = [
    "ipfs-cluster-add-queue",
    "ipfs-pin-queue",
    "ipfs-key-creation-queue",
    "ipns-entry-queue",
    "email-send-queue",
    "dash-payment-confirmation-queue",
    "eth-payment-confirmation-queue",
    "bitcoin-cash-payment-confirmation-queue",
    "ens-request-queue",
];

/// A broker has no watch: how often it is asked again.
const TURN: Duration = Duration::from_millis(250);
/// How long one answer may take, before an application takes its connection for dead.
const PATIENCE: Duration = Duration::from_secs(10);
/// Messages are kept on disk.
const PERSISTENT: u8 = 2;

/// A connection with one channel; it ends when it is dropped.
pub struct Session {
    /// The connection.
    pub connection: Connection,
    channel: Channel,
}

impl Session {
    /// Opens a connection whose publications are confirmed.
    pub async fn open(binding: &Binding, address: IpAddr) -> Result<Self> {
        let session = Self::unconfirmed(binding, address).await?;
        in_time("confirms", session.channel.confirm_select(ConfirmSelectOptions::default())).await?;
        Ok(session)
    }

    /// Opens a connection with a binding's `uri`, to this address: names of the cluster are not known on this machine.
    pub async fn unconfirmed(binding: &Binding, address: IpAddr) -> Result<Self> {
        let mut uri: AMQPUri =
            binding.uri.parse().map_err(|wrong| anyhow::anyhow!("the binding's uri is none of AMQP: {wrong}"))?;
        uri.authority.host = address.to_string();
        let properties = ConnectionProperties::default().with_connection_name("e2e".into());
        let connection = in_time("a connection", Connection::connect_uri(uri, properties)).await?;
        let channel = in_time("a channel", connection.create_channel()).await?;
        Ok(Self { connection, channel })
    }

    /// Declares a queue as Temporal does: durable, and without arguments.
    pub async fn declare(&self, queue: &str) -> Result<()> {
        self.declare_with(queue, FieldTable::default()).await
    }

    /// Declares a durable queue.
    pub async fn declare_with(&self, queue: &str, arguments: FieldTable) -> Result<()> {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let declaring = self.channel.queue_declare(queue.into(), options, arguments);
        in_time(&format!("the declaration of {queue}"), declaring).await.map(drop)
    }

    /// Deletes a queue, whoever uses it.
    pub async fn delete(&self, queue: &str) -> Result<()> {
        let deleting = self.channel.queue_delete(queue.into(), QueueDeleteOptions::default());
        in_time(&format!("the deletion of {queue}"), deleting).await.map(drop)
    }

    /// Leads messages from an exchange to a queue.
    pub async fn bind(&self, queue: &str, exchange: &str, key: &str) -> Result<()> {
        let options = QueueBindOptions::default();
        let binding =
            self.channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default());
        in_time(&format!("the binding of {queue}"), binding).await
    }

    /// Publishes a persistent message to a queue, as Temporal does: nobody waits until it is there.
    pub async fn send(&self, queue: &str, message: &str) -> Result<()> {
        self.write("", queue, message, false).await.map(drop)
    }

    /// Publishes persistent messages, and waits until all are confirmed by a queue.
    pub async fn publish(&self, exchange: &str, key: &str, messages: impl IntoIterator<Item = String>) -> Result<()> {
        let mut confirms = Vec::new();
        for message in messages {
            confirms.push(self.write(exchange, key, &message, true).await?);
        }
        for confirm in confirms {
            let confirmation = in_time("a confirm", confirm).await?;
            ensure!(confirmation.is_ack(), "a message to {key} was not taken");
            ensure!(confirmation.take_message().is_none(), "no queue takes a message to {key}");
        }
        Ok(())
    }

    /// Ends when it is on its way.
    async fn write(&self, exchange: &str, key: &str, message: &str, mandatory: bool) -> Result<PublisherConfirm> {
        let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let publishing =
            self.channel.basic_publish(exchange.into(), key.into(), options, message.as_bytes(), properties);
        in_time("a publication", publishing).await
    }

    /// Starts to consume a queue; what it gives out must be acknowledged.
    pub async fn consume(&self, queue: &str) -> Result<Consumer> {
        let options = BasicConsumeOptions::default();
        let consuming = self.channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
        in_time(&format!("consuming {queue}"), consuming).await
    }

    /// Takes so many messages out of a queue, in the order in which they come.
    pub async fn take(&self, queue: &str, count: usize) -> Result<Vec<String>> {
        let mut consumer = self.consume(queue).await?;
        let mut taken = Vec::new();
        while taken.len() < count {
            let next = timeout(HANG, consumer.next()).await;
            let next = next.with_context(|| format!("{queue} gave {} of {count} messages", taken.len()))?;
            let delivery = next.context("the consumer has ended")??;
            taken.push(String::from_utf8(delivery.data.clone())?);
            in_time("an acknowledgement", delivery.ack(BasicAckOptions::default())).await?;
        }
        Ok(taken)
    }
}

async fn in_time<T>(what: &str, asked: impl Future<Output = lapin::Result<T>>) -> Result<T> {
    let answer = timeout(PATIENCE, asked).await.with_context(|| format!("{what} takes more than {PATIENCE:?}"))?;
    answer.with_context(|| format!("{what} failed"))
}

/// The management API, as the controller's administrator.
pub struct Management {
    client: reqwest::Client,
    address: IpAddr,
    username: String,
    password: String,
}

impl Management {
    /// What is at this path.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let asked = self.client.get(format!("http://{}:15672/api/{path}", self.address));
        let asked = asked.basic_auth(&self.username, Some(&self.password)).timeout(PATIENCE);
        let answer = asked.send().await.with_context(|| format!("GET {path}"))?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "GET {path} is answered with {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Waits until what is at this path is as `wanted` says.
    pub async fn until(&self, what: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut turns = interval(TURN);
        let mut last = None;
        let found = timeout(HANG, async {
            loop {
                turns.tick().await;
                // Nodes that start and stop refuse connections.
                let answer = self.get(path).await;
                if let Ok(answer) = &answer
                    && wanted(answer)
                {
                    return answer.clone();
                }
                last = Some(answer);
            }
        });
        match found.await {
            Ok(found) => Ok(found),
            Err(_) => bail!("waited {HANG:?} for {what}; last seen at {path}: {last:?}"),
        }
    }

    /// Waits until the cluster has so many nodes, and all of them run.
    pub async fn runs(&self, count: usize) -> Result<()> {
        let what = format!("{count} nodes that run");
        self.until(&what, "nodes?disable_stats=true", |nodes| {
            let nodes = nodes.as_array().map(Vec::as_slice).unwrap_or_default();
            nodes.len() == count && nodes.iter().all(|node| node["running"] == true)
        })
        .await
        .map(drop)
    }

    /// Waits until a queue of the virtual host `temporal` is a quorum queue with so many members that run.
    pub async fn has_members(&self, queue: &str, count: usize) -> Result<()> {
        let length = |list: &Value| list.as_array().map_or(0, Vec::len);
        self.until(&format!("{count} members of {queue}"), &format!("queues/{NAME}/{queue}"), |queue| {
            queue["type"] == "quorum" && length(&queue["members"]) == count && length(&queue["online"]) == count
        })
        .await
        .map(drop)
    }
}

impl One<'_, MessageQueue> {
    /// Declares Temporal's queues, and waits until each has a member on all three nodes.
    pub async fn declare_for_temporal(&self) -> Result<()> {
        let management = self.management().await?;
        management.runs(3).await?;
        let session = self.session().await?;
        for name in TEMPORAL {
            session.declare(name).await?;
        }
        for name in TEMPORAL {
            management.has_members(name, 3).await?;
        }
        Ok(())
    }

    /// The address of the Service that the binding names.
    pub async fn service(&self) -> Result<IpAddr> {
        let service = self.api::<Service>().get(&MessageQueue::set()).await?;
        Ok(service.spec.and_then(|spec| spec.cluster_ip).context("the Service has no address")?.parse()?)
    }

    /// The address of a node's pod.
    pub async fn node(&self, ordinal: u32) -> Result<IpAddr> {
        let pod = self.api::<Pod>().get(&MessageQueue::pod(ordinal)).await?;
        Ok(pod.status.and_then(|status| status.pod_ip).context("the pod has no address")?.parse()?)
    }

    /// The binding as it is now.
    pub async fn bound(&self) -> Result<Binding> {
        let secret = self.api::<Secret>().get(&MessageQueue::binding()).await?;
        Binding::of(&secret).context("the binding lacks a key")
    }

    /// Waits until the binding is as `wanted` says.
    pub async fn until_bound(&self, what: &str, wanted: impl Fn(&Binding) -> bool) -> Result<Binding> {
        let is_wanted = |secret: &Secret| Binding::of(secret).is_some_and(|binding| wanted(&binding));
        let secret = until(&self.api::<Secret>(), &MessageQueue::binding(), what, is_wanted).await?;
        Binding::of(&secret).context("the binding was there")
    }

    /// Opens a session with the binding, at its Service.
    pub async fn session(&self) -> Result<Session> {
        Session::open(&self.bound().await?, self.service().await?).await
    }

    /// Opens a session with the binding on one node.
    pub async fn session_on(&self, ordinal: u32) -> Result<Session> {
        Session::open(&self.bound().await?, self.node(ordinal).await?).await
    }

    /// Waits until a session can be opened with the binding.
    pub async fn until_session(&self) -> Result<Session> {
        let mut turns = interval(TURN);
        let opened = timeout(HANG, async {
            loop {
                turns.tick().await;
                if let Ok(session) = self.session().await {
                    return session;
                }
            }
        });
        opened.await.with_context(|| format!("waited {HANG:?} for a session with the binding"))
    }

    /// The management API behind the Service.
    pub async fn management(&self) -> Result<Management> {
        let secret = self.api::<Secret>().get(&MessageQueue::child("administrator")).await?;
        let key = |key| text(&secret, key).with_context(|| format!("the administrator's Secret lacks {key}"));
        Ok(Management {
            // A connection that is kept would stay with one node.
            client: http::builder().pool_max_idle_per_host(0).build()?,
            address: self.service().await?,
            username: key("username")?.to_owned(),
            password: key("password")?.to_owned(),
        })
    }
}
