//! The signature of AWS, version 4, in the header `authorization`.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::address::Key;
use crate::manifest::hex;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What a signature is valid for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    /// `20130524T000000Z`.
    pub(super) time: &'a str,
    /// `us-east-1`.
    pub(super) region: &'a str,
    /// `s3`.
    pub(super) service: &'a str,
}

/// What is signed. Path and query are encoded as in the URL, the query's parameters sorted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    /// By their names in lower case, with `host`.
    pub(super) headers: &'a BTreeMap<String, String>,
    /// The SHA-256 of the body, in hexadecimal digits.
    pub(super) digest: &'a str,
}

/// The value of `authorization`.
pub(super) fn authorization(key: &Key, scope: Scope<'_>, signed: Signed<'_>) -> String {
    let date = scope.time.split('T').next().unwrap_or_default();
    let Scope { time, region, service } = scope;
    let range = format!("{date}/{region}/{service}/aws4_request");
    let names: Vec<&str> = signed.headers.keys().map(String::as_str).collect();
    let names = names.join(";");
    let text = format!("{ALGORITHM}\n{time}\n{range}\n{}", digest(canonical(signed, &names).as_bytes()));
    let mut secret = format!("AWS4{}", key.secret).into_bytes();
    for part in [date, region, service, "aws4_request"] {
        secret = code(&secret, part);
    }
    let signature = hex(&code(&secret, &text));
    format!("{ALGORITHM} Credential={}/{range}, SignedHeaders={names}, Signature={signature}", key.id)
}

fn canonical(signed: Signed<'_>, names: &str) -> String {
    let mut headers = String::new();
    for (name, value) in signed.headers {
        let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
        headers = format!("{headers}{name}:{}\n", words.join(" "));
    }
    let Signed { method, path, query, digest, .. } = signed;
    format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{digest}")
}

fn code(key: &[u8], text: &str) -> Vec<u8> {
    // A key of any length is one.
    let Ok(mut code) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    code.update(text.as_bytes());
    code.finalize().into_bytes().to_vec()
}

/// The SHA-256 of a body, in hexadecimal digits.
pub(super) fn digest(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

/// The examples of "Signature Calculations for the Authorization Header" in Amazon's API reference of S3, and `get-vanilla` of
/// its test suite.
#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn key(id: &str, secret: &str) -> Key {
        Key { id: id.to_owned(), secret: secret.to_owned() }
    }

    fn signature((method, path, query): (&str, &str, &str), more: &[(&str, &str)], digest: &str) -> String {
        let time = "20130524T000000Z";
        let usual =
            [("host", "examplebucket.s3.amazonaws.com"), ("x-amz-content-sha256", digest), ("x-amz-date", time)];
        let headers = usual.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let key = key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let scope = Scope { time, region: "us-east-1", service: "s3" };
        authorization(&key, scope, Signed { method, path, query, headers: &headers, digest })
    }

    #[test]
    fn range_of_an_object_is_signed_as_amazon_does() {
        let expected = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
            SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
            Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        assert_eq!(signature(("GET", "/test.txt", ""), &[("range", "bytes=0-9")], EMPTY), expected);
    }

    #[test]
    fn put_with_an_escaped_key_is_signed_as_amazon_does() {
        let more = [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
        let signed = signature(("PUT", "/test%24file.text", ""), &more, &digest(b"Welcome to Amazon S3."));
        assert!(signed.ends_with("=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"), "{signed}");
    }

    #[test]
    fn queries_are_signed_as_amazon_does() {
        for (query, expected) in [
            ("lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            ("max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ] {
            let signed = signature(("GET", "/", query), &[], EMPTY);
            assert!(signed.ends_with(&format!("Signature={expected}")), "{signed}");
        }
    }

    #[test]
    fn other_service_is_signed_as_amazon_does() {
        let (host, time) = ("example.amazonaws.com", "20150830T123600Z");
        let headers = [("host", host), ("x-amz-date", time)];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let key = key("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let scope = Scope { time, region: "us-east-1", service: "service" };
        let signed = Signed { method: "GET", path: "/", query: "", headers: &headers, digest: EMPTY };
        let signed = authorization(&key, scope, signed);
        assert!(signed.ends_with("=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"), "{signed}");
    }

    #[test]
    fn spaces_in_a_header_do_not_change_its_signature() {
        let signed = |value| signature(("GET", "/", ""), &[("x-amz-meta-a", value)], EMPTY);
        assert_eq!(signed(" a   b "), signed("a b"));
        assert_ne!(signed("ab"), signed("a b"));
    }
}
