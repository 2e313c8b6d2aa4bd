//! K2: publishing to a topic.
//!
//! | request | answer now | the client decodes | translation |
//! |---|---|---|---|
//! | `POST /api/v0/pubsub/pub?arg=<topic>&arg=<data>`, no body | 400 `file argument 'data' is required` | any status below 400 | `POST /api/v0/pubsub/pub?arg=u<base64url of the topic>` with a `multipart/form-data` body of one file, which is the data |
//!
//! The answer passes unchanged. The data are in the URL, so they are limited to 64 KiB with it, percent-encoded.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{
    HeaderValue, Request, Uri,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
    uri::PathAndQuery,
};

use crate::{
    answer::{Answer, Body, full},
    failure::Failure,
    query,
    upstream::Upstream,
};

pub(super) async fn answer(upstream: &Upstream, request: Request<Body>) -> Result<Answer, Failure> {
    upstream.send(as_now(request)).await
}

fn as_now<B>(request: Request<B>) -> Request<Body> {
    let (mut head, _) = request.into_parts();
    let arguments = query::arguments(head.uri.query());
    let mut arguments = arguments.iter().map(Vec::as_slice);
    let (topic, data) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());

    let mut path = format!("{}?arg=u{}", head.uri.path(), BASE64_URL_SAFE_NO_PAD.encode(topic));
    let others = query::without_arguments(head.uri.query());
    if !others.is_empty() {
        path = format!("{path}&{others}");
    }
    let mut parts = http::uri::Parts::default();
    // Its parts are valid parts of a URL already, or base64.
    parts.path_and_query = PathAndQuery::try_from(path).ok();
    head.uri = Uri::from_parts(parts).unwrap_or_default();

    let boundary = boundary(data);
    head.headers.remove(CONTENT_LENGTH);
    if let Ok(value) = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}")) {
        head.headers.insert(CONTENT_TYPE, value);
    }
    Request::from_parts(head, full(form(data, &boundary)))
}

fn form(data: &[u8], boundary: &str) -> Vec<u8> {
    let before = format!(
        "--{boundary}\r\n\
         Content-Disposition: form-data; name=\"data\"; filename=\"data\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    [before.as_bytes(), data, format!("\r\n--{boundary}--\r\n").as_bytes()].concat()
}

/// A line that the data do not contain, so that they cannot end the file early.
fn boundary(data: &[u8]) -> String {
    loop {
        let boundary = format!("bridge-{:032x}", rand::random::<u128>());
        if !data.windows(boundary.len()).any(|part| part == boundary.as_bytes()) {
            return boundary;
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn sent(uri: &str) -> (http::request::Parts, String) {
        let request = Request::post(uri).header("authorization", "Bearer token").header("content-length", "0");
        let (head, body) = as_now(request.body(()).unwrap()).into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn topic_is_encoded_and_data_become_a_file() {
        let (head, body) = sent("/api/v0/pubsub/pub?arg=a+topic&arg=gr%C3%BC%C3%9Fe+%26+more").await;
        assert_eq!(head.uri, "/api/v0/pubsub/pub?arg=uYSB0b3BpYw");
        assert_eq!(head.headers["authorization"], "Bearer token");
        assert!(!head.headers.contains_key(CONTENT_LENGTH));
        let boundary = head.headers[CONTENT_TYPE].to_str().unwrap().rsplit_once('=').unwrap().1;
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"data\"; filename=\"data\"\r\n\
             Content-Type: application/octet-stream\r\n\r\ngrüße & more\r\n--{boundary}--\r\n"
        );
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn other_query_parameters_are_kept() {
        let (head, _) = sent("/api/v0/pubsub/pub?arg=t&encoding=json&arg=d").await;
        assert_eq!(head.uri, "/api/v0/pubsub/pub?arg=udA&encoding=json");
    }
}
