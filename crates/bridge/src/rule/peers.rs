//! C1: the peers as an array.
//!
//! | request | answer now | the client decodes | translation |
//! |---|---|---|---|
//! | `GET /peers` | 200, one JSON object a line, trailer `X-Stream-Error`; 204 when there is none | one array, `[]*api.ID` | all lines in one array with a `Content-Length`; 204 is `[]`; an error in the trailer is status 500 with `{"code", "message"}` |
//!
//! The fields of each object are translated by [C2](super::addresses).

use http::{Request, StatusCode};
use serde_json::{Deserializer, Value};

use super::{LONGEST, addresses};
use crate::{
    answer::{Answer, translated},
    failure::Failure,
    upstream::Upstream,
    whole,
};

pub(super) async fn answer(upstream: &Upstream, request: Request<()>) -> Result<Answer, Failure> {
    let answer = upstream.ask(request).await?;
    if !answer.status().is_success() {
        return Ok(answer);
    }
    let (mut parts, lines) = whole::read(answer, LONGEST).await?;
    parts.status = StatusCode::OK;
    Ok(translated(parts, &Value::Array(array(&lines)?)))
}

fn array(lines: &[u8]) -> Result<Vec<Value>, Failure> {
    let peers = Deserializer::from_slice(lines).into_iter::<Value>();
    let without_addresses = |peer| {
        let mut peer = peer?;
        addresses::empty(&mut peer);
        Ok(peer)
    };
    peers.map(without_addresses).collect::<Result<_, _>>().map_err(|error| Failure::untranslatable(&error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_line_becomes_an_array_element() {
        let lines = b"{\"id\":\"a\",\"addresses\":[\"/quic-v1\"]}\n{\"id\":\"b\",\"addresses\":null}\n";
        let expected = [json!({"id": "a", "addresses": []}), json!({"id": "b", "addresses": []})];
        assert_eq!(array(lines).unwrap(), expected);
        assert!(array(b"").unwrap().is_empty());
    }

    #[test]
    fn truncated_line_is_an_error() {
        assert!(array(b"{\"id\":\"a\"}\n{\"id\":").is_err());
    }
}
