//! The answers of the management API: the fields that are used.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use temporal_stack_common::{failure::printable, http::is_segment};

/// Reads an answer. The API writes some fields twice, which a map accepts and a struct does not.
pub(super) fn read<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice::<Value>(text).and_then(serde_json::from_value)
}

/// Reads a list item by item, so that only one of them is a map at a time.
pub(super) fn read_list<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<Vec<T>> {
    struct Items<T>(Vec<T>);

    impl<'de, T: DeserializeOwned> Visitor<'de> for Items<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Vec<T>, A::Error> {
            while let Some(item) = list.next_element::<Value>()? {
                self.0.push(serde_json::from_value(item).map_err(A::Error::custom)?);
            }
            Ok(self.0)
        }
    }

    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let items = deserializer.deserialize_seq(Items(Vec::new()))?;
    deserializer.end().map(|()| items)
}

/// The most nodes in a list of them: a cluster of the controller has five.
const MOST_NODES: usize = 64;

/// A list of nodes, not longer than a cluster can be. A shortened one would look as if nodes had left, so a longer one is refused.
fn of_nodes<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let nodes: Vec<T> = or_default(deserializer)?;
    if nodes.len() > MOST_NODES {
        return Err(D::Error::custom(format!("{} nodes are listed, more than {MOST_NODES}", nodes.len())));
    }
    Ok(nodes)
}

/// The members of the cluster.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Nodes(#[serde(deserialize_with = "of_nodes")] pub(super) Vec<Node>);

#[derive(Deserialize)]
pub(super) struct Overview {
    pub(super) rabbitmq_version: String,
}

/// A member of the cluster.
#[allow(clippy::struct_excessive_bools)] // the API's own fields
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Node {
    /// `rabbit@host`.
    pub(crate) name: String,
    /// Whether it runs.
    pub(crate) running: bool,
    /// Whether publishers are blocked because it uses too much memory.
    #[serde(default)]
    pub(crate) mem_alarm: bool,
    /// Whether publishers are blocked because its volume is nearly full.
    #[serde(default)]
    pub(crate) disk_free_alarm: bool,
    /// Whether it is about to stop.
    #[serde(default)]
    pub(crate) being_drained: bool,
    /// Nodes that run but that it cannot reach.
    #[serde(default)]
    pub(crate) partitions: Vec<String>,
}

/// A queue in the list of all.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Queue {
    /// The virtual host.
    pub(crate) vhost: String,
    /// The name.
    pub(crate) name: String,
    /// `quorum`, `classic` or `stream`.
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    /// Its node; for a quorum queue, that of its leader.
    #[serde(default)]
    pub(crate) node: Option<String>,
    /// The nodes with a member of a quorum queue. The list lacks those of streams.
    #[serde(default, deserialize_with = "of_nodes")]
    pub(crate) members: Vec<String>,
    /// Which of the members run.
    #[serde(default, deserialize_with = "of_nodes")]
    pub(crate) online: Vec<String>,
    /// Messages that were delivered and not acknowledged yet.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) messages_unacknowledged: u64,
    /// Whether it outlives a restart of its node.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) durable: bool,
    /// Whether it is deleted with the connection that declared it.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) exclusive: bool,
    /// Whether it is deleted with its last consumer.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) auto_delete: bool,
    /// The arguments of its declaration.
    #[serde(default)]
    pub(crate) arguments: Map<String, Value>,
    /// Its details, if they were read.
    #[serde(skip)]
    pub(crate) details: Option<Details>,
}

/// The details of one queue, which the list lacks.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Details {
    /// Its node.
    #[serde(default)]
    pub(crate) node: Option<String>,
    /// Its consumers.
    #[serde(rename = "consumer_details", default, deserialize_with = "or_default")]
    pub(crate) consumers: Vec<Value>,
    /// The nodes with a member of a stream.
    #[serde(default, deserialize_with = "of_nodes")]
    pub(crate) members: Vec<String>,
    /// The effective policies.
    #[serde(rename = "effective_policy_definition", default, deserialize_with = "or_default")]
    pub(crate) policy: Map<String, Value>,
    /// How many messages it has.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) messages: u64,
    /// Their size in bytes.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) message_bytes: u64,
}

impl Details {
    /// How many bytes a message has on average.
    pub(crate) fn bytes_per_message(&self) -> u64 {
        self.message_bytes.checked_div(self.messages).unwrap_or_default()
    }
}

/// Absent and null are the same.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Queue {
    /// The fields that are requested.
    pub(super) const COLUMNS: &str =
        "vhost,name,type,node,members,online,messages_unacknowledged,durable,exclusive,auto_delete,arguments";

    /// Its name in messages.
    pub(crate) fn title(&self) -> String {
        printable(&format!("{} on virtual host {}", self.name, self.vhost))
    }

    /// The queue's name within the cluster.
    pub(crate) fn id(&self) -> QueueName {
        QueueName { virtual_host: self.vhost.clone(), name: self.name.clone() }
    }

    /// Whether the management API can address it: some names would change the path of a URL.
    pub(crate) fn has_url(&self) -> bool {
        is_segment(&self.name) && is_segment(&self.vhost)
    }

    /// Whether it must be moved before a node leaves: the node has a member of it, or has it alone and it outlives its connections.
    pub(crate) fn is_bound_to(&self, node: &str) -> bool {
        match (self.kind.as_str(), &self.details) {
            ("quorum", _) => self.members.iter().any(|member| member == node),
            // A stream with unknown members may be on any node.
            ("stream", None) => true,
            ("stream", Some(details)) => {
                details.members.is_empty() || details.members.iter().any(|member| member == node)
            }
            _ => self.node.as_deref() == Some(node) && self.durable && !self.exclusive,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Critical {
    pub(super) queues: Vec<QueueName>,
}

#[derive(Deserialize)]
pub(super) struct Alarms {
    pub(super) alarms: Vec<Alarm>,
}

/// An alarm of a node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Alarm {
    /// The node.
    pub(crate) node: String,
    /// `memory` or `disk space`.
    pub(crate) resource: String,
}

/// The name of a queue, unique in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct QueueName {
    /// The virtual host.
    pub(crate) virtual_host: String,
    /// The name.
    pub(crate) name: String,
}

/// A binding of a queue.
#[derive(Clone, Debug, PartialEq, serde::Serialize, Deserialize)]
pub(crate) struct Binding {
    /// The exchange; empty for the default one.
    pub(crate) source: String,
    /// The routing key.
    pub(crate) routing_key: String,
    /// The arguments of the binding.
    #[serde(default)]
    pub(crate) arguments: Map<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct VirtualHost {
    #[serde(default)]
    default_queue_type: Option<String>,
    #[serde(default)]
    metadata: Value,
}

impl VirtualHost {
    /// Its field depends on the version.
    pub(super) fn queue_type(self) -> String {
        let named = self.default_queue_type.filter(|kind| kind != "undefined");
        named.or_else(|| self.metadata["default_queue_type"].as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// A login.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct User {
    /// Its name.
    pub(crate) name: String,
    /// Salt and hash of its password.
    #[serde(default)]
    pub(crate) password_hash: String,
    /// Its rights outside virtual hosts.
    #[serde(default, deserialize_with = "tags")]
    pub(crate) tags: Vec<String>,
    /// Its permissions in the application's virtual host.
    #[serde(skip)]
    pub(crate) permission: Option<Permission>,
}

/// The permissions of a login in a virtual host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Permission {
    configure: String,
    write: String,
    read: String,
}

impl Permission {
    /// Whether everything is permitted.
    pub(crate) fn is_all(&self) -> bool {
        [&self.configure, &self.write, &self.read].into_iter().all(|pattern| pattern == ".*")
    }
}

/// A list since 3.9, a comma-separated string before.
fn tags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Array(tags) => tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect(),
        Value::String(tags) => tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
        _ => Vec::new(),
    })
}

#[derive(Deserialize)]
pub(super) struct Parameter {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) value: Value,
}

#[derive(Deserialize)]
pub(super) struct Feature {
    pub(super) name: String,
    state: String,
    stability: String,
}

impl Feature {
    /// Whether it is stable and not enabled, because older nodes did not have it.
    pub(super) fn is_waiting(&self) -> bool {
        self.state == "disabled" && self.stability == "stable"
    }
}

#[cfg(test)]
mod tests;
