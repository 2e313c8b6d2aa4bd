//! Ranges, and requests with conditions.

use temporal_stack_common::{http::Method, s3::Call};

use super::{Checked, Deviation, Place, Stage, expect, refused, section};

section! { "Ranges and conditions",
    "GetObject, `Range: bytes=0-2`", "206, the first bytes", first;
    "GetObject, `Range: bytes=-2`", "206, the last bytes", last;
    "GetObject, `Range: bytes=7-`", "206, the rest", rest;
    "GetObject, range behind the end", "416 InvalidRange", behind;
    "GetObject, `If-Match` of another ETag", "412", match_other;
    "GetObject, `If-None-Match` of its ETag", "304", none_match_same;
    "GetObject, `If-Modified-Since` a later time", "304", unmodified;
    "GetObject, `If-Unmodified-Since` an earlier time", "412", modified;
    "GetObject, `response-content-type`", "the answer has that type", response_type;
    "HeadObject, `If-Match` of its ETag", "accepted", head_match;
    "PutObject, `If-None-Match: *`, absent key", "accepted", create;
    "PutObject, `If-None-Match: *`, present key", "412 PreconditionFailed", create_present;
    "PutObject, `If-Match` of its ETag", "accepted", update;
    "PutObject, `If-Match` of another ETag", "412 PreconditionFailed", update_other;
}

const OTHER: &str = "\"00000000000000000000000000000000\"";

/// An object, and a request for it with a header.
async fn get(place: &Place, name: &str, value: &str) -> Result<(u16, String), Deviation> {
    place.put("conditions/digits", "0123456789").await?;
    let answer = place.call(place.object(Method::GET, "conditions/digits").with_header(name, value)).await?;
    Ok((answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
}

async fn range(place: &Place, range: &str, expected: &str) -> Checked {
    let (status, content) = get(place, "range", range).await?;
    expect(status == 206 && content == expected, format!("{status}, {} bytes", content.len()))
}

async fn first(Stage { plain, .. }: Stage) -> Checked {
    range(&plain, "bytes=0-2", "012").await
}

async fn last(Stage { plain, .. }: Stage) -> Checked {
    range(&plain, "bytes=-2", "89").await
}

async fn rest(Stage { plain, .. }: Stage) -> Checked {
    range(&plain, "bytes=7-", "789").await
}

async fn behind(Stage { plain, .. }: Stage) -> Checked {
    refused(get(&plain, "range", "bytes=10-20").await, "416 InvalidRange")
}

async fn match_other(Stage { plain, .. }: Stage) -> Checked {
    refused(get(&plain, "if-match", OTHER).await, "412")
}

async fn none_match_same(Stage { plain, .. }: Stage) -> Checked {
    let etag = plain.put("conditions/digits", "0123456789").await?;
    refused(get(&plain, "if-none-match", &format!("\"{etag}\"")).await, "304")
}

async fn unmodified(Stage { plain, .. }: Stage) -> Checked {
    plain.put("conditions/old", "x").await?;
    let head = plain.call(plain.object(Method::HEAD, "conditions/old")).await?;
    let time = head.header("last-modified").unwrap_or_default();
    let call = plain.object(Method::GET, "conditions/old").with_header("if-modified-since", time);
    refused(plain.call(call).await, "304")
}

async fn modified(Stage { plain, .. }: Stage) -> Checked {
    refused(get(&plain, "if-unmodified-since", "Sat, 01 Jan 2000 00:00:00 GMT").await, "412")
}

async fn response_type(Stage { plain, .. }: Stage) -> Checked {
    plain.put("conditions/type", "x").await?;
    let call = plain.object(Method::GET, "conditions/type").with("response-content-type", "text/x-other");
    let answer = plain.call(call).await?;
    expect(answer.header("content-type") == Some("text/x-other"), "another type")
}

async fn head_match(Stage { plain, .. }: Stage) -> Checked {
    let etag = plain.put("conditions/head", "x").await?;
    let call = plain.object(Method::HEAD, "conditions/head").with_header("if-match", &format!("\"{etag}\""));
    plain.call(call).await.map(drop)
}

/// A request that puts an object if a condition holds.
fn put(place: &Place, key: &str, name: &str, value: &str) -> Call {
    place.object(Method::PUT, key).with_content("text/plain", b"new".to_vec()).with_header(name, value)
}

async fn create(Stage { plain, .. }: Stage) -> Checked {
    plain.client.delete(&plain.bucket, "conditions/new").await?;
    plain.call(put(&plain, "conditions/new", "if-none-match", "*")).await.map(drop)
}

async fn create_present(Stage { plain, .. }: Stage) -> Checked {
    plain.put("conditions/present", "x").await?;
    let answer = plain.call(put(&plain, "conditions/present", "if-none-match", "*")).await;
    refused(answer, "412 PreconditionFailed")?;
    expect(plain.get("conditions/present").await? == "x", "replaced nevertheless")
}

async fn update(Stage { plain, .. }: Stage) -> Checked {
    let etag = plain.put("conditions/update", "x").await?;
    plain.call(put(&plain, "conditions/update", "if-match", &format!("\"{etag}\""))).await.map(drop)
}

async fn update_other(Stage { plain, .. }: Stage) -> Checked {
    plain.put("conditions/other", "x").await?;
    refused(plain.call(put(&plain, "conditions/other", "if-match", OTHER)).await, "412 PreconditionFailed")
}
