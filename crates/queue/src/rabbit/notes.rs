//! The controller's notes, kept in the cluster's global parameters, so that another process can continue.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use temporal_stack_common::manifest::hash;

use super::{
    Management, Result,
    answers::{Binding, Parameter},
    api,
};

/// The global parameter that lists the nodes which must leave the cluster when they stop; `leave.sh` reads it.
const LEAVING: &str = "temporal-stack-leaving";
/// The beginning of global parameters that hold a queue which is being moved.
const MOVING: &str = "temporal-stack-moving-";

/// The controller's notes in the cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Notes {
    /// The nodes that must leave the cluster when they stop.
    pub(crate) leaving: Vec<String>,
    /// Queues that are being moved.
    pub(crate) moves: Vec<Move>,
}

/// A queue that is moved, with everything that is needed to declare it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Move {
    /// The virtual host.
    pub(crate) virtual_host: String,
    /// The queue.
    pub(crate) name: String,
    /// The node from which it is moved.
    pub(crate) from: String,
    /// The arguments of its declaration.
    pub(crate) arguments: Map<String, Value>,
    /// Its bindings.
    pub(crate) bindings: Vec<Binding>,
}

impl Move {
    /// The key of the note. Not the queue's name, which may have the maximum length of a name.
    pub(crate) fn id(&self) -> String {
        hash(&json!([self.virtual_host, self.name]))
    }

    /// The global parameter that holds it.
    fn parameter(&self) -> String {
        format!("{MOVING}{}", self.id())
    }
}

impl Management {
    /// The controller's notes in the cluster.
    pub(crate) async fn notes(&self) -> Result<Notes> {
        let parameters: Vec<Parameter> = self.get(&api(&["global-parameters"])?).await?;
        let mut notes = Notes::default();
        for Parameter { name, value } in parameters {
            if name == LEAVING {
                notes.leaving = serde_json::from_value(value).unwrap_or_default();
            } else if name.starts_with(MOVING) {
                notes.moves.extend(serde_json::from_value::<Move>(value));
            }
        }
        Ok(notes)
    }

    /// Records which nodes must leave the cluster when they stop.
    pub(crate) async fn set_leaving(&self, nodes: &[String]) -> Result<()> {
        self.set_parameter(LEAVING, &json!(nodes)).await
    }

    /// Records that a queue is being moved.
    pub(crate) async fn note_move(&self, moved: &Move) -> Result<()> {
        self.set_parameter(&moved.parameter(), &json!(moved)).await
    }

    /// Deletes the note of a queue that has been moved.
    pub(crate) async fn forget_move(&self, moved: &Move) -> Result<()> {
        self.delete(&api(&["global-parameters", &moved.parameter()])?, None).await
    }

    async fn set_parameter(&self, name: &str, value: &Value) -> Result<()> {
        self.put(&api(&["global-parameters", name])?, &json!({"name": name, "value": value})).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_of_a_move_is_read_as_it_was_written() {
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
        assert_eq!(serde_json::from_value::<Move>(json!(moved)).ok(), Some(moved));
        assert!(serde_json::from_value::<Move>(json!("something else")).is_err());
    }
}
