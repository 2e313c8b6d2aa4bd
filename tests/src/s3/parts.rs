//! Objects in parts.

use temporal_stack_common::{
    http::Method,
    s3::{Attributes, Part, Upload},
};

use super::{Checked, Deviation, LIMIT, Place, Stage, expect, refused, section};

section! { "Multipart uploads",
    "CreateMultipartUpload, UploadPart, CompleteMultipartUpload", "equal; the ETag ends with the number of parts", complete;
    "UploadPart in another order", "the object has the order of the numbers", order;
    "UploadPart again", "the new part counts", again;
    "CreateMultipartUpload with metadata and content type", "HeadObject has them", metadata;
    "ListParts", "the parts, with length and ETag", parts;
    "ListMultipartUploads", "has the upload", uploads;
    "AbortMultipartUpload", "404 NoSuchUpload afterwards", abort;
    "CompleteMultipartUpload with a wrong ETag", "400 InvalidPart", wrong_etag;
    "CompleteMultipartUpload with a small part that is not the last", "400 EntityTooSmall", small;
    "UploadPartCopy", "equal", copy;
    "GetObject, `partNumber=2`", "206, that part", one;
}

/// The least bytes of a part that is not the last.
const PART: usize = 5 << 20;

async fn begin(place: &Place, key: &str) -> Result<Upload, Deviation> {
    Ok(place.client.create_upload(&place.bucket, key, &Attributes::new()).await?)
}

fn content(letter: u8, length: usize) -> Vec<u8> {
    vec![letter; length]
}

/// An object of two parts.
async fn stored(place: &Place, key: &str, numbers: [u16; 2]) -> Result<String, Deviation> {
    let upload = begin(place, key).await?;
    let mut parts: Vec<Part> = Vec::new();
    for number in numbers {
        let content = if number == 1 { content(b'a', PART) } else { content(b'b', 10) };
        parts.push(place.client.put_part(&upload, number, content).await?);
    }
    parts.sort_by_key(|part| part.number);
    Ok(place.client.complete(&upload, &parts).await?.etag)
}

async fn is_whole(place: &Place, key: &str) -> Checked {
    let whole = [content(b'a', PART), content(b'b', 10)].concat();
    expect(place.client.get(&place.bucket, key, LIMIT).await? == whole, "different")
}

async fn complete(Stage { plain, .. }: Stage) -> Checked {
    let etag = stored(&plain, "parts/complete", [1, 2]).await?;
    is_whole(&plain, "parts/complete").await?;
    expect(etag.ends_with("-2"), "another ETag")
}

async fn order(Stage { plain, .. }: Stage) -> Checked {
    stored(&plain, "parts/order", [2, 1]).await?;
    is_whole(&plain, "parts/order").await
}

async fn again(Stage { plain, .. }: Stage) -> Checked {
    let upload = begin(&plain, "parts/again").await?;
    plain.client.put_part(&upload, 1, b"before".to_vec()).await?;
    let part = plain.client.put_part(&upload, 1, b"after".to_vec()).await?;
    plain.client.complete(&upload, &[part]).await?;
    expect(plain.get("parts/again").await? == "after", "the part before")
}

async fn metadata(Stage { plain, .. }: Stage) -> Checked {
    let sent: Attributes =
        [("content-type", "text/css"), ("x-amz-meta-a", "b")].map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    let upload = plain.client.create_upload(&plain.bucket, "parts/metadata", &sent).await?;
    let part = plain.client.put_part(&upload, 1, b"x".to_vec()).await?;
    plain.client.complete(&upload, &[part]).await?;
    let head = plain.client.head(&plain.bucket, "parts/metadata").await?;
    expect(sent.iter().all(|(name, value)| head.attributes.get(name) == Some(value)), "missing or different")
}

async fn parts(Stage { plain, .. }: Stage) -> Checked {
    let upload = begin(&plain, "parts/list").await?;
    let part = plain.client.put_part(&upload, 3, content(b'c', 7)).await?;
    let call = plain.object(Method::GET, "parts/list").with("uploadId", &upload.id);
    let text = String::from_utf8_lossy(&plain.call(call).await?.body).into_owned();
    plain.client.abort(&upload).await?;
    let is_complete = text.contains("<PartNumber>3</PartNumber>") && text.contains("<Size>7</Size>");
    expect(is_complete && text.contains(&part.etag), "missing or different")
}

async fn uploads(Stage { plain, .. }: Stage) -> Checked {
    let upload = begin(&plain, "parts/uploads").await?;
    let call = plain.bucket(Method::GET).with("uploads", "").with("prefix", "parts/uploads");
    let text = String::from_utf8_lossy(&plain.call(call).await?.body).into_owned();
    plain.client.abort(&upload).await?;
    expect(text.contains(&format!("<UploadId>{}</UploadId>", upload.id)), "without the upload")
}

async fn abort(Stage { plain, .. }: Stage) -> Checked {
    let upload = begin(&plain, "parts/abort").await?;
    plain.client.put_part(&upload, 1, b"x".to_vec()).await?;
    plain.client.abort(&upload).await?;
    refused(plain.client.put_part(&upload, 2, b"y".to_vec()).await, "404 NoSuchUpload")
}

async fn wrong_etag(Stage { plain, .. }: Stage) -> Checked {
    let upload = begin(&plain, "parts/wrong").await?;
    plain.client.put_part(&upload, 1, b"x".to_vec()).await?;
    let part = Part { number: 1, etag: "00000000000000000000000000000000".to_owned() };
    let result = refused(plain.client.complete(&upload, &[part]).await, "400 InvalidPart");
    plain.client.abort(&upload).await?;
    result
}

async fn small(Stage { plain, .. }: Stage) -> Checked {
    let upload = begin(&plain, "parts/small").await?;
    let parts = [
        plain.client.put_part(&upload, 1, b"x".to_vec()).await?,
        plain.client.put_part(&upload, 2, b"y".to_vec()).await?,
    ];
    refused(plain.client.complete(&upload, &parts).await, "400 EntityTooSmall")?;
    Ok(plain.client.abort(&upload).await?)
}

async fn copy(Stage { plain, .. }: Stage) -> Checked {
    plain.put("parts/source", "0123456789").await?;
    let upload = begin(&plain, "parts/copy").await?;
    let call = plain.object(Method::PUT, "parts/copy").with("uploadId", &upload.id).with("partNumber", "1");
    let call = call
        .with_header("x-amz-copy-source", &format!("/{}/parts/source", plain.bucket))
        .with_header("x-amz-copy-source-range", "bytes=2-4");
    let text = String::from_utf8_lossy(&plain.call(call).await?.body).replace("&#34;", "").replace("&quot;", "");
    let etag = text.split("<ETag>").nth(1).and_then(|rest| rest.split("</ETag>").next()).unwrap_or_default();
    let part = Part { number: 1, etag: etag.trim_matches('"').to_owned() };
    plain.client.complete(&upload, &[part]).await?;
    expect(plain.get("parts/copy").await? == "234", "different")
}

async fn one(Stage { plain, .. }: Stage) -> Checked {
    stored(&plain, "parts/one", [1, 2]).await?;
    let answer = plain.call(plain.object(Method::GET, "parts/one").with("partNumber", "2")).await?;
    expect(
        answer.status == 206 && answer.body == b"bbbbbbbbbb",
        format!("{}, {} bytes", answer.status, answer.body.len()),
    )
}
