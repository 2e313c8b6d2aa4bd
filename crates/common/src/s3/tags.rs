//! The tags of objects and of buckets.

use std::collections::BTreeMap;

use super::{call::Call, client::Client, code::Code, failure::Failure, object::of_version, xml::Element};
use crate::http::Method;

/// The tags of an object, at most ten, or of a bucket, at most fifty.
pub type Tags = BTreeMap<String, String>;

type Result<T> = std::result::Result<T, Failure>;

impl Client {
    /// The tags of an object, or of a version of it.
    pub async fn tags(&self, bucket: &str, key: &str, version: Option<&str>) -> Result<Tags> {
        self.tags_of(of_version(Call::object(Method::GET, bucket, key), version)).await
    }

    /// Replaces the tags of an object, or of a version of it.
    pub async fn set_tags(&self, bucket: &str, key: &str, version: Option<&str>, tags: &Tags) -> Result<()> {
        self.set_tags_of(of_version(Call::object(Method::PUT, bucket, key), version), tags).await
    }

    /// The tags of a bucket.
    pub async fn bucket_tags(&self, bucket: &str) -> Result<Tags> {
        self.tags_of(Call::bucket(Method::GET, bucket)).await
    }

    /// Replaces the tags of a bucket.
    pub async fn set_bucket_tags(&self, bucket: &str, tags: &Tags) -> Result<()> {
        self.set_tags_of(Call::bucket(Method::PUT, bucket), tags).await
    }

    async fn tags_of(&self, call: Call) -> Result<Tags> {
        let answer = match self.call(call.with("tagging", "")).await {
            Ok(answer) => answer,
            Err(failure) if failure.is(&Code::NoSuchTagSet) => return Ok(Tags::new()),
            Err(failure) => return Err(failure),
        };
        let document = self.document(&answer)?;
        let tags = document.child("TagSet").map(|set| set.children_named("Tag")).into_iter().flatten();
        let tag = |tag: &Element| Some((tag.text("Key")?.to_owned(), tag.text("Value").unwrap_or_default().to_owned()));
        Ok(tags.filter_map(tag).collect())
    }

    async fn set_tags_of(&self, call: Call, tags: &Tags) -> Result<()> {
        let tag = |(key, value): (&String, &String)| {
            Element::new("Tag", [Element::leaf("Key", key), Element::leaf("Value", value)])
        };
        let document = Element::new("Tagging", [Element::new("TagSet", tags.iter().map(tag))]);
        self.send_xml(call.with("tagging", ""), &document).await?;
        Ok(())
    }
}
