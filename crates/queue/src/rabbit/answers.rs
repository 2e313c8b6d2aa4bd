//! What the management API answers: the fields that are used.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use temporal_stack_common::{failure::words, http::is_segment};

/// Reads an answer. The API says some fields twice, which a map takes and a struct does not.
pub(super) fn read<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice::<Value>(text).and_then(serde_json::from_value)
}

/// Reads a list item by item, so that no more than one of them is there as a map.
pub(super) fn read_list<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<Vec<T>> {
    struct Items<T>(Vec<T>);

    impl<'de, T: DeserializeOwned> Visitor<'de> for Items<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Vec<T>, A::Error> {
            while let Some(item) = list.next_element::<Value>()? {
                self.0.push(serde_json::from_value(item).map_err(serde::de::Error::custom)?);
            }
            Ok(self.0)
        }
    }

    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let items = deserializer.deserialize_seq(Items(Vec::new()))?;
    deserializer.end().map(|()| items)
}

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
    /// Nodes that it cannot see although they run.
    #[serde(default)]
    pub(crate) partitions: Vec<String>,
}

/// A queue, as the list of all has it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Queue {
    /// The virtual host.
    pub(crate) vhost: String,
    /// The name.
    pub(crate) name: String,
    /// `quorum`, `classic` or `stream`.
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    /// Where it is; of a quorum queue, where its leader is.
    #[serde(default)]
    pub(crate) node: Option<String>,
    /// Where a quorum queue has its members. The list does not say it of a stream.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) members: Vec<String>,
    /// Which of the members run.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) online: Vec<String>,
    /// Messages that were given out and not acknowledged yet.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) messages_unacknowledged: u64,
    /// Whether it outlives a restart of its node.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) durable: bool,
    /// Whether it goes with the connection that declared it.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) exclusive: bool,
    /// Whether it goes with its last consumer.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) auto_delete: bool,
    /// What it was declared with.
    #[serde(default)]
    pub(crate) arguments: Map<String, Value>,
    /// Consumers; this and what follows the list does not say.
    #[serde(skip)]
    pub(crate) consumers: usize,
    /// What policies add to what it was declared with.
    #[serde(skip)]
    pub(crate) policy: Map<String, Value>,
    /// How many bytes a message has on average.
    #[serde(skip)]
    pub(crate) bytes_per_message: u64,
}

/// What only a question about one queue tells.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Details {
    /// Where it is.
    #[serde(default)]
    pub(crate) node: Option<String>,
    /// Its consumers.
    #[serde(rename = "consumer_details", default, deserialize_with = "or_default")]
    pub(crate) consumers: Vec<Value>,
    /// Where a stream has its members.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) members: Vec<String>,
    /// What policies add to what it was declared with.
    #[serde(rename = "effective_policy_definition", default, deserialize_with = "or_default")]
    pub(crate) policy: Map<String, Value>,
    /// How many messages it has.
    #[serde(default, deserialize_with = "or_default")]
    messages: u64,
    /// How many bytes they have.
    #[serde(default, deserialize_with = "or_default")]
    message_bytes: u64,
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
    /// The fields that are asked for.
    pub(super) const COLUMNS: &str =
        "vhost,name,type,node,members,online,messages_unacknowledged,durable,exclusive,auto_delete,arguments";

    /// As messages name it.
    pub(crate) fn title(&self) -> String {
        words(&format!("{} on virtual host {}", self.name, self.vhost))
    }

    /// Whether the management API can be asked about it: in a URL some names mean another path.
    pub(crate) fn has_url(&self) -> bool {
        is_segment(&self.name) && is_segment(&self.vhost)
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

/// What a node is short of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Alarm {
    /// The node.
    pub(crate) node: String,
    /// `memory` or `disk space`.
    pub(crate) resource: String,
}

/// Which queue, as health checks name it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct QueueName {
    /// The virtual host.
    pub(crate) virtual_host: String,
    /// The name.
    pub(crate) name: String,
}

/// What leads messages to a queue.
#[derive(Clone, Debug, PartialEq, serde::Serialize, Deserialize)]
pub(crate) struct Binding {
    /// The exchange; empty for the default one.
    pub(crate) source: String,
    /// The routing key.
    pub(crate) routing_key: String,
    /// What it was made with.
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
    /// Where it stands depends on the version.
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
    /// What it may do beyond its virtual hosts.
    #[serde(default, deserialize_with = "tags")]
    pub(crate) tags: Vec<String>,
    /// What it may do within the virtual host that was asked for.
    #[serde(skip)]
    pub(crate) permission: Option<Permission>,
}

/// What a login may do within a virtual host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Permission {
    configure: String,
    write: String,
    read: String,
}

impl Permission {
    /// Whether it is all.
    pub(crate) fn is_all(&self) -> bool {
        [&self.configure, &self.write, &self.read].into_iter().all(|pattern| pattern == ".*")
    }
}

/// A list since 3.9, with commas between them before.
fn tags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Array(tags) => tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect(),
        Value::String(tags) => tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
        _ => Vec::new(),
    })
}

#[derive(Deserialize)]
pub(super) struct Connections(pub(super) Vec<Value>);

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
    /// Whether it is stable and not enabled: some nodes of an older version did not have it.
    pub(super) fn is_waiting(&self) -> bool {
        self.state == "disabled" && self.stability == "stable"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer of RabbitMQ 4.0.5.
    fn answer<T: DeserializeOwned>(text: &str) -> T {
        read(text.as_bytes()).unwrap()
    }

    #[test]
    fn queues_of_each_type_are_understood() {
        let queues: Vec<Queue> = read_list(include_bytes!("../../fixtures/queues.json")).unwrap();
        let find = |kind: &str| queues.iter().find(|queue| queue.kind == kind).unwrap();
        assert_eq!((find("quorum").members.len(), find("quorum").online.len()), (3, 3));
        assert!(find("classic").durable && find("classic").members.is_empty());
        assert!(find("stream").members.is_empty());
        let details: Details = answer(include_str!("../../fixtures/queue.json"));
        assert!(details.node.is_some());
    }

    #[test]
    fn a_node_that_is_down_is_still_a_member() {
        let nodes: Vec<Node> = answer(include_str!("../../fixtures/nodes-one-down.json"));
        assert_eq!(nodes.iter().map(|node| node.running).collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn the_other_answers_are_understood() {
        let critical: Critical = answer(include_str!("../../fixtures/node-is-quorum-critical.json"));
        assert!(critical.queues.iter().any(|queue| queue.name == "quorum" && queue.virtual_host == "temporal"));
        let virtual_host: VirtualHost = answer(include_str!("../../fixtures/vhost.json"));
        assert_eq!(virtual_host.queue_type(), "quorum");
        let user: User = answer(include_str!("../../fixtures/user.json"));
        assert!(user.tags.is_empty() && !user.password_hash.is_empty());
        let permission: Permission = answer(include_str!("../../fixtures/permissions.json"));
        assert!(permission.is_all());
        let features: Vec<Feature> = answer(include_str!("../../fixtures/feature-flags.json"));
        assert!(!features.iter().any(Feature::is_waiting), "what is experimental does not wait");
        let connections: Connections = answer(include_str!("../../fixtures/connections.json"));
        assert_eq!(connections.0.len(), 1);
        let parameters: Vec<Parameter> = answer(include_str!("../../fixtures/global-parameters.json"));
        assert!(parameters.iter().any(|parameter| parameter.name == "temporal-stack-leaving"));
    }
}
