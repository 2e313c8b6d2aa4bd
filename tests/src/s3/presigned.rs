//! URLs that are signed in advance, and requests whose signature is not what it should be.

use hmac::{Hmac, KeyInit as _, Mac as _};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use reqwest::{Method, Response};
use sha2::{Digest as _, Sha256};
use temporal_stack_common::manifest::hex;

use super::{Checked, Deviation, Place, Stage, expect, section};

section! { "Signatures",
    "GetObject, presigned URL", "200, without a header", get;
    "PutObject, presigned URL", "200", put;
    "GetObject, presigned URL that has expired", "403 AccessDenied", expired;
    "GetObject, presigned URL with another key", "403 SignatureDoesNotMatch", changed;
    "GetObject without a signature", "403 AccessDenied", anonymous;
    "GetObject, signed an hour ago", "403 RequestTimeTooSkewed", skewed;
    "PutObject, body changed after signing", "400 XAmzContentSHA256Mismatch", altered;
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

fn code(key: &[u8], text: &str) -> Vec<u8> {
    let mut code = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    code.update(text.as_bytes());
    code.finalize().into_bytes().to_vec()
}

/// A time of signing: now, or so many seconds later.
fn time(later: i64) -> String {
    (Timestamp::now() + SignedDuration::from_secs(later)).strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn scope(place: &Place, time: &str) -> String {
    format!("{}/{}/s3/aws4_request", &time[..8], place.address.region)
}

/// The signature of a request without what is canonical of it.
fn signature(place: &Place, time: &str, canonical: &str) -> String {
    let digest = hex(&Sha256::digest(canonical.as_bytes()));
    let text = format!("{ALGORITHM}\n{time}\n{}\n{digest}", scope(place, time));
    let mut secret = format!("AWS4{}", place.key.secret).into_bytes();
    for part in [&time[..8], &place.address.region, "s3", "aws4_request"] {
        secret = code(&secret, part);
    }
    hex(&code(&secret, &text))
}

fn host(place: &Place) -> &str {
    place.address.endpoint.split("://").nth(1).unwrap_or_default()
}

/// The URL of an object, for a minute from this time on. Keys of these tests need no escapes.
fn presigned(place: &Place, method: &Method, key: &str, time: &str) -> String {
    let path = format!("/{}/{key}", place.bucket);
    let credential = format!("{}/{}", place.key.id, scope(place, time)).replace('/', "%2F");
    let query = format!(
        "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={credential}&X-Amz-Date={time}&X-Amz-Expires=60&X-Amz-SignedHeaders=host"
    );
    let canonical = format!("{method}\n{path}\n{query}\nhost:{}\n\nhost\n{UNSIGNED}", host(place));
    format!("{}{path}?{query}&X-Amz-Signature={}", place.address.endpoint, signature(place, time, &canonical))
}

/// A request signed in its header: with the digest of one body, and another body.
async fn signed(
    place: &Place,
    method: Method,
    key: &str,
    time: &str,
    digest: &str,
    body: &str,
) -> Result<Response, Deviation> {
    let path = format!("/{}/{key}", place.bucket);
    let names = "host;x-amz-content-sha256;x-amz-date";
    let headers = format!("host:{}\nx-amz-content-sha256:{digest}\nx-amz-date:{time}\n", host(place));
    let canonical = format!("{method}\n{path}\n\n{headers}\n{names}\n{digest}");
    let credential = format!("{}/{}", place.key.id, scope(place, time));
    let signature = signature(place, time, &canonical);
    let authorization = format!("{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}");
    let request = client()?.request(method, format!("{}{path}", place.address.endpoint));
    let request = request.header("x-amz-content-sha256", digest).header("x-amz-date", time);
    sent(request.header("authorization", authorization).body(body.to_owned())).await
}

fn client() -> Result<reqwest::Client, Deviation> {
    crate::http::builder().build().map_err(|error| Deviation(error.to_string()))
}

async fn sent(request: reqwest::RequestBuilder) -> Result<Response, Deviation> {
    request.send().await.map_err(|error| Deviation(error.without_url().to_string()))
}

/// The text of an answer, or status and code of a refusal.
async fn text(response: Response) -> Result<String, Deviation> {
    let status = response.status();
    let text = response.text().await.map_err(|error| Deviation(error.without_url().to_string()))?;
    if status.is_success() {
        return Ok(text);
    }
    let code = text.split("<Code>").nth(1).and_then(|rest| rest.split("</Code>").next()).unwrap_or_default();
    Err(Deviation(format!("{} {code}", status.as_u16())))
}

async fn get_url(url: String) -> Result<String, Deviation> {
    text(sent(client()?.get(url)).await?).await
}

async fn get(Stage { plain, .. }: Stage) -> Checked {
    plain.put("signatures/get", "content").await?;
    let url = presigned(&plain, &Method::GET, "signatures/get", &time(0));
    expect(get_url(url).await? == "content", "different")
}

async fn put(Stage { plain, .. }: Stage) -> Checked {
    let url = presigned(&plain, &Method::PUT, "signatures/put", &time(0));
    text(sent(client()?.put(url).body("content")).await?).await?;
    expect(plain.get("signatures/put").await? == "content", "different")
}

async fn expired(Stage { plain, .. }: Stage) -> Checked {
    plain.put("signatures/expired", "content").await?;
    let url = presigned(&plain, &Method::GET, "signatures/expired", &time(-300));
    super::refused(get_url(url).await, "403 AccessDenied")
}

async fn changed(Stage { plain, .. }: Stage) -> Checked {
    plain.put("signatures/secret", "content").await?;
    let url = presigned(&plain, &Method::GET, "signatures/other", &time(0));
    super::refused(get_url(url.replace("signatures/other", "signatures/secret")).await, "403 SignatureDoesNotMatch")
}

async fn anonymous(Stage { plain, .. }: Stage) -> Checked {
    plain.put("signatures/anonymous", "content").await?;
    let url = format!("{}/{}/signatures/anonymous", plain.address.endpoint, plain.bucket);
    super::refused(get_url(url).await, "403 AccessDenied")
}

async fn skewed(Stage { plain, .. }: Stage) -> Checked {
    plain.put("signatures/skewed", "content").await?;
    let answer = signed(&plain, Method::GET, "signatures/skewed", &time(-3600), UNSIGNED, "").await?;
    super::refused(text(answer).await, "403 RequestTimeTooSkewed")
}

async fn altered(Stage { plain, .. }: Stage) -> Checked {
    let digest = hex(&Sha256::digest(b"before"));
    let answer = signed(&plain, Method::PUT, "signatures/altered", &time(0), &digest, "behind").await?;
    super::refused(text(answer).await, "400 XAmzContentSHA256Mismatch")
}
