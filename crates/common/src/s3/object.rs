//! Objects and their tags.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::jiff::{Timestamp, fmt::rfc2822::DateTimeParser};

use super::{call::Call, client::Client, etag, failure::Failure};
use crate::http::{Answer, Method};

/// The media type of an object, unless it has one.
const BYTES: &str = "application/octet-stream";
/// The slowest transfer, in bytes per second.
const SLOWEST: usize = 256 << 10;
/// How long a transfer takes beside its bytes. MinIO itself waits for up to 30 s for a drive of a server that is starting.
const LATENCY: Duration = Duration::from_secs(45);
/// The headers that belong to an object beside `x-amz-meta-…`.
const KEPT: [&str; 9] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
];
const METADATA: &str = "x-amz-meta-";

/// What an object is stored with: headers, by their names in lower case.
pub type Attributes = BTreeMap<String, String>;

/// What is known of a stored object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its entity tag, without quotes.
    pub etag: String,
    /// The MD5 of its bytes: the entity tag, unless the object is in parts or encrypted with a key of its own.
    pub md5: Option<String>,
    /// Its version, where the bucket keeps them.
    pub version: Option<String>,
}

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its bytes.
    pub size: u64,
    /// What was known when it was stored.
    pub stored: Stored,
    /// When it was stored, to the second.
    pub modified: Option<Timestamp>,
    /// Content type, metadata, retention and the like, as headers.
    pub attributes: Attributes,
}

type Result<T> = std::result::Result<T, Failure>;

impl Client {
    /// Stores an object.
    pub async fn put(&self, bucket: &str, key: &str, content: Vec<u8>) -> Result<Stored> {
        self.put_with(bucket, key, content, &Attributes::new()).await
    }

    /// Stores an object with these headers.
    pub async fn put_with(&self, bucket: &str, key: &str, content: Vec<u8>, attributes: &Attributes) -> Result<Stored> {
        let time = transfer(content.len());
        let call = with_attributes(Call::object(Method::PUT, bucket, key), attributes);
        let kind = attributes.get("content-type").map_or(BYTES, String::as_str);
        let answer = self.call(call.with_content(kind, content).within(time)).await?;
        Ok(stored(&answer))
    }

    /// Reads an object of at most so many bytes.
    pub async fn get(&self, bucket: &str, key: &str, limit: usize) -> Result<Vec<u8>> {
        let call = Call::object(Method::GET, bucket, key).with_limit(limit).within(transfer(limit));
        Ok(self.call(call).await?.body)
    }

    /// Reads so many bytes of an object, if it is still the one of this entity tag. An object without bytes has no range.
    pub async fn get_range(
        &self,
        (bucket, key, version): (&str, &str, Option<&str>),
        etag: &str,
        from: u64,
        length: usize,
    ) -> Result<Vec<u8>> {
        let last = from.saturating_add(length as u64).saturating_sub(1);
        let call = of_version(Call::object(Method::GET, bucket, key), version)
            .with_header("if-match", &format!("\"{etag}\""))
            .with_header("range", &format!("bytes={from}-{last}"))
            .with_limit(length)
            .within(transfer(length));
        let answer = self.call(call).await?;
        if answer.status != 206 && from > 0 {
            return Err(self.unreadable(&answer, "a range was requested, and the whole object came"));
        }
        Ok(answer.body)
    }

    /// What is known of an object.
    pub async fn head(&self, bucket: &str, key: &str) -> Result<Head> {
        self.head_version(bucket, key, None).await
    }

    /// What is known of a version of an object.
    pub async fn head_version(&self, bucket: &str, key: &str, version: Option<&str>) -> Result<Head> {
        let answer = self.call(of_version(Call::object(Method::HEAD, bucket, key), version)).await?;
        let size = answer.header("content-length").and_then(|length| length.parse().ok());
        let size = size.ok_or_else(|| self.unreadable(&answer, "it has no valid content-length"))?;
        let is_kept = |name: &str| KEPT.contains(&name) || name.starts_with(METADATA);
        let kept = answer.headers().iter().filter(|(name, _)| is_kept(name));
        let attributes = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        let time = DateTimeParser::new();
        let modified = answer.header("last-modified").and_then(|written| time.parse_timestamp(written).ok());
        Ok(Head { size, stored: stored(&answer), modified, attributes })
    }

    /// Deletes an object; in a bucket that keeps versions, the newest becomes a delete marker.
    pub async fn delete(&self, bucket: &str, key: &str) -> Result<()> {
        self.call(Call::object(Method::DELETE, bucket, key)).await?;
        Ok(())
    }

    /// Deletes a version of an object, for good.
    pub async fn delete_version(&self, bucket: &str, key: &str, version: &str) -> Result<()> {
        self.call(Call::object(Method::DELETE, bucket, key).with("versionId", version)).await?;
        Ok(())
    }
}

/// How long a transfer of so many bytes may take.
pub(super) fn transfer(bytes: usize) -> Duration {
    LATENCY + Duration::from_secs((bytes / SLOWEST) as u64)
}

/// The call with an object's headers; the media type is that of the content, where there is one.
pub(super) fn with_attributes(call: Call, attributes: &Attributes) -> Call {
    let headers = attributes.iter().filter(|(name, _)| name.as_str() != "content-type");
    headers.fold(call, |call, (name, value)| call.with_header(name, value))
}

/// What the answer to a write, or to HEAD, says of the object.
pub(super) fn stored(answer: &Answer) -> Stored {
    let header = |name| answer.header(name).unwrap_or_default();
    let etag = header("etag").trim_matches('"').to_owned();
    let has_own_key = header("x-amz-server-side-encryption").starts_with("aws:kms")
        || answer.header("x-amz-server-side-encryption-customer-algorithm").is_some();
    Stored {
        md5: Some(etag.clone()).filter(|etag| etag::is_md5(etag) && !has_own_key),
        etag,
        version: Some(header("x-amz-version-id").to_owned()).filter(|version| !version.is_empty()),
    }
}

pub(super) fn of_version(call: Call, version: Option<&str>) -> Call {
    version.map_or(call.clone(), |version| call.with("versionId", version))
}
