//! Lists, and deleting what they name.

use temporal_stack_common::{http::Method, s3::Item};

use super::{Checked, Deviation, Place, Stage, expect, section};

section! { "Lists",
    "ListObjectsV2 with a prefix", "those keys, in their order", prefix;
    "ListObjectsV2 with a delimiter", "objects, and common prefixes", delimiter;
    "ListObjectsV2 in pages, by `continuation-token`", "each key once", tokens;
    "ListObjectsV2 in pages, by `start-after`", "each key once", start_after;
    "ListObjectsV2, `encoding-type=url`", "encoded keys", encoded;
    "ListObjectsV2 of an absent prefix", "no keys", nothing;
    "ListObjects (version 1) in pages, by `marker`", "each key once", markers;
    "ListBuckets", "has the bucket", buckets;
    "DeleteObjects", "all are gone", delete_many;
    "DeleteObjects with absent keys", "accepted", delete_absent;
}

const KEYS: [&str; 5] = ["a", "b/c", "b/d", "e", "f"];

/// Keys below a prefix, in the order in which they are listed.
async fn with_keys(place: &Place, prefix: &str) -> Result<Vec<String>, Deviation> {
    for key in KEYS {
        place.put(&format!("{prefix}{key}"), key).await?;
    }
    Ok(KEYS.iter().map(|key| format!("{prefix}{key}")).collect())
}

/// The texts of all elements of a name.
pub(super) fn texts(document: &str, name: &str) -> Vec<String> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let text = |part: &str| part.split(&end).next().unwrap_or_default().to_owned();
    document.split(&start).skip(1).map(text).collect()
}

async fn page(place: &Place, prefix: &str, parameters: &[(&str, &str)]) -> Result<String, Deviation> {
    let call = place.bucket(Method::GET).with("prefix", prefix);
    let answer = place.call(parameters.iter().fold(call, |call, (name, value)| call.with(name, value))).await?;
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

async fn prefix(Stage { plain, .. }: Stage) -> Checked {
    let expected = with_keys(&plain, "lists/prefix/").await?;
    let page = page(&plain, "lists/prefix/", &[("list-type", "2")]).await?;
    expect(texts(&page, "Key") == expected, "other keys, or another order")
}

async fn delimiter(Stage { plain, .. }: Stage) -> Checked {
    with_keys(&plain, "lists/delimiter/").await?;
    let page = page(&plain, "lists/delimiter/", &[("list-type", "2"), ("delimiter", "/")]).await?;
    let keys = texts(&page, "Key");
    expect(keys == ["a", "e", "f"].map(|key| format!("lists/delimiter/{key}")), "other keys")?;
    expect(page.contains("<CommonPrefixes><Prefix>lists/delimiter/b/</Prefix></CommonPrefixes>"), "no common prefix")
}

async fn tokens(Stage { plain, .. }: Stage) -> Checked {
    let expected = with_keys(&plain, "lists/tokens/").await?;
    let (mut all, mut token) = (Vec::new(), String::new());
    for _ in 0..=KEYS.len() {
        let mut parameters = vec![("list-type", "2"), ("max-keys", "2")];
        if !token.is_empty() {
            parameters.push(("continuation-token", &token));
        }
        let page = page(&plain, "lists/tokens/", &parameters).await?;
        all.extend(texts(&page, "Key"));
        match texts(&page, "NextContinuationToken").pop() {
            Some(next) => token = next.replace("&#x3D;", "="),
            None => break,
        }
    }
    expect(all == expected, "other keys, or not each once")
}

async fn start_after(Stage { plain, .. }: Stage) -> Checked {
    let expected = with_keys(&plain, "lists/after/").await?;
    let mut all: Vec<String> = Vec::new();
    for _ in 0..=KEYS.len() {
        let page = plain.client.list(&plain.bucket, "lists/after/", all.last().map(String::as_str), 2).await?;
        all.extend(page.objects.into_iter().map(|object| object.key));
        if page.next.is_none() {
            break;
        }
    }
    expect(all == expected, "other keys, or not each once")
}

async fn encoded(Stage { plain, .. }: Stage) -> Checked {
    plain.put("lists/encoded/a b&ü", "x").await?;
    let page = page(&plain, "lists/encoded/", &[("list-type", "2"), ("encoding-type", "url")]).await?;
    let key = texts(&page, "Key").pop().unwrap_or_default();
    expect(["lists/encoded/a+b%26%C3%BC", "lists/encoded/a%20b%26%C3%BC"].contains(&&*key), "not encoded")
}

async fn nothing(Stage { plain, .. }: Stage) -> Checked {
    let page = page(&plain, "lists/nothing/", &[("list-type", "2")]).await?;
    expect(texts(&page, "Key").is_empty() && texts(&page, "KeyCount") == ["0"], "keys, or no KeyCount")
}

async fn markers(Stage { plain, .. }: Stage) -> Checked {
    let expected = with_keys(&plain, "lists/markers/").await?;
    let mut all: Vec<String> = Vec::new();
    for _ in 0..=KEYS.len() {
        let marker = all.last().cloned().unwrap_or_default();
        let page = page(&plain, "lists/markers/", &[("max-keys", "2"), ("marker", &marker)]).await?;
        all.extend(texts(&page, "Key"));
        if texts(&page, "IsTruncated") != ["true"] {
            break;
        }
    }
    expect(all == expected, "other keys, or not each once")
}

async fn buckets(Stage { plain, .. }: Stage) -> Checked {
    let buckets = plain.client.buckets().await?;
    expect(buckets.contains(&plain.bucket), format!("{} buckets, without this one", buckets.len()))
}

async fn delete_many(Stage { plain, .. }: Stage) -> Checked {
    let items: Vec<Item> =
        with_keys(&plain, "lists/many/").await?.into_iter().map(|key| Item { key, version: None }).collect();
    let remaining = plain.client.delete_many(&plain.bucket, &items).await?;
    let page = plain.client.list(&plain.bucket, "lists/many/", None, 10).await?;
    expect(remaining.is_empty() && page.objects.is_empty(), "some remain")
}

async fn delete_absent(Stage { plain, .. }: Stage) -> Checked {
    let item = Item { key: "lists/absent".to_owned(), version: None };
    let remaining = plain.client.delete_many(&plain.bucket, &[item]).await?;
    expect(remaining.is_empty(), remaining.first().map(|one| one.code.to_string()).unwrap_or_default())
}
