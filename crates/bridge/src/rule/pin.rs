//! C3: the answer to a pin.
//!
//! | request | answer now | the client decodes | translation |
//! |---|---|---|---|
//! | `POST /pins/<cid>?name=&replication-max=-1&replication-min=-1&shard-size=0&user-allocations=` | `{"cid": "Qm…", "type": "pin", "reference": null, "pin_update": null, …}` | `api.Pin`: `cid` is `{"/": "Qm…"}`, `type` a number, `reference` null or `{"/": …}` | `cid`, `reference` and `pin_update` as `{"/": …}`, `type` as its number |

use http::Request;
use serde_json::{Value, from_slice, json};

use super::{LONGEST, link};
use crate::{
    answer::{Answer, Body, translated},
    failure::Failure,
    upstream::{Upstream, is_ok},
    whole,
};

/// The numbers of types in the client; 1 is for unknown ones.
const TYPES: [(&str, u64); 5] = [("bad", 1), ("pin", 2), ("meta-pin", 4), ("clusterdag-pin", 8), ("shard-pin", 16)];

pub(super) async fn answer(upstream: &Upstream, request: Request<Body>) -> Result<Answer, Failure> {
    let answer = upstream.send(request).await?;
    if !is_ok(&answer) {
        return Ok(answer);
    }
    let (parts, body) = whole::read(answer, LONGEST).await?;
    let mut pin: Value = from_slice(&body).map_err(|error| Failure::untranslatable(&error))?;
    write_as_then(&mut pin);
    Ok(translated(parts, &pin))
}

fn write_as_then(pin: &mut Value) {
    for field in ["cid", "reference", "pin_update"] {
        link::write_as_then(pin, field);
    }
    if let Some(name) = pin["type"].as_str() {
        let number = TYPES.iter().find(|(known, _)| *known == name).map_or(1, |(_, number)| *number);
        pin["type"] = json!(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(mut pin: Value) -> Value {
        write_as_then(&mut pin);
        pin
    }

    #[test]
    fn pin_is_translated_to_the_old_format() {
        let pin =
            json!({"cid": "QmA", "type": "pin", "reference": null, "pin_update": null, "origins": null, "name": ""});
        let expected =
            json!({"cid": {"/": "QmA"}, "type": 2, "reference": null, "pin_update": null, "origins": null, "name": ""});
        assert_eq!(written(pin), expected);
    }

    #[test]
    fn reference_is_translated_to_the_old_format() {
        let pin = written(json!({"cid": "QmA", "type": "shard-pin", "reference": "QmB", "pin_update": "QmC"}));
        assert_eq!(pin["reference"], json!({"/": "QmB"}));
        assert_eq!(pin["pin_update"], json!({"/": "QmC"}));
        assert_eq!(pin["type"], 16);
    }

    #[test]
    fn unknown_pin_type_becomes_bad() {
        assert_eq!(written(json!({"type": "something-pin"}))["type"], 1);
    }

    #[test]
    fn pin_in_the_old_format_is_unchanged() {
        let pin = json!({"cid": {"/": "QmA"}, "type": 2, "reference": null});
        assert_eq!(written(pin.clone()), pin);
    }
}
