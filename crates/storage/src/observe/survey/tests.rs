//! The survey of a server with prepared answers.

mod trust;

use temporal_stack_common::{
    api::{MinioProvider, VersityProvider},
    s3::fake::{Fake, ID, SECRET, answer, refusal},
};

use super::*;

const OK: &str = "200 OK";

fn store(fake: &Fake) -> Store {
    let key = temporal_stack_common::s3::Key { id: ID.to_owned(), secret: SECRET.to_owned() };
    Store { address: fake.address(), administration: fake.address(), key, account: None }
}

fn wanted() -> BTreeMap<String, bool> {
    BTreeMap::from([("albums".to_owned(), true)])
}

/// A storage that answers each resource of a bucket as told, and refuses the others as a bucket without settings does.
async fn bucket(special: &'static [(&'static str, u16, &'static str)]) -> Fake {
    Fake::answering(move |seen| {
        let resource = seen.line.split('?').nth(1).unwrap_or_default();
        if let Some((_, status, code)) = special.iter().find(|(name, ..)| resource.starts_with(name)) {
            return refusal(&format!("{status} No"), code, "no");
        }
        match resource {
            "versioning=" => answer(OK, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
            resource if resource.ends_with("versions=") => answer(OK, "<ListVersionsResult/>"),
            "object-lock=" => refusal("404 Not Found", "ObjectLockConfigurationNotFoundError", ""),
            "lifecycle=" => refusal("404 Not Found", "NoSuchLifecycleConfiguration", ""),
            _ => answer(OK, "<ListBucketResult/>"),
        }
    })
    .await
}

async fn surveyed(special: &'static [(&'static str, u16, &'static str)]) -> Survey {
    external(&store(&bucket(special).await), &wanted()).await
}

fn found(survey: &Survey) -> &Found {
    match survey {
        Survey::Known(known) => &known.buckets["albums"],
        Survey::Silent(failure) => panic!("{failure}"),
        Survey::Unasked => panic!("not asked"),
    }
}

#[tokio::test]
async fn settings_of_a_bucket_are_read() {
    let survey = surveyed(&[]).await;
    let Found::Usable(facts) = found(&survey) else { panic!() };
    assert_eq!(facts.versioning, Fact::Is(Versioning::Enabled));
    assert_eq!((&facts.lock, &facts.expiration), (&Fact::Is(Locking::Off), &Fact::Is(None)));
    assert_eq!((&facts.quota, facts.is_empty), (&Fact::Unsupported, None));
}

#[tokio::test]
async fn use_of_a_bucket_does_not_show_whose_it_is() {
    let evidence = |list: &'static str, tagging: String, account: Option<&'static str>| async move {
        let fake = Fake::answering(move |seen| match seen.line.split(['/', '?']).nth(1) {
            Some("") if list.is_empty() => refusal("403 No", "AccessDenied", ""),
            Some("") => answer(OK, &format!("<A><Buckets><Bucket><Name>{list}</Name></Bucket></Buckets></A>")),
            _ if seen.line.ends_with("?tagging=") => tagging.clone(),
            _ if seen.line.ends_with("?versioning=") => answer(OK, "<VersioningConfiguration/>"),
            _ if seen.line.contains("?o") => refusal("404 No", "ObjectLockConfigurationNotFoundError", ""),
            _ if seen.line.contains("?lifecycle") => refusal("404 No", "NoSuchLifecycleConfiguration", ""),
            _ => answer(OK, "<ListBucketResult/>"),
        })
        .await;
        let store = Store { account: account.map(str::to_owned), ..store(&fake) };
        let survey = external(&store, &wanted()).await;
        let Found::Usable(facts) = found(&survey) else { panic!() };
        let Evidence { is_of_account, owner } = facts.evidence.clone().unwrap();
        (is_of_account, owner)
    };
    let tag = "<Tag><Key>temporal-stack.dev/owner</Key><Value>uid</Value></Tag>";
    let tagged = || answer(OK, &format!("<Tagging><TagSet>{tag}</TagSet></Tagging>"));
    let untagged = || refusal("404 No", "NoSuchTagSet", "");
    let owner = Fact::Is(Some("uid".to_owned()));
    assert_eq!(evidence("albums", tagged(), None).await, (Some(true), owner.clone()));
    assert_eq!(evidence("others", tagged(), None).await, (Some(false), owner.clone()));
    assert_eq!(evidence("", tagged(), None).await, (None, owner));
    assert_eq!(evidence("", untagged(), Some("111122223333")).await, (Some(true), Fact::Is(None)));
    let refused = refusal("501 No", "NotImplemented", "");
    assert_eq!(evidence("albums", refused, None).await.1, Fact::Unsupported);
    let refused = refusal("403 No", "AccessDenied", "");
    assert_eq!(evidence("albums", refused, None).await.1, Fact::Refused);
}

/// The requests about a bucket in each of two passes over an engine that has one bucket with nothing set.
async fn requests_of_two_passes(kind: Kind, lifecycle: (u16, &'static str)) -> [usize; 2] {
    let fake = Fake::answering(move |seen| match seen.line.split(['?', '=']).nth(1) {
        Some("versioning") => answer(OK, "<VersioningConfiguration/>"),
        Some("object-lock") => refusal("404 No", "ObjectLockConfigurationNotFoundError", ""),
        Some("lifecycle") => refusal(&format!("{} No", lifecycle.0), lifecycle.1, ""),
        Some("bucket") => answer(OK, "{}"),
        _ => answer(OK, "<ListBucketResult/>"),
    })
    .await;
    let logins = BTreeMap::from([("albums".to_owned(), vec![crate::fixture::login(1)])]);
    let bound = BTreeMap::from([("albums".to_owned(), crate::fixture::bound(1))]);
    let (lasting, mut counts) = (Lasting::default(), [0; 2]);
    for count in &mut counts {
        let before = fake.lines().len();
        let survey = embedded(&kind, &[store(&fake)], &wanted(), &logins, &bound, &lasting).await;
        let Found::Usable(facts) = found(&survey) else { panic!() };
        let is_supported = lifecycle.0 != 501;
        assert_eq!(facts.expiration, if is_supported { Fact::Is(None) } else { Fact::Unsupported });
        assert_eq!(facts.lock, Fact::Is(Locking::Off));
        *count = fake.lines().len() - before;
    }
    counts
}

#[tokio::test]
async fn bucket_costs_few_requests_per_pass() {
    // 7 and 6 when each pass asked whether the bucket exists, twice for its lock, and for what the engine does not have.
    let none = (404, "NoSuchLifecycleConfiguration");
    assert_eq!(requests_of_two_passes(Kind::Minio(MinioProvider::default()), none).await, [5, 4]);
    let unsupported = (501, "NotImplemented");
    assert_eq!(requests_of_two_passes(Kind::Versity(VersityProvider::default()), unsupported).await, [4, 2]);
}

#[tokio::test]
async fn absent_bucket_of_an_engine_is_found_absent() {
    let kind = Kind::Minio(MinioProvider::default());
    for (code, status, is_absent) in [("NoSuchBucket", 404, true), ("AccessDenied", 403, false)] {
        let fake = Fake::answering(move |_| refusal(&format!("{status} No"), code, "")).await;
        let survey =
            embedded(&kind, &[store(&fake)], &wanted(), &BTreeMap::new(), &BTreeMap::new(), &Lasting::default()).await;
        assert_eq!(matches!(found(&survey), Found::Absent), is_absent, "{code}");
        assert_eq!(matches!(found(&survey), Found::Foreign), !is_absent, "{code}");
    }
}

#[tokio::test]
async fn features_that_are_missing_or_refused_are_distinguished() {
    let survey = surveyed(&[("lifecycle", 501, "NotImplemented"), ("versioning", 403, "AccessDenied")]).await;
    let Found::Usable(facts) = found(&survey) else { panic!() };
    assert_eq!((&facts.expiration, &facts.versioning), (&Fact::Unsupported, &Fact::Refused));
}

#[tokio::test]
async fn bucket_whose_versions_are_hidden_is_not_called_empty() {
    let leaving = BTreeMap::from([("albums".to_owned(), false)]);
    for (special, is_empty) in [(&[][..], Some(true)), (&[("versioning", 403, "AccessDenied")], None)] {
        let survey = external(&store(&bucket(special).await), &leaving).await;
        let Found::Usable(facts) = found(&survey) else { panic!() };
        assert_eq!(facts.is_empty, is_empty, "{special:?}");
    }
}

#[tokio::test]
async fn bucket_that_cannot_be_inspected_fails_alone() {
    let survey = surveyed(&[("versioning", 400, "InvalidRequest")]).await;
    assert!(matches!(found(&survey), Found::Failed(_)));
}

#[tokio::test]
async fn bucket_that_redirects_fails_alone_beside_another() {
    let moved = |buckets: &'static [&'static str]| {
        Fake::answering(move |seen| {
            let bucket = seen.line.split(['/', '?']).nth(1).unwrap_or_default();
            match seen.line.split('?').nth(1) {
                _ if buckets.contains(&bucket) => answer("301 Moved Permanently", ""),
                Some("versioning=") => answer(OK, "<VersioningConfiguration/>"),
                Some("object-lock=") => refusal("404 No", "ObjectLockConfigurationNotFoundError", ""),
                Some("lifecycle=") => refusal("404 No", "NoSuchLifecycleConfiguration", ""),
                _ => answer(OK, "<ListBucketResult/>"),
            }
        })
    };
    let wanted = BTreeMap::from(["albums", "far"].map(|name| (name.to_owned(), true)));
    let Survey::Known(known) = external(&store(&moved(&["far"]).await), &wanted).await else { panic!() };
    assert!(matches!(known.buckets["albums"], Found::Usable(_)));
    assert!(matches!(known.buckets["far"], Found::Failed(Failure::Http(http::Failure::Redirect { .. }))));
    let elsewhere = external(&store(&moved(&["albums", "far"]).await), &wanted).await;
    assert!(matches!(elsewhere, Survey::Silent(_)));
}

#[tokio::test]
async fn wrong_key_or_clock_is_the_failure_of_all() {
    for code in ["InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"] {
        let fake = Fake::new(&[answer("403 Forbidden", ""), refusal("403 Forbidden", code, "no")]).await;
        assert!(matches!(external(&store(&fake), &wanted()).await, Survey::Silent(_)), "{code}");
    }
    let fake = Fake::new(&[answer("500 No", "")]).await;
    assert!(matches!(external(&store(&fake), &wanted()).await, Survey::Silent(_)));
}

#[tokio::test]
async fn storage_without_buckets_is_asked_for_its_key() {
    let denied = Fake::new(&[refusal("403 Forbidden", "AccessDenied", "no")]).await;
    assert!(matches!(external(&store(&denied), &BTreeMap::new()).await, Survey::Known(_)));
    let unknown = Fake::new(&[refusal("403 Forbidden", "InvalidAccessKeyId", "no")]).await;
    assert!(matches!(external(&store(&unknown), &BTreeMap::new()).await, Survey::Silent(_)));
}

#[tokio::test]
async fn logins_are_tried_with_their_own_keys() {
    let logins = [crate::fixture::login(1), crate::fixture::login(2)];
    for (code, state) in [
        ("InvalidAccessKeyId", LoginState::Absent),
        ("SignatureDoesNotMatch", LoginState::Unusable),
        ("AccessDenied", LoginState::Unusable),
        ("NoSuchBucket", LoginState::Unusable),
    ] {
        let fake = Fake::new(&[refusal("403 Forbidden", code, "no")]).await;
        let login_states = login_states(&[store(&fake)], "albums", &logins, true, None).await.unwrap();
        assert_eq!(login_states, [state; 2], "{code}");
        let seen = &fake.seen()[0].headers["authorization"];
        assert!(seen.contains("key-id-1"), "{seen}");
    }
}

#[tokio::test]
async fn next_login_must_work_on_every_server() {
    let (good, bad) = (
        Fake::new(&[answer(OK, "<ListBucketResult/>")]).await,
        Fake::new(&[refusal("403 Forbidden", "InvalidAccessKeyId", "no")]).await,
    );
    let servers = [store(&good), store(&bad)];
    let logins = [crate::fixture::login(1)];
    let next = login_states(&servers, "albums", &logins, true, None).await.unwrap();
    assert_eq!(next, [LoginState::Absent]);
    let bound = crate::fixture::bound(1);
    let in_use = login_states(&servers, "albums", &logins, true, Some(&bound)).await.unwrap();
    assert_eq!(in_use, [LoginState::Usable]);
}
