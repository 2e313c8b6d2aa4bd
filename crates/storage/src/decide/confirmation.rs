//! What the user confirms by an annotation: one thing about a bucket, once.
//!
//! The value is `BUCKET@GENERATION`, or a list of them with commas. The generation is that of the object when the message was written
//! that asks for the confirmation: the next edit of the spec has another one, so a confirmation that stays on the object, or in a
//! manifest, confirms nothing later.

use temporal_stack_common::{api::ObjectStorage, message::kubectl};

use crate::names::Names;

/// Whether the annotation confirms this about the bucket, for the spec as it is now.
pub(super) fn is_confirmed(object: &ObjectStorage, annotation: &str, bucket: &str) -> bool {
    let (Some(generation), Some(annotations)) = (object.metadata.generation, &object.metadata.annotations) else {
        return false;
    };
    let expected = format!("{bucket}@{generation}");
    annotations.get(annotation).is_some_and(|value| value.split(',').any(|one| one.trim() == expected))
}

/// The command that confirms it.
pub(super) fn command(object: &ObjectStorage, annotation: &str, bucket: &str) -> String {
    let names = Names::new(object);
    let generation = object.metadata.generation.unwrap_or_default();
    let words = format!("annotate --overwrite objectstorage {} {annotation}={bucket}@{generation}", names.object);
    kubectl(&names.namespace, &words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture::{annotated, object};

    const KEY: &str = "temporal-stack.dev/delete-bucket";

    fn confirms(value: &str, generation: Option<i64>) -> bool {
        let mut object = annotated(object(&json!({})), KEY, value);
        object.metadata.generation = generation;
        is_confirmed(&object, KEY, "albums")
    }

    #[test]
    fn confirmation_names_the_bucket_and_the_generation() {
        assert!(confirms("albums@7", Some(7)) && confirms("older@7, albums@7", Some(7)));
        for value in ["", "albums", "albums@", "albums@6", "albums@70", "older@7", "albums@7@7", "@7"] {
            assert!(!confirms(value, Some(7)), "{value}");
        }
    }

    #[test]
    fn confirmation_ends_with_the_next_edit() {
        assert!(confirms("albums@7", Some(7)) && !confirms("albums@7", Some(8)));
        assert!(!confirms("albums@0", None), "an object without a generation confirms nothing");
    }

    #[test]
    fn command_confirms_what_it_is_for() {
        let object = object(&json!({}));
        let command = command(&object, KEY, "albums");
        let value = command.rsplit_once('=').unwrap().1;
        assert!(is_confirmed(&annotated(object, KEY, value), KEY, "albums"), "{command}");
    }
}
