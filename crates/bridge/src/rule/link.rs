//! How a CID is written: `{"/": "Qm…"}` then, `"Qm…"` now.

use serde_json::{Value, json};

/// Writes this field of an object as it was then, if it holds a CID as it is now.
pub(super) fn write_as_then(object: &mut Value, field: &str) {
    if let Some(cid) = object.get_mut(field).filter(|value| value.is_string()) {
        *cid = json!({"/": cid.take()});
    }
}
