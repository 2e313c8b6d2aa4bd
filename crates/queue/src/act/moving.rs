//! Moving a classic queue to another node: RabbitMQ has no command for it.
//!
//! The queue's messages go into a holding queue on a node that stays; the empty queue is deleted, declared again on that node,
//! and gets its messages back in their order, after those that were published meanwhile. A note in the cluster's global
//! parameters describes the queue, so if a controller ends in the middle, another one continues. No other client can consume
//! meanwhile. Between the deletion and the new declaration, some milliseconds, the queue does not exist: messages published then
//! are unroutable, as while its node restarts. A moved message appears as published to the queue itself, whatever its original
//! exchange; queues for which that matters are not moved.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Map, Value, json};
use temporal_stack_common::{address::Endpoint, amqp::Window, login::Access};
use tokio::time::Instant;

use crate::{
    amqp::{self, Session, WINDOW},
    names::AMQP,
    rabbit::{Failure, Management, Move},
};

/// How long one action may move messages; the next one continues with the rest.
const TURN: Duration = Duration::from_secs(60);

/// The beginning of the names of holding queues.
const HOLDING: &str = "temporal-stack.moving.";

/// Moves a queue off its node, or continues the move; returns when it has moved, or its turn is over. `is_begun`: the move is
/// recorded in the cluster. `host` is the address of a node that stays.
pub(super) async fn advance(management: &Management, queue: &Move, is_begun: bool, host: &str) -> Result<(), Failure> {
    if management.default_queue_type(&queue.virtual_host).await?.is_none() {
        // The virtual host was deleted with the queue.
        return if is_begun { management.forget_move(queue).await } else { Ok(()) };
    }
    let found = management.queue(&queue.virtual_host, &queue.name).await?;
    let mut moved = if is_begun { queue.clone() } else { note(management, queue).await? };
    let (username, password) = management.login();
    management.permit(username, &moved.virtual_host).await?;
    let access = Access {
        endpoint: Endpoint { host: host.to_owned(), port: AMQP },
        username: username.to_owned(),
        password: password.to_owned(),
        scope: moved.virtual_host.clone(),
    };
    // A queue may have any length; few of its messages are held at the same time.
    let session = Session::open(&access, Window::new(WINDOW)).await?;

    let until = Instant::now() + TURN;
    let holding = format!("{HOLDING}{}", moved.id());
    let is_at_home = found.as_ref().is_some_and(|found| found.node.as_deref() == Some(moved.from.as_str()));
    if is_at_home {
        session.declare(&holding, table(&with_type(&Map::new()))).await?;
        match session.transfer(&moved.name, &holding, until).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            // It has a consumer, which the API reports only seconds later. A move that was not begun need not be recorded.
            Err(amqp::Failure::Broker { code: 403, .. }) => {
                if session.delete_if_idle(&holding).await? {
                    management.forget_move(&moved).await?;
                }
                return Ok(());
            }
            Err(failure) => return Err(failure.into()),
        }
        // Its bindings may have changed since the move began.
        moved = note(management, &moved).await?;
        if !session.delete_if_idle(&moved.name).await? {
            return Ok(());
        }
    }
    if is_at_home || found.is_none() {
        session.declare(&moved.name, table(&with_type(&moved.arguments))).await?;
    }
    // Wherever an earlier turn ended: existing bindings stay.
    for binding in &moved.bindings {
        session.bind(&moved.name, &binding.source, &binding.routing_key, table(&binding.arguments)).await?;
    }
    // If the holding queue was never declared, nothing must be brought back.
    let is_held = management.queue(&moved.virtual_host, &holding).await?.is_some();
    if is_held && (!session.transfer(&holding, &moved.name, until).await? || !session.delete_if_idle(&holding).await?) {
        return Ok(());
    }
    management.forbid(username, &moved.virtual_host).await?;
    management.forget_move(&moved).await
}

/// Records everything that is needed to declare a queue again.
async fn note(management: &Management, queue: &Move) -> Result<Move, Failure> {
    let bindings = management.bindings(&queue.virtual_host, &queue.name).await?;
    let moved = Move { bindings, ..queue.clone() };
    management.note_move(&moved).await?;
    Ok(moved)
}

/// With the type, because the virtual host has another default.
fn with_type(arguments: &Map<String, Value>) -> Map<String, Value> {
    let mut arguments = arguments.clone();
    arguments.insert("x-queue-type".to_owned(), json!("classic"));
    arguments
}

/// Arguments in AMQP.
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
    fn queue_is_declared_again_with_its_arguments() {
        let arguments = Map::from_iter([
            ("x-max-length".to_owned(), json!(10)),
            ("x-overflow".to_owned(), json!("reject-publish")),
        ]);
        let table = table(&with_type(&arguments));
        assert_eq!(table.inner().get("x-max-length"), Some(&AMQPValue::LongLongInt(10)));
        assert_eq!(table.inner().get("x-queue-type"), Some(&AMQPValue::LongString("classic".into())));
    }
}
