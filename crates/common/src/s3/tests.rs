//! The client against a server with prepared answers.

mod addressing;
mod lists;

use super::{
    fake::{Fake, ID, SECRET, answer, answer_with, refusal},
    *,
};
use crate::http::{self, Method};

const OK: &str = "200 OK";

#[tokio::test]
async fn request_has_all_headers_of_its_signature() {
    let fake = Fake::new(&[answer(OK, "")]).await;
    fake.client().put("photos", "a//b ü.txt", b"hello".to_vec()).await.unwrap();
    let seen = &fake.seen()[0];
    assert_eq!(seen.line, "PUT /photos/a//b%20%C3%BC.txt");
    assert_eq!((seen.body.as_str(), seen.headers["content-md5"].as_str()), ("hello", "XUFAKrxLKna5cZ2REBfFkg=="));
    let authorization = &seen.headers["authorization"];
    let signed = "SignedHeaders=content-md5;content-type;host;x-amz-content-sha256;x-amz-date, Signature=";
    assert!(authorization.contains(signed), "{authorization}");
    for name in ["content-type", "host", "x-amz-content-sha256"] {
        assert!(seen.headers.contains_key(name), "{name}");
    }
    let date = &seen.headers["x-amz-date"];
    assert!(
        date.len() == 16 && date.ends_with('Z') && authorization.contains(&format!("{ID}/{}/", &date[..8])),
        "{date}"
    );
}

#[tokio::test]
async fn query_is_sorted_by_its_encoded_names() {
    let fake = Fake::new(&[answer(OK, "")]).await;
    let call = Call::bucket(Method::GET, "b").with("prefix", "a b/&").with("marker", "").with("Z", "1");
    fake.client().call(call).await.unwrap();
    assert_eq!(fake.lines(), ["GET /b?Z=1&marker=&prefix=a%20b%2F%26"]);
}

#[tokio::test]
async fn request_without_body_has_a_length() {
    let fake = Fake::new(&[answer(OK, "")]).await;
    fake.client().create("photos", true).await.unwrap();
    let seen = &fake.seen()[0];
    assert_eq!((seen.line.as_str(), seen.headers["content-length"].as_str()), ("PUT /photos", "0"));
    assert_eq!(seen.headers["x-amz-bucket-object-lock-enabled"], "true");
}

#[tokio::test]
async fn key_that_a_url_cannot_carry_is_not_sent() {
    let fake = Fake::new(&[answer(OK, "")]).await;
    for key in ["", "..", "a/../../other/b", "./a"] {
        let failure = fake.client().put("photos", key, Vec::new()).await.unwrap_err();
        assert!(matches!(failure, Failure::Http(http::Failure::Name { .. })), "{key}: {failure}");
    }
    assert!(matches!(fake.client().remove("..").await.unwrap_err(), Failure::Bucket { .. }));
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn refusal_has_its_code_and_never_the_key() {
    let echo = format!("no {ID} with {SECRET} or s3cr3t%2B%2F\u{1b}[2J");
    for body in [
        format!("<Error><Code>InvalidAccessKeyId</Code><Message>{echo}</Message></Error>"),
        format!("{{\"Code\":\"InvalidAccessKeyId\",\"Message\":\"no {ID} with {SECRET}\"}}"),
        echo.clone(),
        format!("<Error><Code>{ID}</Code></Error>"),
        format!("<{ID}>"),
    ] {
        let fake = Fake::new(&[answer("403 Forbidden", &body)]).await;
        let failure = fake.client().get("b", "k", 10).await.unwrap_err();
        let shown = format!("{failure} {failure:?} {:?}", fake.client());
        assert!(!shown.contains(ID) && !shown.contains("s3cr3t") && !shown.contains('\u{1b}'), "{shown}");
        let code = failure.code().unwrap();
        assert!(matches!(code, Code::InvalidAccessKeyId | Code::AccessDenied | Code::Other(_)), "{code}");
    }
}

#[tokio::test]
async fn code_of_an_answer_without_body_follows_its_status() {
    let fake = Fake::new(&[answer("404 Not Found", ""), answer("412 Precondition Failed", "")]).await;
    assert!(fake.client().head("b", "k").await.unwrap_err().is(&Code::NoSuchKey));
    assert!(fake.client().head("b", "k").await.unwrap_err().is(&Code::PreconditionFailed));
    let header = "x-minio-error-code: RequestTimeTooSkewed\r\n";
    let fake = Fake::new(&[answer_with("403 Forbidden", header, "")]).await;
    assert!(fake.client().head("b", "k").await.unwrap_err().is(&Code::RequestTimeTooSkewed));
}

#[tokio::test]
async fn only_the_code_of_an_object_storage_says_that_a_bucket_is_absent_or_foreign() {
    for (answer, expected) in [
        (answer(OK, "<ListBucketResult/>"), Some(Existence::Usable)),
        (refusal("403 Forbidden", "AccessDenied", ""), Some(Existence::Foreign)),
        (refusal("404 Not Found", "NoSuchBucket", ""), Some(Existence::Absent)),
        (refusal("403 Forbidden", "SignatureDoesNotMatch", ""), None),
        (refusal("403 Forbidden", "RequestTimeTooSkewed", ""), None),
        // Those of a proxy, an ingress and a mesh.
        (answer("404 Not Found", ""), None),
        (answer("404 Not Found", "default backend"), None),
        (answer("403 Forbidden", ""), None),
        (answer(OK, ""), None),
        (answer("500 No", ""), None),
    ] {
        let fake = Fake::new(std::slice::from_ref(&answer)).await;
        assert_eq!(fake.client().exists("photos").await.ok(), expected, "{answer}");
    }
}

#[tokio::test]
async fn bucket_of_our_own_may_be_created_and_removed_twice() {
    let fake = Fake::new(&[refusal("409 Conflict", "BucketAlreadyOwnedByYou", "")]).await;
    fake.client().create("photos", false).await.unwrap();
    let fake = Fake::new(&[refusal("409 Conflict", "BucketAlreadyExists", "")]).await;
    assert!(fake.client().create("photos", false).await.unwrap_err().is(&Code::BucketAlreadyExists));
    let fake = Fake::new(&[refusal("404 Not Found", "NoSuchBucket", "")]).await;
    fake.client().remove("photos").await.unwrap();
    let fake = Fake::new(&[refusal("409 Conflict", "BucketNotEmpty", "")]).await;
    assert!(fake.client().remove("photos").await.unwrap_err().is(&Code::BucketNotEmpty));
}

#[tokio::test]
async fn redirect_is_a_failure() {
    let answers = [answer_with("301 Moved Permanently", "Location: http://127.0.0.1:1/\r\n", "")];
    let fake = Fake::new(&answers).await;
    let failure = fake.client().exists("photos").await.unwrap_err();
    assert!(matches!(failure, Failure::Http(http::Failure::Redirect { status: 301, .. })), "{failure}");
}

#[tokio::test]
async fn answer_of_a_gigabyte_is_a_failure() {
    let endless = "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n<a>".to_owned();
    let fake = Fake::new(&[endless]).await;
    let client = fake.client();
    for failure in [
        client.versioning("b").await.unwrap_err(),
        client.get("b", "k", 1000).await.unwrap_err(),
        client.list("b", "", None, 1000).await.unwrap_err(),
        client.policy("b").await.unwrap_err(),
    ] {
        assert!(matches!(failure, Failure::Http(http::Failure::TooLarge { .. })), "{failure}");
    }
}

#[tokio::test]
async fn bytes_of_an_object_are_not_counted_as_values() {
    let content = "[,".repeat(300_000);
    let fake = Fake::new(&[answer(OK, &content)]).await;
    assert_eq!(fake.client().get("b", "k", content.len()).await.unwrap().len(), content.len());
}

#[tokio::test]
async fn crowded_answer_of_an_api_is_a_failure() {
    let body = format!("[{}0]", "0,".repeat(200_000));
    let fake = Fake::new(&[answer(OK, &body)]).await;
    let call = || Call::path(Method::GET, &["minio", "admin", "v3", "info"]).with_limit(4 << 20);
    for call in [call(), call().with_values(1000)] {
        let failure = fake.client().call(call).await.unwrap_err();
        assert!(matches!(failure, Failure::Http(http::Failure::TooManyValues { .. })), "{failure}");
    }
}

#[tokio::test]
async fn head_reads_headers_of_an_object() {
    let headers =
        "ETag: \"abc\"\r\nContent-Type: text/plain\r\nx-amz-meta-a: b\r\nx-amz-version-id: v1\r\nServer: x\r\n";
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 123456789\r\nConnection: close\r\n\r\n");
    let fake = Fake::new(&[head]).await;
    let head = fake.client().head_version("b", "k", Some("v1")).await.unwrap();
    let Stored { etag, md5, version } = head.stored;
    assert_eq!((head.size, etag.as_str(), md5, version.as_deref()), (123_456_789, "abc", None, Some("v1")));
    let attributes = [("content-type", "text/plain"), ("x-amz-meta-a", "b")];
    assert_eq!(head.attributes, attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(fake.lines(), ["HEAD /b/k?versionId=v1"]);
}

#[tokio::test]
async fn attributes_of_an_object_are_sent() {
    let fake = Fake::new(&[answer(OK, "")]).await;
    let attributes = [("content-type", "text/plain"), ("x-amz-meta-a", "ü")];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    fake.client().put_with("b", "k", Vec::new(), &attributes).await.unwrap();
    let seen = &fake.seen()[0];
    assert_eq!((seen.headers["content-type"].as_str(), seen.headers["x-amz-meta-a"].as_str()), ("text/plain", "ü"));
    let broken = [("x-amz-meta-a".to_owned(), "b\r\nx-amz-acl: public-read".to_owned())].into();
    let failure = fake.client().put_with("b", "k", Vec::new(), &broken).await.unwrap_err();
    assert!(matches!(failure, Failure::Http(http::Failure::Header { .. })), "{failure}");
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn range_that_is_the_whole_object_is_refused() {
    let fake = Fake::new(&[answer("206 Partial Content", "cd"), answer(OK, "ab")]).await;
    let object = ("b", "k", None);
    assert_eq!(fake.client().get_range(object, "e", 2, 2).await.unwrap(), b"cd");
    let seen = &fake.seen()[0];
    assert_eq!((seen.headers["range"].as_str(), seen.headers["if-match"].as_str()), ("bytes=2-3", "\"e\""));
    assert!(matches!(fake.client().get_range(object, "e", 2, 2).await.unwrap_err(), Failure::Unreadable { .. }));
}

#[tokio::test]
async fn versioning_is_read_and_set() {
    let status = |status| answer(OK, &format!("<VersioningConfiguration>{status}</VersioningConfiguration>"));
    for (text, expected) in [
        ("", Some(Versioning::Off)),
        ("<Status>Enabled</Status>", Some(Versioning::Enabled)),
        ("<Status>Suspended</Status>", Some(Versioning::Suspended)),
        ("<Status>Perhaps</Status>", None),
    ] {
        let fake = Fake::new(&[status(text)]).await;
        assert_eq!(fake.client().versioning("b").await.ok(), expected, "{text}");
    }
    let fake = Fake::new(&[answer(OK, "")]).await;
    fake.client().set_versioning("b", false).await.unwrap();
    assert!(fake.seen()[0].body.contains("<Status>Suspended</Status>"));
}

#[tokio::test]
async fn lock_is_read_in_days_and_years() {
    let lock = |rule: &str| answer(OK, &format!("<ObjectLockConfiguration>{rule}</ObjectLockConfiguration>"));
    let rule = |text: &str| lock(&format!("<Rule><DefaultRetention>{text}</DefaultRetention></Rule>"));
    let absent = refusal("404 Not Found", "ObjectLockConfigurationNotFoundError", "");
    let years = rule("<Mode>COMPLIANCE</Mode><Years>2</Years>");
    for (answer, expected) in [
        (rule("<Mode>GOVERNANCE</Mode><Days>7</Days>"), Some(Some(Lock { mode: Mode::Governance, days: 7 }))),
        (years, Some(Some(Lock { mode: Mode::Compliance, days: 730 }))),
        (lock("<ObjectLockEnabled>Enabled</ObjectLockEnabled>"), Some(None)),
        (absent.clone(), Some(None)),
        (rule("<Mode>GOVERNANCE</Mode><Days>-1</Days>"), None),
        (rule("<Days>1</Days>"), None),
    ] {
        let fake = Fake::new(std::slice::from_ref(&answer)).await;
        assert_eq!(fake.client().lock("b").await.ok(), expected, "{answer}");
    }
    let fake = Fake::new(&[absent, lock("<ObjectLockEnabled>Enabled</ObjectLockEnabled>")]).await;
    let told_apart = [fake.client().locking("b").await.unwrap(), fake.client().locking("b").await.unwrap()];
    assert_eq!(told_apart, [Locking::Off, Locking::On(None)]);
}

#[tokio::test]
async fn expiration_keeps_the_rules_of_others() {
    let theirs = "<Rule><ID>theirs</ID><Status>Enabled</Status><Filter><Prefix>a&amp;b</Prefix></Filter></Rule>";
    let ours = "<Rule><ID>temporal-stack-expiration</ID><Status>Enabled</Status><Expiration><Days>3</Days></Expiration></Rule>";
    let rules = |rules: &str| answer(OK, &format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>"));
    let fake = Fake::new(&[rules(&format!("{theirs}{ours}")), rules(&format!("{theirs}{ours}")), answer(OK, "")]).await;
    assert_eq!(fake.client().expiration("b").await.unwrap(), Some(3));
    fake.client().set_expiration("b", Some(9)).await.unwrap();
    let body = &fake.seen()[2].body;
    assert!(body.contains(theirs) && body.contains("<Days>9</Days>") && !body.contains("<Days>3</Days>"), "{body}");
    let fake = Fake::new(&[rules(ours), answer("204 No Content", "")]).await;
    fake.client().set_expiration("b", None).await.unwrap();
    assert_eq!(fake.lines()[1], "DELETE /b?lifecycle=");
    let fake = Fake::new(&[refusal("404 Not Found", "NoSuchLifecycleConfiguration", "")]).await;
    fake.client().set_expiration("b", None).await.unwrap();
    assert_eq!(fake.seen().len(), 1, "nothing to remove");
}

#[tokio::test]
async fn rules_of_more_than_64_kib_are_refused() {
    let rules = "<Rule><ID>theirs</ID></Rule>".repeat(3000);
    let fake = Fake::new(&[answer(OK, &format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>"))]).await;
    let failure = fake.client().expiration("b").await.unwrap_err();
    assert!(matches!(failure, Failure::Http(http::Failure::TooLarge { .. })), "{failure}");
}

#[tokio::test]
async fn policy_is_read_set_and_removed() {
    let fake = Fake::new(&[refusal("404 Not Found", "NoSuchBucketPolicy", "")]).await;
    assert_eq!(fake.client().policy("b").await.unwrap(), None);
    let fake = Fake::new(&[answer(OK, "{\"a\":1}\n"), answer("204 No Content", "")]).await;
    assert_eq!(fake.client().policy("b").await.unwrap().as_deref(), Some("{\"a\":1}"));
    fake.client().set_policy("b", Some("{}")).await.unwrap();
    fake.client().set_policy("b", None).await.unwrap();
    assert_eq!(fake.lines(), ["GET /b?policy=", "PUT /b?policy=", "DELETE /b?policy="]);
}

#[tokio::test]
async fn tags_of_a_version_are_read_and_set() {
    let tags =
        "<Tagging><TagSet><Tag><Key>a</Key><Value>1&amp;2</Value></Tag><Tag><Key>b</Key></Tag></TagSet></Tagging>";
    let fake = Fake::new(&[answer(OK, tags), answer(OK, "")]).await;
    let tags = fake.client().tags("b", "k", Some("v1")).await.unwrap();
    assert_eq!(tags, [("a", "1&2"), ("b", "")].map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    fake.client().set_tags("b", "k", None, &tags).await.unwrap();
    assert!(fake.seen()[1].body.contains("<Tag><Key>a</Key><Value>1&amp;2</Value></Tag>"));
    assert_eq!(fake.lines(), ["GET /b/k?tagging=&versionId=v1", "PUT /b/k?tagging="]);
}

#[tokio::test]
async fn tags_of_a_bucket_are_read_and_set() {
    let fake = Fake::new(&[refusal("404 Not Found", "NoSuchTagSet", ""), answer(OK, "")]).await;
    assert_eq!(fake.client().bucket_tags("b").await.unwrap(), Tags::new());
    fake.client().set_bucket_tags("b", &[("a/b".to_owned(), "1".to_owned())].into()).await.unwrap();
    assert_eq!(fake.lines(), ["GET /b?tagging=", "PUT /b?tagging="]);
    assert!(fake.seen()[1].body.contains("<TagSet><Tag><Key>a/b</Key><Value>1</Value></Tag></TagSet>"));
}

#[tokio::test]
async fn expected_account_is_signed_with_requests_about_buckets() {
    let fake = Fake::new(&[answer(OK, "<ListBucketResult/>")]).await;
    let client = fake.client().of_account(Some("111122223333"));
    client.list("b", "", None, 1).await.unwrap();
    client.get("b", "k", 100).await.unwrap();
    client.call(Call::service(Method::GET)).await.unwrap();
    let seen = fake.seen();
    for seen in &seen[..2] {
        assert_eq!(seen.headers["x-amz-expected-bucket-owner"], "111122223333");
        assert!(seen.headers["authorization"].contains(";x-amz-date;x-amz-expected-bucket-owner,"));
    }
    assert!(!seen[2].headers.contains_key("x-amz-expected-bucket-owner"));
}

#[tokio::test]
async fn failed_completion_is_a_failure_despite_its_status() {
    let created = answer(OK, "<InitiateMultipartUploadResult><UploadId>u/1</UploadId></InitiateMultipartUploadResult>");
    let stored = answer_with(OK, "ETag: \"p1\"\r\n", "");
    let fake = Fake::new(&[created, stored, refusal(OK, "InvalidPart", "")]).await;
    let client = fake.client();
    let upload = client.create_upload("b", "k", &Attributes::new()).await.unwrap();
    let part = client.put_part(&upload, 1, b"a".to_vec()).await.unwrap();
    assert!(client.complete(&upload, &[part]).await.unwrap_err().is(&Code::InvalidPart));
    let seen = fake.seen();
    assert_eq!(seen[1].line, "PUT /b/k?partNumber=1&uploadId=u%2F1");
    assert!(
        seen[2].body.contains("<Part><PartNumber>1</PartNumber><ETag>&quot;p1&quot;</ETag></Part>"),
        "{}",
        seen[2].body
    );
}

#[test]
fn malformed_key_is_refused() {
    let address =
        Address { endpoint: "http://h".to_owned(), region: "a".to_owned(), style: Style::Path, authority: None };
    for (id, secret) in [("", "a"), ("a", ""), ("a b", "c"), ("a/b", "c"), ("a\n", "c"), ("a,b", "c")] {
        let key = Key { id: id.to_owned(), secret: secret.to_owned() };
        assert!(matches!(Client::new(&address, &key), Err(Failure::Key)), "{id:?}");
    }
}
