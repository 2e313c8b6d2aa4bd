//! Pages of objects; deleting many.
//!
//! Names are requested in their encoded form, because a key may contain characters that XML cannot. The next page begins after the
//! last name of the one before, not at a token of the server: so a list can be continued at any time, and it must make progress.

use super::{call::Call, client::Client, failure::Failure, xml::Element};
use crate::http::{Answer, Method};

/// The most entries of a page, as S3 limits them.
const MOST: u16 = 1000;
/// The most bytes of a page: a thousand entries whose keys have 1,024 bytes, each encoded as three, and more.
const LIMIT: usize = 4 << 20;
/// The most bytes of each text of an entry: S3 limits keys and version IDs so.
const TEXT: usize = 1024;

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub size: u64,
    /// Its entity tag, without quotes.
    pub etag: String,
    /// When it was stored, in RFC 3339.
    pub modified: String,
}

/// A page of objects, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The objects.
    pub objects: Vec<Object>,
    /// What to list after for the next page; `None` if this is the last one.
    pub next: Option<String>,
}

/// What to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The key of the object.
    pub key: String,
    /// A version of it; without, as [`Client::delete`].
    pub version: Option<String>,
}

/// What was not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undeleted {
    /// The key of the object.
    pub key: String,
    /// Its code.
    pub code: super::code::Code,
}

type Result<T> = std::result::Result<T, Failure>;

impl Client {
    /// A page of at most `most` objects (1 to 1,000) whose keys begin with `prefix` and come after `after`.
    pub async fn list(&self, bucket: &str, prefix: &str, after: Option<&str>, most: u16) -> Result<Page> {
        let mut call = page(bucket, prefix, most).with("list-type", "2");
        if let Some(after) = after {
            call = call.with("start-after", after);
        }
        let answer = self.call(call).await?;
        let document = self.document_named(&answer, &["ListBucketResult"])?;
        let name = names(&document);
        let objects: Option<Vec<Object>> =
            document.children_named("Contents").map(|entry| object(entry, name)).collect();
        let objects = objects.ok_or_else(|| {
            self.unreadable(&answer, "an object of the list lacks its key or size, or has too long a text")
        })?;
        self.check(&answer, objects.iter().map(|object| object.key.as_str()), prefix, most)?;
        if !document.is("IsTruncated") {
            return Ok(Page { objects, next: None });
        }
        // A page without objects says nothing about what follows, so it is not the end.
        let next = objects.last().map(|object| object.key.clone());
        if next.is_none() || next.as_deref() <= after {
            return Err(self.unreadable(&answer, "the page is not after the one before it"));
        }
        Ok(Page { objects, next })
    }

    /// Deletes up to a thousand objects or versions, and returns those that remain.
    pub async fn delete_many(&self, bucket: &str, items: &[Item]) -> Result<Vec<Undeleted>> {
        let item = |item: &Item| {
            let version = item.version.iter().map(|version| Element::leaf("VersionId", version));
            Element::new("Object", std::iter::once(Element::leaf("Key", &item.key)).chain(version))
        };
        let document = Element::new("Delete", items.iter().map(item).chain([Element::leaf("Quiet", true)]));
        let call = Self::on_bucket(Method::POST, bucket, "delete").with_limit(LIMIT);
        let answer = self.send_xml(call, &document).await?;
        let document = self.document(&answer)?;
        let undeleted = |error: &Element| Undeleted {
            key: error.text("Key").unwrap_or_default().to_owned(),
            code: super::code::Code::from_name(error.text("Code").unwrap_or_default()),
        };
        Ok(document.children_named("Error").map(undeleted).collect())
    }

    /// A server decides what a page contains; what was not requested is no page: callers may delete what they read.
    pub(super) fn check<'a>(
        &self,
        answer: &Answer,
        keys: impl ExactSizeIterator<Item = &'a str>,
        prefix: &str,
        most: u16,
    ) -> Result<()> {
        if keys.len() > usize::from(most.clamp(1, MOST)) {
            return Err(self.unreadable(answer, "the page is longer than requested"));
        }
        let mut keys = keys;
        if keys.all(|key| key.starts_with(prefix)) {
            Ok(())
        } else {
            Err(self.unreadable(answer, "the page has a key without the requested prefix"))
        }
    }
}

pub(super) fn page(bucket: &str, prefix: &str, most: u16) -> Call {
    let most = most.clamp(1, MOST).to_string();
    let call = Call::bucket(Method::GET, bucket).with("encoding-type", "url").with("max-keys", &most).with_limit(LIMIT);
    if prefix.is_empty() { call } else { call.with("prefix", prefix) }
}

/// How the names of a list are read: an engine that did not encode them does not say that it did.
pub(super) fn names(document: &Element) -> fn(&str) -> String {
    fn decoded(name: &str) -> String {
        let name = name.replace('+', " ");
        percent_encoding::percent_decode_str(&name).decode_utf8_lossy().into_owned()
    }
    if document.text("EncodingType") == Some("url") { decoded } else { str::to_owned }
}

fn object(entry: &Element, name: fn(&str) -> String) -> Option<Object> {
    Some(Object {
        key: short(name(entry.text("Key")?))?,
        size: entry.text("Size")?.parse().ok()?,
        etag: short(etag(entry))?,
        modified: short(modified(entry))?,
    })
}

/// A text of an entry, unless it is longer than any valid one.
pub(super) fn short(text: String) -> Option<String> {
    (text.len() <= TEXT).then_some(text)
}

pub(super) fn etag(entry: &Element) -> String {
    entry.text("ETag").unwrap_or_default().trim_matches('"').to_owned()
}

pub(super) fn modified(entry: &Element) -> String {
    entry.text("LastModified").unwrap_or_default().to_owned()
}
