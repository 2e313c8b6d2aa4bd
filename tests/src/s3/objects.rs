//! Objects: what is put is read.

use temporal_stack_common::{http::Method, s3::Attributes};

use super::{Checked, LIMIT, Stage, expect, refused, section};

section! { "Objects",
    "PutObject", "ETag is the MD5 of the bytes", etag_is_md5;
    "PutObject without bytes", "length 0", empty;
    "PutObject of 16 MiB in one request", "equal when read", large;
    "PutObject over an object", "the new one is read", replaced;
    "PutObject, key with spaces, `+`, `%`, `&`, letters of any script", "read and listed by that key", escaped;
    "PutObject, key of 1,000 bytes", "read by that key", long_key;
    "PutObject, key with an empty segment (`a//b`)", "another object than `a/b`", empty_segment;
    "PutObject, keys `a` and `a/b`", "both are objects", below_an_object;
    "PutObject with `x-amz-meta-…`", "HeadObject has them", metadata;
    "PutObject with content type, disposition, encoding, language, cache control", "HeadObject has them", headers;
    "PutObject with `x-amz-checksum-sha256`", "accepted, and returned on request", checksum;
    "PutObject with a wrong `x-amz-checksum-sha256`", "400", wrong_checksum;
    "PutObject with a wrong Content-MD5", "400 BadDigest", wrong_md5;
    "GetObject", "equal, with its ETag", get;
    "GetObject of an absent key", "404 NoSuchKey", absent;
    "HeadObject", "length, ETag, content type", head;
    "HeadObject of an absent key", "404", absent_head;
    "DeleteObject", "404 afterwards", delete;
    "DeleteObject of an absent key", "accepted", delete_absent;
    "GetObjectAttributes", "length and ETag", attributes;
}

async fn etag_is_md5(Stage { plain, .. }: Stage) -> Checked {
    let etag = plain.put("objects/md5", "hello").await?;
    expect(etag == "5d41402abc4b2a76b9719d911017c592", "another ETag")
}

async fn empty(Stage { plain, .. }: Stage) -> Checked {
    plain.put("objects/empty", "").await?;
    let head = plain.client.head(&plain.bucket, "objects/empty").await?;
    expect(head.size == 0 && plain.get("objects/empty").await?.is_empty(), "not empty")
}

async fn large(Stage { plain, .. }: Stage) -> Checked {
    let content: Vec<u8> =
        (0..16_u32 << 20).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    plain.client.put(&plain.bucket, "objects/large", content.clone()).await?;
    expect(plain.client.get(&plain.bucket, "objects/large", LIMIT).await? == content, "different")
}

async fn replaced(Stage { plain, .. }: Stage) -> Checked {
    plain.put("objects/replaced", "before").await?;
    plain.put("objects/replaced", "after").await?;
    expect(plain.get("objects/replaced").await? == "after", "the one before is read")
}

async fn escaped(Stage { plain, .. }: Stage) -> Checked {
    let key = "objects/escaped/a b+c%20d&e=f?g#h'i\"j(k)*ü日本";
    plain.put(key, "x").await?;
    let page = plain.client.list(&plain.bucket, "objects/escaped/", None, 10).await?;
    expect(plain.get(key).await? == "x", "not read")?;
    expect(page.objects.iter().any(|object| object.key == key), "listed by another key")
}

async fn long_key(Stage { plain, .. }: Stage) -> Checked {
    let key = format!("objects/{}", vec!["k".repeat(199); 5].join("/"))[..1000].to_owned();
    plain.put(&key, "long").await?;
    expect(plain.get(&key).await? == "long", "different")
}

async fn empty_segment(Stage { plain, .. }: Stage) -> Checked {
    plain.put("objects/segment/a", "one").await?;
    plain.put("objects/segment//a", "two").await?;
    expect(plain.get("objects/segment/a").await? == "one", "the same object")
}

async fn below_an_object(Stage { plain, .. }: Stage) -> Checked {
    plain.put("objects/parent", "parent").await?;
    plain.put("objects/parent/child", "child").await?;
    expect(plain.get("objects/parent").await? == "parent", "different")
}

async fn metadata(Stage { plain, .. }: Stage) -> Checked {
    plain.put_with("objects/metadata", "x", &[("x-amz-meta-colour", "red"), ("x-amz-meta-size", "9 m")]).await?;
    let head = plain.client.head(&plain.bucket, "objects/metadata").await?;
    let has = |name: &str, value| head.attributes.get(name).map(String::as_str) == Some(value);
    expect(has("x-amz-meta-colour", "red") && has("x-amz-meta-size", "9 m"), "missing or different")
}

async fn headers(Stage { plain, .. }: Stage) -> Checked {
    let sent = [
        ("content-type", "text/plain"),
        ("content-disposition", "attachment; filename=\"a.txt\""),
        ("content-encoding", "identity2"),
        ("content-language", "de"),
        ("cache-control", "max-age=60"),
    ];
    plain.put_with("objects/headers", "x", &sent).await?;
    let head = plain.client.head(&plain.bucket, "objects/headers").await?;
    let is_missing = |(name, value): &&(&str, &str)| head.attributes.get(*name).map(String::as_str) != Some(*value);
    let missing: Vec<&str> = sent.iter().filter(is_missing).map(|(name, _)| *name).collect();
    expect(missing.is_empty(), format!("without {}", missing.join(", ")))
}

/// The SHA-256 of `hello`, in base 64.
const CHECKSUM: &str = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";

async fn checksum(Stage { plain, .. }: Stage) -> Checked {
    plain.put_with("objects/checksum", "hello", &[("x-amz-checksum-sha256", CHECKSUM)]).await?;
    let call = plain.object(Method::HEAD, "objects/checksum").with_header("x-amz-checksum-mode", "ENABLED");
    let answer = plain.call(call).await?;
    expect(answer.header("x-amz-checksum-sha256") == Some(CHECKSUM), "not returned")
}

async fn wrong_checksum(Stage { plain, .. }: Stage) -> Checked {
    refused(plain.put_with("objects/wrong", "other", &[("x-amz-checksum-sha256", CHECKSUM)]).await, "400")
}

async fn wrong_md5(Stage { plain, .. }: Stage) -> Checked {
    let headers = [("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")];
    refused(plain.put_with("objects/wrong", "other", &headers).await, "400 BadDigest")
}

async fn get(Stage { plain, .. }: Stage) -> Checked {
    let etag = plain.put("objects/get", "content").await?;
    let answer = plain.call(plain.object(Method::GET, "objects/get")).await?;
    expect(answer.header("etag").map(|etag| etag.trim_matches('"')) == Some(&etag), "another ETag")?;
    expect(answer.body == b"content", "different")
}

async fn absent(Stage { plain, .. }: Stage) -> Checked {
    refused(plain.get("objects/absent").await, "404 NoSuchKey")
}

async fn head(Stage { plain, .. }: Stage) -> Checked {
    let content_type = [("content-type".to_owned(), "text/css".to_owned())];
    let stored = plain
        .client
        .put_with(&plain.bucket, "objects/head", b"12345".to_vec(), &Attributes::from(content_type))
        .await?;
    let head = plain.client.head(&plain.bucket, "objects/head").await?;
    expect((head.size, head.stored.etag) == (5, stored.etag), "another length or ETag")?;
    expect(head.attributes.get("content-type").is_some_and(|kind| kind == "text/css"), "another content type")
}

async fn absent_head(Stage { plain, .. }: Stage) -> Checked {
    refused(plain.client.head(&plain.bucket, "objects/absent").await, "404")
}

async fn delete(Stage { plain, .. }: Stage) -> Checked {
    plain.put("objects/deleted", "x").await?;
    plain.client.delete(&plain.bucket, "objects/deleted").await?;
    refused(plain.get("objects/deleted").await, "404 NoSuchKey")
}

async fn delete_absent(Stage { plain, .. }: Stage) -> Checked {
    Ok(plain.client.delete(&plain.bucket, "objects/never").await?)
}

async fn attributes(Stage { plain, .. }: Stage) -> Checked {
    let etag = plain.put("objects/attributes", "12345").await?;
    let call = plain.object(Method::GET, "objects/attributes").with("attributes", "");
    let answer = plain.call(call.with_header("x-amz-object-attributes", "ETag,ObjectSize")).await?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    expect(text.contains("<ObjectSize>5</ObjectSize>") && text.contains(&etag), "another length or ETag")
}
