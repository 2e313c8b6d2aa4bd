//! Copies that the server makes.

use temporal_stack_common::http::{Answer, Method};

use super::{Checked, Deviation, Place, Stage, expect, refused, section};

section! { "Copies",
    "CopyObject in the bucket", "equal, with its metadata", copy;
    "CopyObject, `x-amz-metadata-directive: REPLACE`", "the new metadata", replace;
    "CopyObject, key with spaces and letters of any script", "equal", escaped;
    "CopyObject of an absent key", "404 NoSuchKey", absent;
    "CopyObject, `x-amz-copy-source-if-match` of another ETag", "412", other_etag;
    "CopyObject from another bucket", "403 AccessDenied", foreign;
}

async fn copied(place: &Place, source: &str, to: &str, headers: &[(&str, &str)]) -> Result<Answer, Deviation> {
    let call = place.object(Method::PUT, to).with_header("x-amz-copy-source", source);
    place.call(headers.iter().fold(call, |call, (name, value)| call.with_header(name, value))).await
}

async fn copy(Stage { plain, .. }: Stage) -> Checked {
    plain.put_with("copies/from", "content", &[("x-amz-meta-a", "b")]).await?;
    copied(&plain, &format!("/{}/copies/from", plain.bucket), "copies/to", &[]).await?;
    let head = plain.client.head(&plain.bucket, "copies/to").await?;
    expect(plain.get("copies/to").await? == "content", "different")?;
    expect(head.attributes.contains_key("x-amz-meta-a"), "without its metadata")
}

async fn replace(Stage { plain, .. }: Stage) -> Checked {
    plain.put_with("copies/replaced", "content", &[("x-amz-meta-a", "b")]).await?;
    let headers = [("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-c", "d")];
    copied(&plain, &format!("/{}/copies/replaced", plain.bucket), "copies/replaced", &headers).await?;
    let head = plain.client.head(&plain.bucket, "copies/replaced").await?;
    let (has_old, has_new) =
        (head.attributes.contains_key("x-amz-meta-a"), head.attributes.contains_key("x-amz-meta-c"));
    expect(has_new && !has_old, "the old metadata")
}

async fn escaped(Stage { plain, .. }: Stage) -> Checked {
    plain.put("copies/a b+ü", "content").await?;
    copied(&plain, &format!("/{}/copies/a%20b%2B%C3%BC", plain.bucket), "copies/escaped", &[]).await?;
    expect(plain.get("copies/escaped").await? == "content", "different")
}

async fn absent(Stage { plain, .. }: Stage) -> Checked {
    let answer = copied(&plain, &format!("/{}/copies/absent", plain.bucket), "copies/none", &[]).await;
    refused(answer, "404 NoSuchKey")
}

async fn other_etag(Stage { plain, .. }: Stage) -> Checked {
    plain.put("copies/condition", "content").await?;
    let headers = [("x-amz-copy-source-if-match", "\"00000000000000000000000000000000\"")];
    let answer = copied(&plain, &format!("/{}/copies/condition", plain.bucket), "copies/none", &headers).await;
    refused(answer, "412")
}

async fn foreign(Stage { plain, other, .. }: Stage) -> Checked {
    refused(copied(&plain, &format!("/{other}/object"), "copies/stolen", &[]).await, "403 AccessDenied")
}
