//! The bytes of a version: read, stored and compared, at most a part at a time.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use temporal_stack_common::{
    binding::uri_part,
    s3::{Attributes, Client, Failure, Head, Part, Stored, Tags, Upload, etag},
};

/// The bytes of a part, and the most bytes of an object that is stored at once.
pub(super) const PART: u64 = 8 << 20;
/// The most bytes of a part: two of them are within the memory that a controller has.
const LARGEST_PART: u64 = 16 << 20;
/// The most parts of an object.
const MOST_PARTS: u64 = 10_000;
const RETENTION: [&str; 2] = ["x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"];

/// Why a version is not copied.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    /// The source does not do as it was asked.
    #[error("source: {0}")]
    Source(#[source] Failure),
    /// The target does not do as it was asked.
    #[error("target: {0}")]
    Target(#[source] Failure),
    /// Bytes were changed on the way, or where they are kept.
    #[error("the checksum of the {0} is not that of the bytes that were read; check its disks")]
    Checksum(&'static str),
    /// It has too many bytes.
    #[error("it is larger than {} GiB, the maximum for a copy; copy it with another program", (LARGEST_PART * MOST_PARTS) >> 30)]
    TooLarge,
    /// It has too many versions.
    #[error("it has more than {} versions, the maximum for a copy; remove some", super::walk::MOST)]
    TooManyVersions,
    /// The target has versions that the source lacks, or an object that was stored later than that of the source.
    #[error("the target has other versions of it; remove them there, or copy into an empty bucket")]
    OtherVersions,
}

impl CopyError {
    /// Whether the same may succeed at once.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Source(failure) | Self::Target(failure) => match failure {
                Failure::Refused { status, .. } => *status >= 500 || [408, 412, 429].contains(status),
                Failure::Http(_) => true,
                _ => false,
            },
            Self::Checksum(_) => true,
            _ => false,
        }
    }

    /// Whether the source does not have it any more.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Source(Failure::Refused { status: 404, .. }))
    }
}

/// A version of an object in a bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct ObjectVersion<'a> {
    pub(super) client: &'a Client,
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) version: Option<&'a str>,
}

impl ObjectVersion<'_> {
    /// What is known of it.
    pub(super) async fn head(&self) -> Result<Head, Failure> {
        self.client.head_version(self.bucket, self.key, self.version).await
    }

    /// Its tags.
    pub(super) async fn tags(&self) -> Result<Tags, Failure> {
        match self.client.tags(self.bucket, self.key, self.version).await {
            // An engine without tags has none.
            Err(failure) if failure.status() == Some(501) => Ok(Tags::new()),
            tags => tags,
        }
    }

    /// A part of it, if it is still the same.
    async fn part(&self, head: &Head, part: u64, number: u64) -> Result<Vec<u8>, Failure> {
        let from = part * number;
        let length = part.min(head.size.saturating_sub(from));
        if length == 0 {
            return Ok(Vec::new());
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.client.get_range((self.bucket, self.key, self.version), &head.stored.etag, from, length).await
    }
}

/// Copies a version with its headers and tags.
pub(super) async fn copy(
    source: ObjectVersion<'_>,
    head: &Head,
    tags: &Tags,
    target: ObjectVersion<'_>,
) -> Result<(), CopyError> {
    let attributes = attributes(head, tags, &Timestamp::now());
    if head.size > PART {
        return in_parts(source, head, &attributes, target).await;
    }
    let content = source.part(head, PART, 0).await.map_err(CopyError::Source)?;
    let md5 = etag::md5_of(&content);
    if content.len() as u64 != head.size || is_other(&head.stored, &md5) {
        return Err(CopyError::Checksum("source"));
    }
    let stored =
        target.client.put_with(target.bucket, target.key, content, &attributes).await.map_err(CopyError::Target)?;
    if is_other(&stored, &md5) { Err(CopyError::Checksum("target")) } else { Ok(()) }
}

async fn in_parts(
    source: ObjectVersion<'_>,
    head: &Head,
    attributes: &Attributes,
    target: ObjectVersion<'_>,
) -> Result<(), CopyError> {
    let part = part_of(head.size).ok_or(CopyError::TooLarge)?;
    let upload = target.client.create_upload(target.bucket, target.key, attributes).await.map_err(CopyError::Target)?;
    let result = parts(source, head, part, target.client, &upload).await;
    if result.is_err() {
        // The failure is what matters; what remains of the upload is removed by the engine.
        let _ = target.client.abort(&upload).await;
    }
    result
}

async fn parts(
    source: ObjectVersion<'_>,
    head: &Head,
    part: u64,
    target: &Client,
    upload: &Upload,
) -> Result<(), CopyError> {
    let (mut etags, mut parts) = (etag::OfParts::default(), Vec::<Part>::new());
    for number in 0..head.size.div_ceil(part) {
        let content = source.part(head, part, number).await.map_err(CopyError::Source)?;
        if content.len() as u64 != part.min(head.size - part * number) {
            return Err(CopyError::Checksum("source"));
        }
        let expected = etags.push(&content);
        let number = u16::try_from(number + 1).map_err(|_| CopyError::TooLarge)?;
        let stored = target.put_part(upload, number, content).await.map_err(CopyError::Target)?;
        if stored.etag.len() == expected.len() && stored.etag != expected {
            return Err(CopyError::Checksum("target"));
        }
        parts.push(stored);
    }
    target.complete(upload, &parts).await.map_err(CopyError::Target)?;
    Ok(())
}

/// Whether two versions, of which this is known, have the same bytes.
pub(super) async fn is_same(
    source: (ObjectVersion<'_>, &Head),
    target: (ObjectVersion<'_>, &Head),
) -> Result<bool, CopyError> {
    let ((source, ours), (target, theirs)) = (source, target);
    if ours.size != theirs.size {
        return Ok(false);
    }
    if let (Some(ours), Some(theirs)) = (&ours.stored.md5, &theirs.stored.md5) {
        return Ok(ours == theirs);
    }
    for number in 0..ours.size.div_ceil(PART) {
        let content = source.part(ours, PART, number).await.map_err(CopyError::Source)?;
        // Only one of them is held at a time.
        let digest = etag::md5_of(&content);
        drop(content);
        if etag::md5_of(&target.part(theirs, PART, number).await.map_err(CopyError::Target)?) != digest {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_other(stored: &Stored, md5: &str) -> bool {
    stored.md5.as_ref().is_some_and(|known| known != md5)
}

/// The bytes of each part of an object; `None` if it has too many.
fn part_of(size: u64) -> Option<u64> {
    let part = size.div_ceil(MOST_PARTS).max(PART);
    (part <= LARGEST_PART).then_some(part)
}

/// The headers with which a version is stored. A retention that has ended is refused by engines, and means nothing.
fn attributes(head: &Head, tags: &Tags, now: &Timestamp) -> Attributes {
    let until = head.attributes.get(RETENTION[1]).and_then(|until| until.parse::<Timestamp>().ok());
    let is_retained = until.is_some_and(|until| until > *now);
    let is_sent = |name: &str, value: &str| match name {
        "x-amz-object-lock-legal-hold" => value == "ON",
        name => is_retained || !RETENTION.contains(&name),
    };
    let kept = head.attributes.iter().filter(|(name, value)| is_sent(name, value));
    let mut attributes: BTreeMap<String, String> = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    if !tags.is_empty() {
        let tags: Vec<String> =
            tags.iter().map(|(key, value)| format!("{}={}", uri_part(key), uri_part(value))).collect();
        attributes.insert("x-amz-tagging".to_owned(), tags.join("&"));
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> Head {
        let attributes = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let stored = Stored { etag: "e".to_owned(), md5: None, version: None };
        Head { size: 1, stored, modified: None, attributes }
    }

    fn names(head: &Head, tags: &Tags) -> Vec<String> {
        attributes(head, tags, &"2026-11-30T00:00:00Z".parse().unwrap()).into_keys().collect()
    }

    #[test]
    fn retention_is_copied_until_it_ends() {
        let retained = |until| head(&[(RETENTION[0], "GOVERNANCE"), (RETENTION[1], until), ("content-type", "a")]);
        assert_eq!(names(&retained("2026-12-01T00:00:00Z"), &Tags::new()).len(), 3);
        assert_eq!(names(&retained("2026-11-29T00:00:00.000Z"), &Tags::new()), ["content-type"]);
        assert_eq!(names(&retained("never"), &Tags::new()), ["content-type"]);
        assert!(names(&head(&[("x-amz-object-lock-legal-hold", "OFF")]), &Tags::new()).is_empty());
    }

    #[test]
    fn tags_are_sent_encoded() {
        let tags = [("a b", "1&2"), ("c", "")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let attributes = attributes(&head(&[]), &tags, &Timestamp::now());
        assert_eq!(attributes["x-amz-tagging"], "a%20b=1%262&c=");
    }

    #[test]
    fn part_grows_with_the_object_up_to_a_limit() {
        assert_eq!(part_of(PART + 1), Some(PART));
        assert_eq!(part_of(PART * MOST_PARTS + 1), Some(PART + 1));
        assert_eq!(part_of(LARGEST_PART * MOST_PARTS), Some(LARGEST_PART));
        assert_eq!(part_of(LARGEST_PART * MOST_PARTS + 1), None);
        assert!(CopyError::TooLarge.to_string().contains("156 GiB"), "{}", CopyError::TooLarge);
    }
}
