//! Answers: as they pass, and as they are made here.

use bytes::Bytes;
use http::{
    HeaderValue, Response,
    header::{CONTENT_LENGTH, CONTENT_TYPE, TRAILER},
    response::Parts,
};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use serde_json::Value;
use tower::BoxError;

/// A body that passes through the bridge, chunk by chunk.
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// An answer, on its way to the client.
pub(crate) type Answer = Response<Body>;

/// An answer with the status and the headers of another, and `value` as its body.
pub(crate) fn translated(mut parts: Parts, value: &Value) -> Answer {
    // Headers about the body; the right length is set when this one is sent.
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

/// A complete body.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}
