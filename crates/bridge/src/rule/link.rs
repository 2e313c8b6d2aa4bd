//! The format of a CID: `{"/": "Qm…"}` in 2020, `"Qm…"` now.

use serde_json::{Value, json};

/// Translates this field of an object to the old format, if it holds a CID in the new one.
pub(super) fn write_as_then(object: &mut Value, field: &str) {
    if let Some(cid) = object.get_mut(field).filter(|value| value.is_string()) {
        *cid = json!({"/": cid.take()});
    }
}
