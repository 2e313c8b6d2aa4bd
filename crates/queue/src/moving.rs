//! Moving a classic queue to another node: RabbitMQ has no call for it.
//!
//! The queue's messages go into a holding queue on a node that stays; the empty queue is deleted, made again on that node, and
//! gets its messages back in their order, behind what was published meanwhile. A note in the cluster's global parameters says
//! what the queue was, so a controller that ends in the middle goes on where it was. Nobody else can consume meanwhile. Between
//! the deletion and the new declaration, some milliseconds, the queue is not there: what is published to it then is unroutable,
//! as while its node restarts. A message that has moved says that it was published to the queue itself, whatever exchange it
//! came through; queues for which that matters are not moved ([`Queue::obstacle`]).

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use temporal_stack_common::manifest::hash;
use tokio::time::Instant;

use crate::{
    amqp::{self, Access, Session},
    names::AMQP,
    observe::Known,
    rabbit::{Binding, Failure, Queue},
};

/// How long one action may move messages; what is left is moved by the next.
const TURN: Duration = Duration::from_secs(60);

/// What the names of holding queues begin with.
pub(crate) const HOLDING: &str = "temporal-stack.moving.";

/// A queue that is being moved: what it takes to make it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Move {
    /// The virtual host.
    pub(crate) virtual_host: String,
    /// The queue.
    pub(crate) name: String,
    /// The node that it is moved off.
    pub(crate) from: String,
    /// What it was declared with.
    arguments: Map<String, Value>,
    /// What leads messages to it.
    bindings: Vec<Binding>,
}

impl Move {
    /// Reads a note.
    pub(crate) fn of_note(note: &Value) -> Option<Self> {
        serde_json::from_value(note.clone()).ok()
    }

    fn id(&self) -> String {
        hash(&json!([self.virtual_host, self.name]))
    }

    /// Not of the queue's name, which may be as long as a name can be.
    fn holding(&self) -> String {
        format!("{HOLDING}{}", self.id())
    }
}

/// Moves a queue off its node, or goes on with it; returns when it has moved, or its turn is over.
pub(crate) async fn advance(known: &Known, queue: &Queue, stays: &str) -> Result<(), Failure> {
    let management = &known.management;
    let begun = known.moves.iter().find(|begun| begun.virtual_host == queue.vhost && begun.name == queue.name);
    if management.default_queue_type(&queue.vhost).await?.is_none() {
        // The virtual host has gone, and the queue with it.
        return match begun {
            Some(begun) => management.forget_move(&begun.id()).await,
            None => Ok(()),
        };
    }
    let there = management.queue(&queue.vhost, &queue.name).await?;
    let mut moved = match begun {
        Some(begun) => begun.clone(),
        None => note(known, queue, queue.node.clone().unwrap_or_default()).await?,
    };
    let (username, password) = management.login();
    management.permit(username, &moved.virtual_host).await?;
    let access = Access {
        host: stays.to_owned(),
        port: AMQP,
        username: username.to_owned(),
        password: password.to_owned(),
        virtual_host: moved.virtual_host.clone(),
    };
    // A queue may be of any length; few of its messages are held at once.
    let session = Session::open(&access, u64::MAX).await?;

    let until = Instant::now() + TURN;
    let holding = moved.holding();
    let is_at_home = there.as_ref().is_some_and(|there| there.node.as_deref() == Some(moved.from.as_str()));
    if is_at_home {
        session.declare(&holding, table(&with_type(&Map::new()))).await?;
        match session.transfer(&moved.name, &holding, until).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            // Somebody consumes it, as the API says only seconds later. What was not begun need not be remembered.
            Err(amqp::Failure::Broker { code: 403, .. }) => {
                if session.delete_if_idle(&holding).await? {
                    management.forget_move(&moved.id()).await?;
                }
                return Ok(());
            }
            Err(failure) => return Err(failure.into()),
        }
        // What leads to it may have changed since the move began.
        moved = note(known, queue, moved.from).await?;
        if !session.delete_if_idle(&moved.name).await? {
            return Ok(());
        }
    }
    if is_at_home || there.is_none() {
        session.declare(&moved.name, table(&with_type(&moved.arguments))).await?;
    }
    // Wherever an earlier turn has ended: what is bound already stays bound.
    for binding in &moved.bindings {
        session.bind(&moved.name, &binding.source, &binding.routing_key, table(&binding.arguments)).await?;
    }
    // A move that ended before the holding queue was made has nothing to bring back.
    let is_held = management.queue(&moved.virtual_host, &holding).await?.is_some();
    if is_held && (!session.transfer(&holding, &moved.name, until).await? || !session.delete_if_idle(&holding).await?) {
        return Ok(());
    }
    management.forbid(username, &moved.virtual_host).await?;
    management.forget_move(&moved.id()).await
}

/// Notes what it takes to make a queue again.
async fn note(known: &Known, queue: &Queue, from: String) -> Result<Move, Failure> {
    let moved = Move {
        virtual_host: queue.vhost.clone(),
        name: queue.name.clone(),
        from,
        arguments: queue.arguments.clone(),
        bindings: known.management.bindings(&queue.vhost, &queue.name).await?,
    };
    known.management.note_move(&moved.id(), &json!(moved)).await?;
    Ok(moved)
}

/// The type is said, because the virtual host's default is another.
fn with_type(arguments: &Map<String, Value>) -> Map<String, Value> {
    let mut arguments = arguments.clone();
    arguments.insert("x-queue-type".to_owned(), json!("classic"));
    arguments
}

/// Arguments as AMQP has them.
fn table(arguments: &Map<String, Value>) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in arguments {
        if let Some(value) = field(value) {
            table.insert(key.as_str().into(), value);
        }
    }
    table
}

fn field(value: &Value) -> Option<AMQPValue> {
    Some(match value {
        Value::Bool(value) => AMQPValue::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => AMQPValue::LongLongInt(number),
            None => AMQPValue::Double(number.as_f64()?),
        },
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        Value::Array(values) => AMQPValue::FieldArray(values.iter().filter_map(field).collect::<Vec<_>>().into()),
        Value::Object(fields) => AMQPValue::FieldTable(table(fields)),
        Value::Null => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_tells_all_that_is_needed() {
        let moved = Move {
            virtual_host: "v".to_owned(),
            name: "q".to_owned(),
            from: "rabbit@2".to_owned(),
            arguments: Map::from_iter([("x-max-length".to_owned(), json!(10))]),
            bindings: vec![Binding {
                source: "amq.topic".to_owned(),
                routing_key: "a.#".to_owned(),
                arguments: Map::new(),
            }],
        };
        assert_eq!(Move::of_note(&json!(moved)), Some(moved));
        assert_eq!(Move::of_note(&json!("something else")), None);
    }

    #[test]
    fn a_queue_is_made_again_with_its_arguments() {
        let arguments = Map::from_iter([
            ("x-max-length".to_owned(), json!(10)),
            ("x-overflow".to_owned(), json!("reject-publish")),
        ]);
        let table = table(&with_type(&arguments));
        assert_eq!(table.inner().get("x-max-length"), Some(&AMQPValue::LongLongInt(10)));
        assert_eq!(table.inner().get("x-queue-type"), Some(&AMQPValue::LongString("classic".into())));
    }
}
