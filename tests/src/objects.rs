//! 1,000 objects of known contents, small and large.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use temporal_stack_common::s3::Client;

/// How many there are.
pub const COUNT: usize = 1000;
/// How many requests are under way at a time.
const PARALLEL: usize = 16;
/// The most bytes of an object.
pub const LIMIT: usize = 1 << 20;

/// The key of an object.
pub fn key(number: usize) -> String {
    format!("object-{number:04}")
}

/// Its content. Every hundredth is too large to be kept beside its metadata.
pub fn content(number: usize) -> Vec<u8> {
    let length = if number.is_multiple_of(100) { number * 400 } else { 100 + number };
    let mut state = u32::try_from(number).unwrap_or_default();
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

/// Puts all of them.
pub async fn put_all(client: &Client, bucket: &str) -> Result<()> {
    let puts =
        stream::iter(0..COUNT).map(async |number| client.put(bucket, &key(number), content(number)).await.map(drop));
    Ok(puts.buffer_unordered(PARALLEL).try_collect::<()>().await?)
}

/// Fails unless all are listed, and nothing else, and each is as it was put.
pub async fn are_equal(client: &Client, bucket: &str) -> Result<()> {
    let listed = list(client, bucket).await?;
    let expected: BTreeSet<String> = (0..COUNT).map(key).collect();
    let missing: Vec<&String> = expected.difference(&listed).collect();
    let strange: Vec<&String> = listed.difference(&expected).collect();
    ensure!(missing.is_empty() && strange.is_empty(), "missing in the list: {missing:?}; too many: {strange:?}");
    read_equal(client, bucket).await
}

/// Fails unless each is as it was put.
pub async fn read_equal(client: &Client, bucket: &str) -> Result<()> {
    let gets = stream::iter(0..COUNT).map(async |number| {
        let got = client.get(bucket, &key(number), LIMIT).await?;
        ensure!(got == content(number), "{} differs", key(number));
        anyhow::Ok(())
    });
    gets.buffer_unordered(PARALLEL).try_collect::<()>().await
}

async fn list(client: &Client, bucket: &str) -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    let mut after: Option<String> = None;
    loop {
        let page = client.list(bucket, "", after.as_deref(), 300).await?;
        all.extend(page.objects.iter().map(|object| object.key.clone()));
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}
