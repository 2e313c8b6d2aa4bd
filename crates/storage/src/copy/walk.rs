//! The objects of a bucket with their versions, in the order of their keys.

use std::collections::VecDeque;

use temporal_stack_common::s3::{Client, Failure, Marker};

use crate::names::PROBE;

/// The most versions of an object that are copied.
pub(super) const MOST: usize = 10_000;
/// The most entries of a page.
const PAGE: u16 = 1000;

/// A version of an object, or a delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// Its ID; `None` in a bucket without versions.
    pub(super) id: Option<String>,
    /// Whether it is a delete marker.
    pub(super) is_marker: bool,
    /// Its bytes.
    pub(super) size: u64,
    /// Its entity tag.
    pub(super) etag: String,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its key.
    pub(super) key: String,
    /// Its versions, the oldest first.
    pub(super) versions: Vec<Version>,
    /// Whether it has more versions than are copied.
    pub(super) has_more: bool,
}

/// A walk through a bucket. It holds two pages, and the versions of one object.
pub(super) struct Walk {
    client: Client,
    bucket: String,
    prefix: String,
    has_versions: bool,
    page: u16,
    /// The key and version that was read last.
    after: Option<Marker>,
    is_read: bool,
    /// What is read and not returned.
    next: VecDeque<(String, Version)>,
    /// The object that has more versions than are copied.
    skipped: Option<String>,
}

impl Walk {
    /// Through all objects of the bucket.
    pub(super) fn new(client: &Client, bucket: &str, has_versions: bool) -> Self {
        Self::with_prefix(client, bucket, ("", PAGE), has_versions)
    }

    /// From the versions of one object on, of which so many are expected.
    pub(super) fn from_object(client: &Client, bucket: &str, key: &str, expected: usize) -> Self {
        let page = u16::try_from(expected + 1).unwrap_or(PAGE).min(PAGE);
        Self::with_prefix(client, bucket, (key, page), true)
    }

    fn with_prefix(client: &Client, bucket: &str, (prefix, page): (&str, u16), has_versions: bool) -> Self {
        Self {
            page,
            client: client.clone(),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            has_versions,
            after: None,
            is_read: false,
            next: VecDeque::new(),
            skipped: None,
        }
    }

    /// The next object; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Entry>, Failure> {
        loop {
            let Some((key, _)) = self.next.front() else {
                if self.is_read {
                    return Ok(None);
                }
                self.read().await?;
                continue;
            };
            let count = self.next.iter().take_while(|(other, _)| other == key).count();
            let is_whole = count < self.next.len() || self.is_read;
            if is_whole || count > MOST {
                let key = key.clone();
                if !is_whole {
                    self.skipped = Some(key.clone());
                }
                let mut versions: Vec<Version> = self.next.drain(..count).map(|(_, version)| version).collect();
                versions.reverse();
                return Ok(Some(Entry { key, has_more: count > MOST, versions }));
            }
            self.read().await?;
        }
    }

    /// Reads the next page.
    async fn read(&mut self) -> Result<(), Failure> {
        let found: Vec<(String, Version)> = if self.has_versions {
            let page = self.client.list_versions(&self.bucket, &self.prefix, self.after.as_ref(), self.page).await?;
            self.after = page.next;
            let version = |version: temporal_stack_common::s3::Version| {
                let (id, is_marker) = (Some(version.version), version.is_marker);
                (version.key, Version { id, is_marker, size: version.size, etag: version.etag })
            };
            page.versions.into_iter().map(version).collect()
        } else {
            let after = self.after.as_ref().map(|after| after.key.as_str());
            let page = self.client.list(&self.bucket, &self.prefix, after, self.page).await?;
            self.after = page.next.map(|key| Marker { key, version: None });
            let version = |object: temporal_stack_common::s3::Object| {
                (object.key, Version { id: None, is_marker: false, size: object.size, etag: object.etag })
            };
            page.objects.into_iter().map(version).collect()
        };
        self.is_read = self.after.is_none();
        let skipped = self.skipped.as_ref();
        self.next.extend(found.into_iter().filter(|(key, _)| Some(key) != skipped && !key.starts_with(PROBE)));
        Ok(())
    }
}
