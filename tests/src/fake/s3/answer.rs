//! Requests as S3 has them, and the documents that answer them.

use std::{collections::BTreeMap, fmt::Write as _};

use axum::{
    extract::Request,
    http::{
        Method, StatusCode,
        header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION},
    },
    response::{IntoResponse as _, Response},
};
use sha2::{Digest as _, Sha256};

/// The most that is read of a request.
const MOST: usize = 1 << 20;
/// When everything was stored.
const STORED: &str = "2026-01-01T00:00:00.000Z";
/// Parameters that are no resource of their own.
const PLAIN: [&str; 9] = [
    "encoding-type",
    "key-marker",
    "list-type",
    "max-keys",
    "prefix",
    "start-after",
    "version-id-marker",
    "versionId",
    "x-id",
];

/// A request, read to its end.
pub(super) struct Asked {
    pub(super) method: Method,
    /// Method and path with the query.
    pub(super) line: String,
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) key_id: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Asked {
    pub(super) async fn read(request: Request) -> Result<Self, Response> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let authorization = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        // AWS4-HMAC-SHA256 Credential=<ID>/<date>/…
        let key_id = authorization.and_then(|value| value.split_once("Credential=")?.1.split('/').next());
        let key_id = key_id.map(str::to_owned);
        let line = format!("{method} {uri}");
        let too_large = |_| StatusCode::PAYLOAD_TOO_LARGE.into_response();
        let body = axum::body::to_bytes(request.into_body(), MOST).await.map_err(too_large)?.to_vec();
        let path = uri.path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let parameters = pairs(uri.query().unwrap_or_default());
        Ok(Self { method, line, bucket: decoded(bucket), key: decoded(key), parameters, key_id, body })
    }

    /// The setting that the request is about.
    pub(super) fn setting(&self) -> Option<&str> {
        self.parameters.keys().map(String::as_str).find(|name| !PLAIN.contains(name))
    }

    fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// The query, decoded.
fn pairs(query: &str) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://fake/?{query}")).ok();
    let pairs = url.iter().flat_map(reqwest::Url::query_pairs);
    pairs.map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

fn decoded(part: &str) -> String {
    // In a path a plus sign is one.
    pairs(&format!("part={}", part.replace('+', "%2B"))).remove("part").unwrap_or_default()
}

/// A part of a list.
pub(super) struct Page {
    objects: Vec<(String, usize, String)>,
    has_more: bool,
}

impl Page {
    /// The page that is asked for.
    pub(super) fn of(objects: &BTreeMap<String, Vec<u8>>, asked: &Asked) -> Self {
        let most = asked.parameter("max-keys").parse().unwrap_or(1000);
        let (prefix, after) = (asked.parameter("prefix"), asked.parameter("start-after"));
        let after = if after.is_empty() { asked.parameter("key-marker") } else { after };
        let mut rest =
            objects.iter().filter(|(key, _)| key.starts_with(prefix) && (after.is_empty() || key.as_str() > after));
        let object = |(key, content): (&String, &Vec<u8>)| (key.clone(), content.len(), etag(content));
        let objects = rest.by_ref().take(most).map(object).collect();
        Self { objects, has_more: rest.next().is_some() }
    }

    /// The list of objects.
    pub(super) fn answer(&self) -> Response {
        self.named("ListBucketResult", "Contents", "")
    }

    /// The list of versions: each object has one.
    pub(super) fn versions(&self) -> Response {
        self.named("ListVersionsResult", "Version", "<VersionId>null</VersionId><IsLatest>true</IsLatest>")
    }

    fn named(&self, list: &str, entry: &str, more: &str) -> Response {
        let mut text = format!("<{list}><IsTruncated>{}</IsTruncated>", self.has_more);
        for (key, size, etag) in &self.objects {
            let key = escaped(key);
            // Writing to a text does not fail.
            let _ = write!(
                text,
                "<{entry}><Key>{key}</Key><Size>{size}</Size><ETag>&quot;{etag}&quot;</ETag>\
                 <LastModified>{STORED}</LastModified>{more}</{entry}>"
            );
        }
        document(&format!("{text}</{list}>"))
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A tag that changes with the content.
fn etag(content: &[u8]) -> String {
    temporal_stack_common::manifest::hex(&Sha256::digest(content)[..16])
}

/// An entry of the list of buckets.
pub(super) fn bucket(name: &str) -> String {
    format!("<Bucket><Name>{}</Name><CreationDate>{STORED}</CreationDate></Bucket>", escaped(name))
}

/// An answer without a body.
pub(super) fn empty(status: u16) -> Response {
    StatusCode::from_u16(status).unwrap_or_default().into_response()
}

/// The answer to a put.
pub(super) fn created(content: &[u8]) -> Response {
    ([(ETAG, format!("\"{}\"", etag(content)))], ()).into_response()
}

/// The bytes of an object, or of a setting.
pub(super) fn body(content: Vec<u8>) -> Response {
    let headers = [(ETAG, format!("\"{}\"", etag(&content))), (CONTENT_LENGTH, content.len().to_string())];
    (headers, content).into_response()
}

/// A document in XML.
pub(super) fn document(text: &str) -> Response {
    ([(CONTENT_TYPE, "application/xml")], text.to_owned()).into_response()
}

/// An answer that refuses.
pub(super) fn refusal(status: u16, code: &str) -> Response {
    let text = format!("<Error><Code>{code}</Code><Message>The fake storage refuses.</Message></Error>");
    (StatusCode::from_u16(status).unwrap_or_default(), document(&text)).into_response()
}

/// An answer that sends elsewhere, to where nobody may be sent.
pub(super) fn redirect() -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "http://169.254.169.254/latest/meta-data/")]).into_response()
}

/// The answer where a bucket has no such setting.
pub(super) fn unset(setting: &str) -> Response {
    match setting {
        "versioning" => document("<VersioningConfiguration/>"),
        "lifecycle" => refusal(404, "NoSuchLifecycleConfiguration"),
        "policy" => refusal(404, "NoSuchBucketPolicy"),
        "object-lock" => refusal(404, "ObjectLockConfigurationNotFoundError"),
        "tagging" => refusal(404, "NoSuchTagSet"),
        "location" => document("<LocationConstraint/>"),
        _ => refusal(501, "NotImplemented"),
    }
}
