//! Where the bucket is in a request, and in its signature.

use super::*;
use crate::http::Request;

/// The time of Amazon's examples.
const TIME: &str = "20130524T000000Z";

/// A client with the key of Amazon's examples.
fn client(endpoint: &str, style: Style) -> Client {
    let (endpoint, region) = (endpoint.to_owned(), "us-east-1".to_owned());
    let (id, secret) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let key = Key { id: id.to_owned(), secret: secret.to_owned() };
    Client::new(&Address { endpoint, region, style, authority: None }, &key).unwrap()
}

fn request(endpoint: &str, style: Style, call: Call) -> Request {
    client(endpoint, style).request(call, TIME).unwrap()
}

/// Host, path and query of a request.
fn target(endpoint: &str, style: Style, call: Call) -> (String, String) {
    let request = request(endpoint, style, call);
    let (path, query) = request.target();
    (request.host().to_owned(), if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") })
}

/// The examples of "Signature Calculations for the Authorization Header" in Amazon's API reference of S3: the whole request, from the
/// call to the signature.
#[test]
fn requests_of_amazons_examples_have_their_signatures() {
    let bucket = || Call::bucket(Method::GET, "examplebucket");
    let range = Call::object(Method::GET, "examplebucket", "test.txt").with_header("Range", "bytes=0-9");
    for (call, path, headers, signature) in [
        (
            range,
            "/test.txt",
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            bucket().with("lifecycle", ""),
            "/?lifecycle=",
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            bucket().with("prefix", "J").with("max-keys", "2"),
            "/?max-keys=2&prefix=J",
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ] {
        let endpoint = "https://s3.amazonaws.com";
        let expected = ("examplebucket.s3.amazonaws.com".to_owned(), path.to_owned());
        assert_eq!(target(endpoint, Style::VirtualHost, call.clone()), expected);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders={headers}, Signature={signature}"
        );
        let request = request(endpoint, Style::VirtualHost, call);
        assert_eq!(request.header("authorization"), Some(authorization.as_str()), "{path}");
        assert_eq!(request.header("x-amz-date"), Some(TIME));
    }
}

#[test]
fn bucket_moves_from_the_path_to_the_host() {
    let endpoint = "http://s3.example.com:9000";
    let object = || Call::object(Method::PUT, "my.photos", "a//b ü+.txt").with("versionId", "1/2");
    let [path, host] = [Style::Path, Style::VirtualHost].map(|style| target(endpoint, style, object()));
    let key = "a//b%20%C3%BC%2B.txt?versionId=1%2F2";
    assert_eq!(path, ("s3.example.com:9000".to_owned(), format!("/my.photos/{key}")));
    assert_eq!(host, ("my.photos.s3.example.com:9000".to_owned(), format!("/{key}")));
    let bucket = || Call::bucket(Method::DELETE, "photos");
    assert_eq!(target(endpoint, Style::Path, bucket()).1, "/photos");
    let of_host = ("photos.s3.example.com:9000".to_owned(), "/".to_owned());
    assert_eq!(target(endpoint, Style::VirtualHost, bucket()), of_host);
}

#[test]
fn requests_about_no_bucket_have_the_plain_host() {
    for call in [Call::service(Method::GET), Call::path(Method::GET, &["minio", "health", "live"])] {
        let (host, _) = target("https://s3.example.com", Style::VirtualHost, call);
        assert_eq!(host, "s3.example.com");
    }
}

#[test]
fn signature_is_valid_for_one_host() {
    let signature = |style| {
        let request = request("https://s3.example.com", style, Call::object(Method::GET, "photos", "k"));
        request.header("authorization").unwrap().to_owned()
    };
    assert_ne!(signature(Style::Path), signature(Style::VirtualHost));
}
