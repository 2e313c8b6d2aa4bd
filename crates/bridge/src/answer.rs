//! Answers: as they come, whole, and made here.

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Response,
    header::{CONTENT_LENGTH, CONTENT_TYPE, TRAILER},
    response::Parts,
};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use serde_json::Value;
use tower::BoxError;

use crate::failure::Failure;

/// What goes through the bridge, chunk by chunk.
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// An answer, on its way to the client.
pub(crate) type Answer = Response<Body>;

/// How Kubo and IPFS Cluster say at the end of an answer that they could not go on: a trailer, empty when all is well.
const STREAM_ERROR: &str = "x-stream-error";

/// Reads an answer to its end, which must come within `limit` bytes.
///
/// # Errors
///
/// It breaks off, is longer, or says at its end that it is none.
pub(crate) async fn whole(answer: Answer, limit: usize) -> Result<(Parts, Bytes), Failure> {
    let (parts, mut body) = answer.into_parts();
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::broken(&error))?;
        match frame.into_data() {
            Ok(data) if bytes.len() + data.len() > limit => return Err(Failure::TooLong(limit)),
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => {
                if let Some(message) = frame.trailers_ref().and_then(stream_error) {
                    return Err(Failure::Stream(message));
                }
            }
        }
    }
    Ok((parts, bytes.freeze()))
}

fn stream_error(trailers: &HeaderMap) -> Option<String> {
    let message = trailers.get(STREAM_ERROR).filter(|message| !message.is_empty())?;
    Some(String::from_utf8_lossy(message.as_bytes()).into_owned())
}

/// An answer with the status and the headers of another, and `value` as its body.
pub(crate) fn translated(mut parts: Parts, value: &Value) -> Answer {
    // Those that speak of the body; a length that fits is set when this one is sent.
    for header in [CONTENT_LENGTH.as_str(), TRAILER.as_str(), "x-stream-output", "x-chunked-output", "x-content-length"]
    {
        parts.headers.remove(header);
    }
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(parts, full(value.to_string()))
}

/// An answer of success with `value` as its body.
pub(crate) fn json(value: &Value) -> Answer {
    let (parts, ()) = Response::new(()).into_parts();
    translated(parts, value)
}

/// A body that is there as a whole.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}
