//! Signs a call, sends it, and reads a refusal.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::jiff::Timestamp;
use md5::{Digest as _, Md5};

use super::{
    address::{self, Address, Key, Style},
    call::{Call, Target},
    code::Code,
    failure::Failure,
    sign::{self, Scope, Signed},
    xml::Element,
};
use crate::{
    failure::printable,
    http::{self, Answer, Method, Path, Request, Server, Trust},
};

/// The service in the signature: S3, and the APIs for administration of its engines.
const SERVICE: &str = "s3";
/// The media type of documents.
const XML: &str = "application/xml";
/// The header of the account that a bucket must belong to.
const EXPECTED_OWNER: &str = "x-amz-expected-bucket-owner";

/// An object storage, as the owner of one key. Cheap to make; a clone shares its settings.
#[derive(Clone, Debug)]
pub struct Client {
    http: http::Client,
    server: Server,
    region: String,
    style: Style,
    key: Key,
    account: Option<String>,
}

type Result<T> = std::result::Result<T, Failure>;

impl Client {
    /// The client of this storage with this key. Sends nothing.
    pub fn new(address: &Address, key: &Key) -> Result<Self> {
        if !key.is_valid() {
            return Err(Failure::Key);
        }
        let trust = address.authority.as_deref().map_or(Trust::System, Trust::Only);
        Ok(Self {
            http: http::Client::trusting(trust, None),
            server: address.server()?,
            region: address.region.clone(),
            style: address.style,
            key: key.clone(),
            account: None,
        })
    }

    /// The same for buckets of this account only: Amazon's storage refuses requests about those of another one, and other storages
    /// ignore it.
    #[must_use]
    pub fn of_account(self, account: Option<&str>) -> Self {
        Self { account: account.map(str::to_owned), ..self }
    }

    /// The region that requests are signed for.
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Sends a call. An answer that refuses is a failure.
    pub async fn call(&self, call: Call) -> Result<Answer> {
        let answer = self.send(call).await?;
        if answer.is_success() { Ok(answer) } else { Err(self.refused(&answer)) }
    }

    /// Sends a call, whose answer may refuse.
    pub(super) async fn send(&self, call: Call) -> Result<Answer> {
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        self.http.send(self.request(call, &time)?).await.map_err(Failure::Http)
    }

    /// Sends a document in XML about a bucket or an object.
    pub(super) async fn send_xml(&self, call: Call, document: &Element) -> Result<Answer> {
        self.call(call.with_content(XML, document.to_string().into_bytes())).await
    }

    /// The document of an answer. Some requests are refused in an answer that looks like a success.
    pub(super) fn document(&self, answer: &Answer) -> Result<Element> {
        let document = Element::parse(&answer.body).map_err(|cause| self.unreadable(answer, &cause))?;
        if document.name == "Error" { Err(self.refused(answer)) } else { Ok(document) }
    }

    /// The document of an answer, which has one of these names: any other one has no entries either, and would be an empty list.
    pub(super) fn document_named(&self, answer: &Answer, names: &[&str]) -> Result<Element> {
        let document = self.document(answer)?;
        let is_expected = names.contains(&document.name.as_str());
        if is_expected { Ok(document) } else { Err(self.unreadable(answer, "the document is not a list")) }
    }

    /// The failure for an answer that is not as expected.
    pub(super) fn unreadable(&self, answer: &Answer, cause: &str) -> Failure {
        let (address, request) = answer.origin();
        Failure::Unreadable { address, request, cause: printable(&self.key.hidden_in(cause)) }
    }

    fn refused(&self, answer: &Answer) -> Failure {
        let (address, request) = answer.origin();
        let (code, message) = refusal(answer);
        let code = Code::from_name(&self.key.hidden_in(code.as_str()));
        let message = printable(&self.key.hidden_in(&message));
        let message = if message.is_empty() { "the answer has no text".to_owned() } else { message };
        Failure::Refused { address, request, status: answer.status, code, message }
    }

    /// The request that a call is, signed at this time (`20130524T000000Z`).
    pub(super) fn request(&self, call: Call, time: &str) -> Result<Request> {
        let (server, path) = self.place(&call.target)?;
        let account = self.account.clone().filter(|_| matches!(call.target, Target::Bucket(_) | Target::Object(..)));
        let mut query = call.query;
        query.sort_by_cached_key(|(name, value)| (crate::binding::uri_part(name), crate::binding::uri_part(value)));
        let path = query.iter().fold(path, |path, (name, value)| path.with(name, value));
        let method = call.method.clone();
        let request = server.request(call.method, &path, call.within, call.limit).map_err(Failure::Http)?;
        let (kind, content) = call.content.unwrap_or_default();
        let digest = sign::digest(&content);
        let mut headers: BTreeMap<String, String> = call.headers.into_iter().collect();
        headers.insert("host".to_owned(), request.host().to_owned());
        headers.insert("x-amz-date".to_owned(), time.to_owned());
        headers.extend(account.map(|account| (EXPECTED_OWNER.to_owned(), account)));
        headers.insert("x-amz-content-sha256".to_owned(), digest.clone());
        if !kind.is_empty() {
            headers.insert("content-type".to_owned(), kind.clone());
            headers.entry("content-md5".to_owned()).or_insert_with(|| STANDARD.encode(Md5::digest(&content)));
        }
        let (path, query) = request.target();
        let signed = Signed { method: method.as_str(), path, query, headers: &headers, digest: &digest };
        let scope = Scope { time, region: &self.region, service: SERVICE };
        let authorization = sign::authorization(&self.key, scope, signed);
        let mut request = request.with_header("authorization", &authorization);
        if let Some(values) = call.values {
            request = request.with_values(values);
        }
        for (name, value) in headers.iter().filter(|(name, _)| !["host", "content-type"].contains(&name.as_str())) {
            request = request.with_header(name, value);
        }
        // Servers may refuse a body of unknown length, and the library says nothing about an empty one.
        if content.is_empty() && [Method::PUT, Method::POST].contains(&method) {
            request = request.with_header("content-length", "0");
        }
        Ok(if kind.is_empty() { request } else { request.with_content(&kind, content) })
    }

    fn place(&self, target: &Target) -> Result<(Server, Path)> {
        let path = |segments: &[&str]| Path::from_segments(segments).map_err(Failure::Http);
        let of_bucket = |bucket: &str| address::of_bucket(&self.server, self.style, bucket);
        match target {
            Target::Service => Ok((self.server.clone(), Path::fixed(""))),
            Target::Path(segments) => {
                let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
                Ok((self.server.clone(), path(&segments)?))
            }
            Target::Bucket(bucket) => {
                let (server, segment) = of_bucket(bucket)?;
                Ok((server, path(segment.as_deref().as_slice())?))
            }
            Target::Object(bucket, key) => {
                let (server, segment) = of_bucket(bucket)?;
                let path = Path::of_object(segment.as_deref().as_slice(), key).map_err(Failure::Http)?;
                Ok((server, path))
            }
        }
    }

    /// A call about a bucket.
    pub(super) fn on_bucket(method: Method, bucket: &str, resource: &str) -> Call {
        Call::bucket(method, bucket).with(resource, "")
    }
}

/// Code and words of a refusal: XML, JSON from an API for administration, or a header or the status where there is no body. A proxy
/// or a mesh refuses without a code, too: that says nothing of a bucket or an object.
fn refusal(answer: &Answer) -> (Code, String) {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Json {
        code: String,
        #[serde(default)]
        message: String,
    }
    if let Ok(document) = Element::parse(&answer.body)
        && let Some(code) = document.text("Code")
    {
        return (Code::from_name(code), document.text("Message").unwrap_or_default().to_owned());
    }
    if let Ok(Json { code, message }) = serde_json::from_slice(&answer.body) {
        return (Code::from_name(&code), message);
    }
    let has_no_body = answer.origin().1.starts_with("HEAD ");
    let code = match (answer.header("x-minio-error-code"), answer.status) {
        (Some(code), _) => Code::from_name(code),
        (None, 403 | 404) if !has_no_body => Code::unnamed(),
        (None, status) => Code::of_status(status),
    };
    (code, answer.printable())
}
