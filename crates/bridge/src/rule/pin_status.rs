//! C4: the status of a pin.
//!
//! | request | answer now | the client decodes | translation |
//! |---|---|---|---|
//! | `GET /pins/<cid>?local=true` | `{"cid": "Qm…", "peer_map": {"<peer>": {"peername", "status", …}}, …}` | `api.GlobalPinInfo`: `cid` is `{"/": …}`, `peer_map` of `PinInfo{cid, peer, peername, status, timestamp, error}` | `cid` as `{"/": …}`; each entry of `peer_map` gets `cid`, and its key as `peer` |

use http::Request;
use serde_json::{Value, from_slice, json};

use super::{LONGEST, link};
use crate::{
    answer::{Answer, translated},
    failure::Failure,
    upstream::{Upstream, is_ok},
    whole,
};

pub(super) async fn answer(upstream: &Upstream, request: Request<()>) -> Result<Answer, Failure> {
    let answer = upstream.ask(request).await?;
    if !is_ok(&answer) {
        return Ok(answer);
    }
    let (parts, body) = whole::read(answer, LONGEST).await?;
    let mut status: Value = from_slice(&body).map_err(|error| Failure::untranslatable(&error))?;
    write_as_then(&mut status);
    Ok(translated(parts, &status))
}

fn write_as_then(status: &mut Value) {
    link::write_as_then(status, "cid");
    let cid = status["cid"].clone();
    let peers = status.get_mut("peer_map").and_then(Value::as_object_mut);
    for (peer, info) in peers.into_iter().flatten() {
        info["cid"] = cid.clone();
        info["peer"] = json!(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_translated_to_the_old_format() {
        let mut status = json!({
            "cid": "QmA",
            "name": "",
            "peer_map": {"12D3KooWA": {"peername": "peer-0", "status": "pinned", "error": ""}},
        });
        write_as_then(&mut status);
        let info = json!({
            "cid": {"/": "QmA"},
            "peer": "12D3KooWA",
            "peername": "peer-0",
            "status": "pinned",
            "error": "",
        });
        assert_eq!(status, json!({"cid": {"/": "QmA"}, "name": "", "peer_map": {"12D3KooWA": info}}));
    }

    #[test]
    fn status_without_peers_is_unchanged_but_for_its_cid() {
        let mut status = json!({"cid": "QmA", "peer_map": null});
        write_as_then(&mut status);
        assert_eq!(status, json!({"cid": {"/": "QmA"}, "peer_map": null}));
    }
}
