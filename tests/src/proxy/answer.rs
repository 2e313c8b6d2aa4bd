//! What the proxy says itself, and how it says nothing.

use std::{convert::Infallible, fmt};

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use serde_json::json;

/// An answer to the controller.
pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Closed>>;

/// The connection is closed, and why.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed: {0}")]
pub(super) struct Closed(String);

impl Closed {
    pub(super) fn by_fault() -> Self {
        Self("a fault of the test".to_owned())
    }

    pub(super) fn by(cause: impl fmt::Display) -> Self {
        Self(cause.to_string())
    }
}

/// What the API server says when it refuses.
pub(super) fn refusal(code: u16) -> Answer {
    let reason = match code {
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("a fault of the test: {reason}"), "reason": reason, "code": code,
    });
    let status_code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = json_answer(status_code, status.to_string().into());
    if code == 429 {
        answer.headers_mut().insert(RETRY_AFTER, 1.into());
    }
    answer
}

pub(super) fn json_answer(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(whole(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

pub(super) fn whole(body: Bytes) -> UnsyncBoxBody<Bytes, Closed> {
    Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync()
}
