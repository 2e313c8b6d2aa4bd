//! Objects that are stored in parts.

use super::{
    call::Call,
    client::Client,
    failure::Failure,
    object::{Attributes, Stored, stored, transfer, with_attributes},
    xml::Element,
};
use crate::http::Method;

/// How long the server may take to make one object of the parts.
const COMPLETES_WITHIN: std::time::Duration = std::time::Duration::from_secs(120);

/// An object whose parts are being stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The bucket.
    pub bucket: String,
    /// The key of the object.
    pub key: String,
    /// The ID of the upload.
    pub id: String,
}

/// A part that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number: from 1 to 10,000.
    pub number: u16,
    /// Its entity tag.
    pub etag: String,
}

type Result<T> = std::result::Result<T, Failure>;

impl Client {
    /// Begins an object in parts, with these headers.
    pub async fn create_upload(&self, bucket: &str, key: &str, attributes: &Attributes) -> Result<Upload> {
        let mut call = with_attributes(Call::object(Method::POST, bucket, key).with("uploads", ""), attributes);
        if let Some(kind) = attributes.get("content-type") {
            call = call.with_content(kind, Vec::new());
        }
        let answer = self.call(call).await?;
        let document = self.document(&answer)?;
        let id = document.text("UploadId").ok_or_else(|| self.unreadable(&answer, "the upload has no ID"))?;
        Ok(Upload { bucket: bucket.to_owned(), key: key.to_owned(), id: id.to_owned() })
    }

    /// Stores a part: all but the last have at least 5 MiB.
    pub async fn put_part(&self, upload: &Upload, number: u16, content: Vec<u8>) -> Result<Part> {
        let time = transfer(content.len());
        let call = of_upload(Method::PUT, upload).with("partNumber", &number.to_string());
        let answer = self.call(call.with_content("application/octet-stream", content).within(time)).await?;
        Ok(Part { number, etag: stored(&answer).etag })
    }

    /// Makes one object of the parts, in the order of their numbers.
    pub async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<Stored> {
        let part = |part: &Part| {
            let etag = Element::leaf("ETag", format!("\"{}\"", part.etag));
            Element::new("Part", [Element::leaf("PartNumber", part.number), etag])
        };
        let document = Element::new("CompleteMultipartUpload", parts.iter().map(part));
        let answer = self.send_xml(of_upload(Method::POST, upload).within(COMPLETES_WITHIN), &document).await?;
        let document = self.document(&answer)?;
        let etag = document.text("ETag").unwrap_or_default().trim_matches('"').to_owned();
        Ok(Stored { etag, md5: None, version: stored(&answer).version })
    }

    /// Gives up an object in parts, and frees its space.
    pub async fn abort(&self, upload: &Upload) -> Result<()> {
        self.call(of_upload(Method::DELETE, upload)).await?;
        Ok(())
    }
}

fn of_upload(method: Method, upload: &Upload) -> Call {
    Call::object(method, &upload.bucket, &upload.key).with("uploadId", &upload.id)
}
