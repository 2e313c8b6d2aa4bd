//! Answers in JSON.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// 200, and `code` in what is said.
pub(super) fn fine(mut said: Value) -> Response {
    said["code"] = 200.into();
    with_body(StatusCode::OK, &said)
}

/// 200 and a `response`.
pub(super) fn response(said: &Value) -> Response {
    fine(json!({"response": said}))
}

fn with_body(status: StatusCode, said: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    (status, kind, said.to_string()).into_response()
}

/// Why a user gets nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    why: Cow<'static, str>,
    /// Where it is about who asks.
    realm: Option<String>,
}

impl Refusal {
    /// A refusal by a route.
    pub(super) fn new(status: StatusCode, why: impl Into<Cow<'static, str>>) -> Self {
        Self { status, why: why.into(), realm: None }
    }

    /// 400.
    pub(super) fn bad(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    /// 400: a field is not there.
    pub(super) fn missing(field: &str) -> Self {
        Self::bad(format!("{field} not present"))
    }

    /// A refusal before any route.
    pub(super) fn login(status: StatusCode, why: &'static str, realm: &str) -> Self {
        Self { status, why: why.into(), realm: Some(realm.to_owned()) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = self.status.as_u16();
        let Some(realm) = self.realm else {
            return with_body(self.status, &json!({"code": code, "response": self.why}));
        };
        let mut response = with_body(self.status, &json!({"code": code, "message": self.why}));
        if let Ok(realm) = HeaderValue::from_str(&format!("JWT realm={realm}")) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        response
    }
}
