//! Pages of versions.
//!
//! Servers differ in where a page may end: some accept no marker but their own, others repeat the newest version of an object for ever
//! when it is the marker. So the next page begins after the last version of an object that is whole, and what is repeated is left out.

use super::{
    client::Client,
    failure::Failure,
    listing::{etag, modified, names, page, short},
    xml::Element,
};

/// A version of an object, or a delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The key of the object.
    pub key: String,
    /// The version; `null` for an object from before versioning.
    pub version: String,
    /// Whether it is what is read without naming a version.
    pub is_latest: bool,
    /// Whether it is a delete marker.
    pub is_marker: bool,
    /// Its bytes; 0 for a delete marker.
    pub size: u64,
    /// Its entity tag, without quotes; empty for a delete marker.
    pub etag: String,
    /// When it was stored, in RFC 3339.
    pub modified: String,
}

/// A place in the list of versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Marker {
    /// The key of the last object.
    pub key: String,
    /// The last version of it; without, all of it is before this place.
    pub version: Option<String>,
}

/// A page of versions: by key, and of one key the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionPage {
    /// The versions and delete markers.
    pub versions: Vec<Version>,
    /// What to list after for the next page; `None` if this is the last one.
    pub next: Option<Marker>,
}

type Result<T> = std::result::Result<T, Failure>;

impl Client {
    /// A page of at most `most` versions (1 to 1,000) of objects whose keys begin with `prefix`, after this place.
    pub async fn list_versions(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&Marker>,
        most: u16,
    ) -> Result<VersionPage> {
        let mut call = page(bucket, prefix, most).with("versions", "");
        if let Some(after) = after {
            call = call.with("key-marker", &after.key);
            if let Some(version) = &after.version {
                call = call.with("version-id-marker", version);
            }
        }
        let answer = self.call(call).await?;
        let document = self.document_named(&answer, &["ListVersionsResult", "ListVersionResult"])?;
        let name = names(&document);
        let is_entry = |entry: &&Element| ["Version", "DeleteMarker"].contains(&entry.name.as_str());
        let versions: Option<Vec<Version>> =
            document.children.iter().filter(is_entry).map(|entry| version(entry, name)).collect();
        let versions = versions.ok_or_else(|| {
            self.unreadable(&answer, "a version of the list lacks its key or ID, or has too long a text")
        })?;
        self.check(&answer, versions.iter().map(|version| version.key.as_str()), prefix, most)?;
        let versions = without_repeated(sorted(versions), after);
        if !document.is("IsTruncated") {
            return Ok(VersionPage { versions, next: None });
        }
        let versions = without_incomplete(versions);
        let next = versions.last().map(|last| Marker { key: last.key.clone(), version: Some(last.version.clone()) });
        let is_behind = next.as_ref().is_some_and(|next| after.is_none_or(|after| next.key >= after.key));
        if is_behind {
            Ok(VersionPage { versions, next })
        } else {
            Err(self.unreadable(&answer, "the page is not after the one before it"))
        }
    }
}

fn version(entry: &Element, name: fn(&str) -> String) -> Option<Version> {
    Some(Version {
        key: short(name(entry.text("Key")?))?,
        version: short(entry.text("VersionId")?.to_owned())?,
        is_latest: entry.is("IsLatest"),
        is_marker: entry.name == "DeleteMarker",
        size: entry.text("Size").and_then(|size| size.parse().ok()).unwrap_or_default(),
        etag: short(etag(entry))?,
        modified: short(modified(entry))?,
    })
}

/// The versions by key, and of each key the newest first: some engines list all delete markers of a page before all versions.
fn sorted(mut versions: Vec<Version>) -> Vec<Version> {
    versions.sort_by(|a, b| a.key.cmp(&b.key));
    for of_key in versions.chunk_by_mut(|a, b| a.key == b.key) {
        if of_key.iter().all(|version| is_ulid(&version.version)) {
            // Versity's IDs are in the order of time; its times are rounded.
            of_key.sort_by(|a, b| b.version.cmp(&a.version));
        } else {
            of_key.sort_by(|a, b| b.is_latest.cmp(&a.is_latest).then_with(|| b.modified.cmp(&a.modified)));
        }
    }
    versions
}

fn is_ulid(id: &str) -> bool {
    id.len() == 26 && id.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

/// The versions without those up to the marker, which some engines repeat.
fn without_repeated(mut versions: Vec<Version>, after: Option<&Marker>) -> Vec<Version> {
    let is_last = |version: &Version| {
        after.is_some_and(|after| after.key == version.key && after.version.as_ref() == Some(&version.version))
    };
    if let Some(number) = versions.iter().position(is_last) {
        versions.drain(..=number);
    }
    versions
}

/// The versions without those of the last object, unless there is only one: the next page has all of them.
fn without_incomplete(mut versions: Vec<Version>) -> Vec<Version> {
    let last = versions.last().map(|last| last.key.clone());
    let whole = versions.iter().take_while(|version| Some(&version.key) != last.as_ref()).count();
    if whole > 0 {
        versions.truncate(whole);
    }
    versions
}
