//! The missing versions of one object.

use temporal_stack_common::s3::{Client, Failure, Head, Tags};

use super::{
    align::common,
    content::{self, CopyError, ObjectVersion},
    walk::{Entry, Version, Walk},
};

/// Two buckets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buckets<'a> {
    /// The client and the name of the bucket that is read.
    pub(super) source: (&'a Client, &'a str),
    /// Those of the bucket that is written.
    pub(super) target: (&'a Client, &'a str),
    /// Whether versions are copied.
    pub(super) has_versions: bool,
}

/// What became of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The versions that were copied.
    pub(super) copied: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// The versions that the target had.
    pub(super) equal: u64,
    /// The versions with tags, which the target has, too.
    pub(super) tagged: u64,
}

impl<'a> Buckets<'a> {
    fn source(&self, key: &'a str, version: Option<&'a str>) -> ObjectVersion<'a> {
        let (client, bucket) = self.source;
        ObjectVersion { client, bucket, key, version }
    }

    fn target(&self, key: &'a str, version: Option<&'a str>) -> ObjectVersion<'a> {
        let (client, bucket) = self.target;
        ObjectVersion { client, bucket, key, version }
    }
}

/// Copies what the target lacks of an object.
pub(super) async fn copy(buckets: Buckets<'_>, entry: &Entry) -> Result<Outcome, CopyError> {
    if entry.has_more {
        return Err(CopyError::TooManyVersions);
    }
    if buckets.has_versions { versions(buckets, entry).await } else { single(buckets, &entry.key).await }
}

/// The object of a bucket without versions. One of the target that is newer belongs to an application, and nothing would keep it.
async fn single(buckets: Buckets<'_>, key: &str) -> Result<Outcome, CopyError> {
    let (source, target) = (buckets.source(key, None), buckets.target(key, None));
    let (head, tags) = (source.head().await, source.tags().await);
    let (head, tags) = (head.map_err(CopyError::Source)?, tags.map_err(CopyError::Source)?);
    match target.head().await {
        Ok(present)
            if has_same_metadata(&head, &present) && content::is_same((source, &head), (target, &present)).await? =>
        {
            Ok(Outcome { equal: 1, tagged: keep_tags(target, &tags).await?, ..Outcome::default() })
        }
        Ok(present) if head.modified.zip(present.modified).is_some_and(|(ours, theirs)| theirs > ours) => {
            Err(CopyError::OtherVersions)
        }
        Ok(_) | Err(Failure::Refused { status: 404, .. }) => {
            let tagged = copy_with_tags(source, (&head, &tags), target).await?;
            Ok(Outcome { copied: 1, bytes: head.size, equal: 0, tagged })
        }
        Err(failure) => Err(CopyError::Target(failure)),
    }
}

/// The versions of an object, the oldest first.
async fn versions(buckets: Buckets<'_>, entry: &Entry) -> Result<Outcome, CopyError> {
    let key = entry.key.as_str();
    let present = present(buckets, key, entry.versions.len()).await?;
    let common = common(&entry.versions, &present).ok_or(CopyError::OtherVersions)?;
    for number in common.unsure {
        let source = buckets.source(key, entry.versions[number].id.as_deref());
        let target = buckets.target(key, present[number].id.as_deref());
        let (ours, theirs) = (source.head().await, target.head().await);
        let (ours, theirs) = (ours.map_err(CopyError::Source)?, theirs.map_err(CopyError::Target)?);
        if !content::is_same((source, &ours), (target, &theirs)).await? {
            return Err(CopyError::OtherVersions);
        }
    }
    let mut outcome = Outcome { equal: common.count as u64, ..Outcome::default() };
    for (source, target) in entry.versions.iter().zip(&present).filter(|(source, _)| !source.is_marker) {
        let tags = buckets.source(key, source.id.as_deref()).tags().await.map_err(CopyError::Source)?;
        outcome.tagged += keep_tags(buckets.target(key, target.id.as_deref()), &tags).await?;
    }
    for version in &entry.versions[common.count..] {
        let (bytes, tagged) = copy_version(buckets, key, version).await?;
        outcome.bytes += bytes;
        outcome.tagged += tagged;
        outcome.copied += 1;
    }
    Ok(outcome)
}

/// Copies a version, or makes a delete marker; its bytes, and how many versions with tags that was.
async fn copy_version(buckets: Buckets<'_>, key: &str, version: &Version) -> Result<(u64, u64), CopyError> {
    let target = buckets.target(key, None);
    if version.is_marker {
        target.client.delete(target.bucket, key).await.map_err(CopyError::Target)?;
        return Ok((0, 0));
    }
    let source = buckets.source(key, version.id.as_deref());
    let (head, tags) = (source.head().await, source.tags().await);
    let (head, tags) = (head.map_err(CopyError::Source)?, tags.map_err(CopyError::Source)?);
    Ok((head.size, copy_with_tags(source, (&head, &tags), target).await?))
}

/// Copies a version with its tags. Engines that ignore the tags of a new object, or of one in parts, get them afterwards.
async fn copy_with_tags(
    source: ObjectVersion<'_>,
    (head, tags): (&Head, &Tags),
    target: ObjectVersion<'_>,
) -> Result<u64, CopyError> {
    content::copy(source, head, tags, target).await?;
    if tags.is_empty() { Ok(0) } else { keep_tags(target, tags).await }
}

/// The versions that the target has of an object, the oldest first.
async fn present(buckets: Buckets<'_>, key: &str, expected: usize) -> Result<Vec<Version>, CopyError> {
    let (client, bucket) = buckets.target;
    // The first object with this prefix is the one of this key, if there is one.
    let first = Walk::from_object(client, bucket, key, expected).next().await.map_err(CopyError::Target)?;
    match first.filter(|first| first.key == key) {
        Some(first) if first.has_more => Err(CopyError::OtherVersions),
        Some(first) => Ok(first.versions),
        None => Ok(Vec::new()),
    }
}

/// Gives the target these tags, if it has others; how many versions with tags it is.
async fn keep_tags(target: ObjectVersion<'_>, tags: &Tags) -> Result<u64, CopyError> {
    if target.tags().await.map_err(CopyError::Target)? != *tags {
        let set = target.client.set_tags(target.bucket, target.key, target.version, tags);
        set.await.map_err(CopyError::Target)?;
    }
    Ok(u64::from(!tags.is_empty()))
}

fn has_same_metadata(source: &Head, target: &Head) -> bool {
    let metadata = |head: &Head| {
        let own = head.attributes.iter().filter(|(name, _)| name.starts_with("x-amz-meta-"));
        own.map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()
    };
    metadata(source) == metadata(target)
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::s3::fake::{Fake, SeenRequest, answer, answer_with, refusal};

    use super::*;

    /// A bucket with an object of this content that was stored at this second.
    async fn bucket(content: &'static str, second: u8) -> Fake {
        let time = format!("Last-Modified: Mon, 30 Nov 2026 07:36:{second:02} GMT\r\nETag: \"{content}\"\r\n");
        Fake::answering(move |seen: &SeenRequest| match seen.line.split(' ').next() {
            _ if seen.line.contains("tagging") => refusal("404 Not Found", "NoSuchTagSet", ""),
            Some("PUT") => answer("200 OK", ""),
            _ => answer_with("200 OK", &time, content),
        })
        .await
    }

    async fn copied(source: &Fake, target: &Fake) -> Result<Outcome, CopyError> {
        let (from, to) = (source.client(), target.client());
        let buckets = Buckets { source: (&from, "a"), target: (&to, "b"), has_versions: false };
        let version = Version { id: None, is_marker: false, size: 1, etag: String::new() };
        copy(buckets, &Entry { key: "k".to_owned(), versions: vec![version], has_more: false }).await
    }

    /// A bucket with this object, whose tags are these. What is set is kept, if the server is one that keeps the tags of a new object,
    /// or sets them later.
    async fn tagged(content: &'static str, tags: &'static str, keeps: bool) -> Fake {
        let kept = std::sync::Mutex::new(tags.to_owned());
        let document = |tags: &str| answer("200 OK", &format!("<Tagging><TagSet>{tags}</TagSet></Tagging>"));
        Fake::answering(move |seen: &SeenRequest| {
            let mut kept = kept.lock().unwrap();
            match (seen.line.split(' ').next().unwrap(), seen.line.contains("tagging")) {
                ("GET", true) => document(&kept),
                ("PUT", true) => {
                    let set = seen.body.split("<TagSet>").nth(1).unwrap().split("</TagSet>").next().unwrap();
                    set.clone_into(&mut kept);
                    answer("200 OK", "")
                }
                ("PUT", false) => {
                    let header = seen.headers.get("x-amz-tagging").filter(|_| keeps);
                    let pair = header.and_then(|header| header.split_once('='));
                    *kept = pair.map(|(key, value)| tag(key, value)).unwrap_or_default();
                    answer("200 OK", "")
                }
                _ if content.is_empty() => refusal("404 Not Found", "NoSuchKey", ""),
                _ => answer_with("200 OK", "ETag: \"e\"\r\n", content),
            }
        })
        .await
    }

    fn tag(key: &str, value: &str) -> String {
        format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>")
    }

    const RED: &str = "<Tag><Key>colour</Key><Value>red</Value></Tag>";

    fn sets_of_tags(target: &Fake) -> usize {
        target.lines().iter().filter(|line| line.starts_with("PUT") && line.contains("tagging")).count()
    }

    #[tokio::test]
    async fn tags_are_copied_with_the_object() {
        for (keeps, sets) in [(true, 0), (false, 1)] {
            let (source, target) = (tagged("content", RED, true).await, tagged("", "", keeps).await);
            let outcome = copied(&source, &target).await.unwrap();
            assert_eq!((outcome.copied, outcome.tagged, sets_of_tags(&target)), (1, 1, sets), "{:?}", target.lines());
            assert_eq!(target.client().tags("b", "k", None).await.unwrap()["colour"], "red");
        }
    }

    #[tokio::test]
    async fn object_that_was_copied_without_its_tags_gets_them() {
        for (theirs, sets) in [("", 1), (RED, 0), ("<Tag><Key>colour</Key><Value>blue</Value></Tag>", 1)] {
            let (source, target) = (tagged("content", RED, true).await, tagged("content", theirs, true).await);
            let outcome = copied(&source, &target).await.unwrap();
            assert_eq!((outcome.equal, outcome.tagged, sets_of_tags(&target)), (1, 1, sets), "{theirs}");
            assert_eq!(target.client().tags("b", "k", None).await.unwrap()["colour"], "red");
        }
    }

    #[tokio::test]
    async fn tags_that_cannot_be_read_or_set_are_a_failure() {
        let denied = || {
            Fake::answering(|seen: &SeenRequest| {
                let is_denied = seen.line.contains("tagging");
                let stored = || answer_with("200 OK", "ETag: \"e\"\r\n", "content");
                if is_denied { refusal("403 Forbidden", "AccessDenied", "") } else { stored() }
            })
        };
        let (source, target) = (denied().await, tagged("content", "", true).await);
        assert!(matches!(copied(&source, &target).await, Err(CopyError::Source(_))));
        let (source, target) = (tagged("content", RED, true).await, denied().await);
        assert!(matches!(copied(&source, &target).await, Err(CopyError::Target(_))));
    }

    #[tokio::test]
    async fn newer_object_of_the_target_is_not_overwritten() {
        for (theirs, is_copied) in [(9, true), (10, true), (11, false)] {
            let (source, target) = (bucket("ours", 10).await, bucket("others", theirs).await);
            let outcome = copied(&source, &target).await;
            assert_eq!(target.lines().iter().any(|line| line.starts_with("PUT")), is_copied, "{outcome:?}");
            assert!(is_copied == outcome.is_ok() && (is_copied || matches!(outcome, Err(CopyError::OtherVersions))));
        }
        let (source, target) = (bucket("same", 10).await, bucket("same", 11).await);
        assert_eq!(copied(&source, &target).await.unwrap().equal, 1);
    }
}
