//! Pages of objects and versions.

use super::{OK, *};

fn page(entries: &str, is_truncated: bool) -> String {
    let end = format!("<IsTruncated>{is_truncated}</IsTruncated></ListBucketResult>");
    answer(OK, &format!("<ListBucketResult><EncodingType>url</EncodingType>{entries}{end}"))
}

fn entry(key: &str) -> String {
    format!(
        "<Contents><Key>{key}</Key><Size>5</Size><ETag>&quot;e&quot;</ETag><LastModified>2026</LastModified></Contents>"
    )
}

fn keys(page: &Page) -> Vec<&str> {
    page.objects.iter().map(|object| object.key.as_str()).collect()
}

#[tokio::test]
async fn names_are_decoded_where_the_server_encodes_them() {
    let fake = Fake::new(&[page(&entry("a+b%2Bc%2F%00%C3%BC"), false)]).await;
    let found = fake.client().list("b", "a b", None, 10).await.unwrap();
    assert_eq!((keys(&found), &found.next), (vec!["a b+c/\0ü"], &None));
    assert_eq!(fake.lines(), ["GET /b?encoding-type=url&list-type=2&max-keys=10&prefix=a%20b"]);
    let plain = format!("<ListBucketResult>{}</ListBucketResult>", entry("a+%2B"));
    let fake = Fake::new(&[answer(OK, &plain)]).await;
    assert_eq!(keys(&fake.client().list("b", "", None, 10).await.unwrap()), ["a+%2B"]);
}

#[tokio::test]
async fn next_page_begins_after_the_last_name() {
    let fake = Fake::new(&[page(&[entry("a"), entry("b")].concat(), true), page(&entry("c"), false)]).await;
    let first = fake.client().list("b", "", None, 2).await.unwrap();
    assert_eq!(first.next.as_deref(), Some("b"));
    let second = fake.client().list("b", "", first.next.as_deref(), 2).await.unwrap();
    assert_eq!((keys(&second), &second.next), (vec!["c"], &None));
    assert!(fake.lines()[1].ends_with("&max-keys=2&start-after=b"));
}

#[tokio::test]
async fn page_that_goes_back_or_is_too_long_is_refused() {
    let fake = Fake::new(&[page(&entry("a"), true)]).await;
    let failure = fake.client().list("b", "", Some("a"), 2).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreadable { .. }), "{failure}");
    let fake = Fake::new(&[page(&entry("a").repeat(3), false)]).await;
    assert!(matches!(fake.client().list("b", "", None, 2).await.unwrap_err(), Failure::Unreadable { .. }));
    let fake = Fake::new(&[page("<Contents><Key>a</Key><Size>-1</Size></Contents>", false)]).await;
    assert!(matches!(fake.client().list("b", "", None, 2).await.unwrap_err(), Failure::Unreadable { .. }));
}

#[tokio::test]
async fn key_without_the_prefix_is_refused() {
    for key in ["theirs", "a", ""] {
        let fake = Fake::new(&[page(&entry(key), false)]).await;
        let failure = fake.client().list("b", "a/", None, 2).await.unwrap_err();
        assert!(matches!(failure, Failure::Unreadable { .. }), "{key}: {failure}");
        let fake = Fake::new(&[versions(&[(key, "1")], false)]).await;
        let failure = fake.client().list_versions("b", "a/", None, 2).await.unwrap_err();
        assert!(matches!(failure, Failure::Unreadable { .. }), "{key}: {failure}");
    }
}

#[tokio::test]
async fn answer_that_proves_no_emptiness_is_refused() {
    let answers = [page("", true), answer(OK, "<html/>"), answer(OK, "<ListVersionsResult/>")];
    for prepared in answers {
        let fake = Fake::new(std::slice::from_ref(&prepared)).await;
        let failure = fake.client().list("b", "", None, 1).await.unwrap_err();
        assert!(matches!(failure, Failure::Unreadable { .. }), "{prepared}: {failure}");
    }
    for prepared in [answer(OK, "<html/>"), answer(OK, "<ListBucketResult/>")] {
        let fake = Fake::new(std::slice::from_ref(&prepared)).await;
        let failure = fake.client().list_versions("b", "", None, 1).await.unwrap_err();
        assert!(matches!(failure, Failure::Unreadable { .. }), "{prepared}: {failure}");
    }
    for name in ["ListVersionsResult", "ListVersionResult"] {
        let fake = Fake::new(&[answer(OK, &format!("<{name}/>"))]).await;
        assert!(fake.client().list_versions("b", "", None, 1).await.unwrap().versions.is_empty());
    }
}

#[tokio::test]
async fn entry_with_a_longer_text_than_s3_allows_is_refused() {
    let object = |key: usize, tag: usize, time: usize| {
        let (key, tag, time) = ("k".repeat(key), "t".repeat(tag), "2".repeat(time));
        format!("<Key>{key}</Key><Size>1</Size><ETag>{tag}</ETag><LastModified>{time}</LastModified>")
    };
    let long = 1025;
    for (texts, id, is_valid) in [
        (object(1024, 1024, 1024), 1024, true),
        (object(long, 1, 1), 1, false),
        (object(1, long, 1), 1, false),
        (object(1, 1, long), 1, false),
    ] {
        let fake = Fake::new(&[page(&format!("<Contents>{texts}</Contents>"), false)]).await;
        assert_eq!(fake.client().list("b", "", None, 2).await.is_ok(), is_valid);
        let version = format!("<Version>{texts}<VersionId>{}</VersionId></Version>", "v".repeat(id));
        let fake = Fake::new(&[answer(OK, &format!("<ListVersionsResult>{version}</ListVersionsResult>"))]).await;
        assert_eq!(fake.client().list_versions("b", "", None, 2).await.is_ok(), is_valid);
    }
    let fake = Fake::new(&[versions(&[("k", &"v".repeat(long))], false)]).await;
    assert!(matches!(fake.client().list_versions("b", "", None, 2).await.unwrap_err(), Failure::Unreadable { .. }));
}

fn versions(ids: &[(&str, &str)], is_truncated: bool) -> String {
    let version = |(key, id): &(&str, &str)| {
        format!("<Version><Key>{key}</Key><VersionId>{id}</VersionId><Size>1</Size></Version>")
    };
    let versions: Vec<String> = ids.iter().map(version).collect();
    let end = format!("<IsTruncated>{is_truncated}</IsTruncated><NextKeyMarker>opaque[x]</NextKeyMarker>");
    answer(OK, &format!("<ListVersionsResult>{}{end}</ListVersionsResult>", versions.concat()))
}

fn ids(page: &VersionPage) -> Vec<&str> {
    page.versions.iter().map(|version| version.version.as_str()).collect()
}

fn place(key: &str, version: &str) -> Marker {
    Marker { key: key.to_owned(), version: Some(version.to_owned()) }
}

#[tokio::test]
async fn page_of_versions_ends_with_a_whole_object() {
    let fake = Fake::new(&[
        versions(&[("a", "a2"), ("a", "a1"), ("b", "b9")], true),
        versions(&[("a", "a1"), ("b", "b9"), ("b", "b8")], true),
        versions(&[("b", "b8"), ("b", "b7")], true),
        versions(&[("b", "b7"), ("c", "c1")], false),
    ])
    .await;
    let (client, mut after) = (fake.client(), None);
    for (expected, next) in [
        (&["a2", "a1"][..], Some(place("a", "a1"))),
        (&["b9", "b8"], Some(place("b", "b8"))),
        (&["b7"], Some(place("b", "b7"))),
        (&["c1"], None),
    ] {
        let page = client.list_versions("b", "", after.as_ref(), 3).await.unwrap();
        assert_eq!(ids(&page), expected);
        assert_eq!(page.next, next);
        after = page.next;
    }
    assert_eq!(fake.lines()[1], "GET /b?encoding-type=url&key-marker=a&max-keys=3&version-id-marker=a1&versions=");
}

#[tokio::test]
async fn page_of_versions_that_goes_back_is_refused() {
    for ids in [&[("a", "a1")][..], &[("0", "x")], &[]] {
        let fake = Fake::new(&[versions(ids, true)]).await;
        let failure = fake.client().list_versions("b", "", Some(place("a", "a1")).as_ref(), 3).await.unwrap_err();
        assert!(matches!(failure, Failure::Unreadable { .. }), "{ids:?}: {failure}");
    }
    let fake = Fake::new(&[versions(&[("a", "1"); 4], false)]).await;
    assert!(matches!(fake.client().list_versions("b", "", None, 3).await.unwrap_err(), Failure::Unreadable { .. }));
}

#[tokio::test]
async fn newest_is_first_where_delete_markers_are_apart() {
    let entry =
        |kind: &str, id: &str, rest: &str| format!("<{kind}><Key>k</Key><VersionId>{id}</VersionId>{rest}</{kind}>");
    let ulid = |number: u8| format!("01M8NMBD3WM58BJCD6NS3HJEG{number}");
    let time = |second: u8| format!("<LastModified>2026-11-30T07:04:3{second}.000Z</LastModified>");
    for (entries, expected) in [
        (
            vec![entry("DeleteMarker", &ulid(2), ""), entry("Version", &ulid(3), ""), entry("Version", &ulid(1), "")],
            vec![ulid(3), ulid(2), ulid(1)],
        ),
        (
            vec![
                entry("DeleteMarker", "m", &time(2)),
                entry("Version", "x", &time(3)),
                entry("Version", "a", &time(1)),
            ],
            vec!["x".to_owned(), "m".to_owned(), "a".to_owned()],
        ),
        (
            vec![entry("Version", "x", &time(3)), entry("DeleteMarker", "m", "<IsLatest>true</IsLatest>")],
            vec!["m".to_owned(), "x".to_owned()],
        ),
    ] {
        let fake =
            Fake::new(&[answer(OK, &format!("<ListVersionsResult>{}</ListVersionsResult>", entries.concat()))]).await;
        let page = fake.client().list_versions("b", "", None, 10).await.unwrap();
        assert_eq!(ids(&page), expected);
        assert_eq!(page.next, None);
    }
}

#[tokio::test]
async fn deleting_many_names_what_remains() {
    let body = "<DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code></Error></DeleteResult>";
    let fake = Fake::new(&[answer(OK, body)]).await;
    let item = |key: &str, version: Option<&str>| Item { key: key.to_owned(), version: version.map(str::to_owned) };
    let remaining = fake.client().delete_many("b", &[item("a&", None), item("b", Some("v1"))]).await.unwrap();
    assert_eq!(remaining, [Undeleted { key: "b".to_owned(), code: Code::AccessDenied }]);
    let seen = &fake.seen()[0];
    assert!(
        seen.body.contains("<Object><Key>a&amp;</Key></Object><Object><Key>b</Key><VersionId>v1</VersionId></Object>")
    );
    assert!(seen.headers.contains_key("content-md5"));
}
