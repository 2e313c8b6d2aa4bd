//! The headers of requests and answers.

use std::collections::BTreeMap;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::failure::Failure;
use crate::failure::printable;

/// The headers of answers that are kept: what object storages say of an object.
const KEPT: [&str; 9] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "etag",
    "expires",
    "last-modified",
];
/// The same, by how their names begin.
const KEPT_PREFIXES: [&str; 2] = ["x-amz-", "x-minio-"];
/// The most bytes of a value: engines limit an object's metadata to 2 or 8 KiB.
const LONGEST: usize = 8 << 10;

/// A header as it is sent.
pub(super) fn parse(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let failure = || Failure::Header { name: printable(name) };
    let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| failure())?;
    let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| failure())?;
    value.set_sensitive(key == AUTHORIZATION);
    Ok((key, value))
}

/// The headers of an answer that are kept: text, and not longer than any valid one.
pub(super) fn kept(headers: &HeaderMap) -> BTreeMap<String, String> {
    let is_kept = |name: &str| KEPT.contains(&name) || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    headers
        .iter()
        .filter(|(name, value)| is_kept(name.as_str()) && value.len() <= LONGEST)
        .filter_map(|(name, value)| {
            let value = std::str::from_utf8(value.as_bytes()).ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_that_http_cannot_carry_is_refused() {
        for (name, value) in [("a b", "x"), ("", "x"), ("a", "x\r\nb: y"), ("a", "\0")] {
            let failure = parse(name, value).unwrap_err();
            assert!(matches!(failure, Failure::Header { .. }), "{name:?}: {value:?}");
        }
        assert!(parse("x-amz-meta-a", "ü").is_ok());
        assert!(parse("authorization", "x").unwrap().1.is_sensitive());
    }

    #[test]
    fn answer_keeps_few_and_short_headers() {
        let long = "x".repeat(LONGEST + 1);
        let all = [("etag", "a"), ("x-amz-meta-a", "ü"), ("x-amz-meta-b", &long), ("set-cookie", "b")];
        let all = all.map(|(name, value)| parse(name, value).unwrap()).into_iter().collect();
        assert_eq!(kept(&all), [("etag", "a"), ("x-amz-meta-a", "ü")].map(|(a, b)| (a.into(), b.into())).into());
    }
}
