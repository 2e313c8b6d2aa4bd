//! The verification against a server in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use temporal_stack_common::s3::{
    Key,
    fake::{Fake, ID, SECRET, answer, refusal},
};

use super::*;
use crate::names;

const OK: &str = "200 OK";

fn target(fake: &Fake, name: &str, has_versions: bool) -> Target {
    let key = Key { id: ID.to_owned(), secret: SECRET.to_owned() };
    let access = Access { address: fake.address(), key, bucket: name.to_owned(), is_restricted: true };
    Target { name: name.to_owned(), access, prefix: PROBE.to_owned(), has_versions, is_locked: false }
}

fn probe(targets: Vec<Target>) -> Probe {
    let nowhere = names::nowhere("7c9e6679-7425-40de-944b-e07fc1f90ae7");
    Probe { targets, obstacle: None, managed_by: ManagedBy::Controller, nowhere, is_inspection: false }
}

fn denied() -> String {
    refusal("403 Forbidden", "AccessDenied", "no")
}

/// An object storage that keeps objects, and lets the key use one bucket.
async fn storage(allowed: &'static str, damage: fn(&str) -> String) -> (Fake, Arc<Mutex<BTreeMap<String, String>>>) {
    let objects: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
    let kept = objects.clone();
    let fake = Fake::answering(move |seen| {
        let (method, target) = seen.line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
        let mut kept = kept.lock().unwrap();
        match method {
            _ if bucket != allowed => denied(),
            "PUT" => {
                kept.insert(key.to_owned(), seen.body.clone());
                answer(OK, "")
            }
            "DELETE" => {
                kept.remove(key);
                answer("204 No Content", "")
            }
            _ if query.contains("list-type") => {
                let entry = |key: &String| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
                let entries: String = kept.keys().map(entry).collect();
                answer(OK, &format!("<ListBucketResult>{entries}</ListBucketResult>"))
            }
            _ => answer(OK, &damage(&kept[key])),
        }
    })
    .await;
    (fake, objects)
}

#[tokio::test]
async fn bucket_that_works_is_verified_and_left_empty() {
    let (fake, objects) = storage("albums", str::to_owned).await;
    objects.lock().unwrap().insert(format!("{PROBE}1"), "of an earlier verification".to_owned());
    let verdict = verify(&probe(vec![target(&fake, "albums", false)]), &Memory::default()).await;
    assert!(matches!(&verdict, Verdict::Verified(_)), "{verdict:?}");
    assert!(objects.lock().unwrap().is_empty());
}

#[tokio::test]
async fn key_of_the_only_bucket_is_tried_where_nothing_is() {
    let (fake, _) = storage("albums", str::to_owned).await;
    assert!(matches!(
        verify(&probe(vec![target(&fake, "albums", false)]), &Memory::default()).await,
        Verdict::Verified(_)
    ));
    let elsewhere: Vec<String> = fake.lines().into_iter().filter(|line| !line.contains("/albums")).collect();
    assert!(!elsewhere.is_empty());
    let nowhere = "/no-such-7c9e6679-7425-40de-944b-e07fc1f90ae7";
    assert!(elsewhere.iter().all(|line| line.contains(nowhere)), "{elsewhere:?}");
}

#[tokio::test]
async fn another_bucket_is_tried_with_the_key() {
    let (fake, _) = storage("albums", str::to_owned).await;
    let other = Target { name: "private".to_owned(), ..target(&fake, "private", false) };
    let probe = probe(vec![target(&fake, "albums", false), other]);
    let tried = use_bucket(&probe.targets[0], "private", false).await;
    assert!(tried.is_ok());
    assert!(fake.lines().iter().any(|line| line.starts_with("PUT /private/")), "{:?}", fake.lines());
}

#[tokio::test]
async fn key_that_may_use_another_bucket_is_reported() {
    let fake = Fake::new(&[answer(OK, "<ListBucketResult/>")]).await;
    let client =
        temporal_stack_common::s3::Client::new(&fake.address(), &target(&fake, "a", false).access.key).unwrap();
    assert!(matches!(try_elsewhere(&client, "private", true).await, Err(Wrong::Loose(other)) if other == "private"));
}

#[tokio::test]
async fn loose_key_is_remembered_until_it_is_refused() {
    // The key of the first bucket can list the second one.
    let is_open = Arc::new(Mutex::new(true));
    let open = is_open.clone();
    let fake = Fake::answering(move |seen| {
        let is_refused = seen.line.contains("/private") && !*open.lock().unwrap();
        if is_refused { denied() } else { answer(OK, "<ListBucketResult/>") }
    })
    .await;
    let inspection = |managed_by| Probe {
        managed_by,
        is_inspection: true,
        ..probe(vec![target(&fake, "albums", false), target(&fake, "private", false)])
    };
    let (memory, theirs) = (Memory::default(), inspection(ManagedBy::Rook));
    verify(&theirs, &memory).await;
    assert!(memory.loose.due().is_empty(), "there is nothing to restrict it with");
    let ours = inspection(ManagedBy::Controller);
    let Verdict::Failed { reason, message } = verify(&ours, &memory).await else { panic!() };
    assert!(reason == reason::KEY_NOT_RESTRICTED && message.contains("again"), "{message}");
    assert_eq!(memory.loose.due().into_iter().collect::<Vec<_>>(), ["albums", "private"]);
    *is_open.lock().unwrap() = false;
    let only = Probe { targets: ours.targets[..1].to_vec(), nowhere: "private".to_owned(), ..ours };
    assert!(matches!(verify(&only, &memory).await, Verdict::Verified(_)));
    assert_eq!(memory.loose.due().into_iter().collect::<Vec<_>>(), ["private"]);
}

#[tokio::test]
async fn object_that_differs_is_reported() {
    let (fake, _) = storage("albums", |_| "something else".to_owned()).await;
    let verdict = verify(&probe(vec![target(&fake, "albums", false)]), &Memory::default()).await;
    let Verdict::Failed { reason, message } = verdict else { panic!("{verdict:?}") };
    assert_eq!(reason, reason::VERIFICATION_FAILED);
    assert!(message.contains("albums") && message.contains("not the one that was put"), "{message}");
}

#[tokio::test]
async fn inspection_writes_nothing() {
    let (fake, _) = storage("albums", str::to_owned).await;
    let inspection = Probe { is_inspection: true, ..probe(vec![target(&fake, "albums", false)]) };
    assert!(matches!(verify(&inspection, &Memory::default()).await, Verdict::Verified(_)));
    assert!(fake.lines().iter().all(|line| line.starts_with("GET ")), "{:?}", fake.lines());
}

#[tokio::test]
async fn locked_objects_are_left_for_the_next_verification() {
    let version = format!("<Version><Key>{PROBE}1</Key><VersionId>v</VersionId></Version>");
    let list = format!("<ListVersionsResult>{version}</ListVersionsResult>");
    let fake = Fake::new(&[answer(OK, &list), refusal("400 Bad Request", "InvalidRequest", "locked")]).await;
    let locked = Target { is_locked: true, ..target(&fake, "albums", true) };
    assert!(clean(&fake.client(), &locked).await.is_ok());
    assert!(fake.lines()[1].contains("versionId=v"), "{:?}", fake.lines());
    let fake = Fake::new(&[answer(OK, &list), denied()]).await;
    assert!(clean(&fake.client(), &target(&fake, "albums", true)).await.is_err());
}

#[tokio::test]
async fn obstacle_is_the_verdict() {
    let obstacle = |is_for_user| {
        let message = "bucket albums is taken".to_owned();
        Some(Obstacle { reason: reason::BUCKET_TAKEN, message, is_for_user })
    };
    let stalled = verify(&Probe { obstacle: obstacle(true), ..probe(Vec::new()) }, &Memory::default()).await;
    assert!(matches!(stalled, Verdict::Stalled { reason: reason::BUCKET_TAKEN, .. }));
    let failed = verify(&Probe { obstacle: obstacle(false), ..probe(Vec::new()) }, &Memory::default()).await;
    assert!(matches!(failed, Verdict::Failed { .. }));
}

#[tokio::test]
async fn refusal_stalls_only_where_the_user_must_correct_it() {
    let fake = Fake::new(&[refusal("403 Forbidden", "InvalidAccessKeyId", "no")]).await;
    let ours = probe(vec![target(&fake, "albums", false)]);
    assert!(matches!(verify(&ours, &Memory::default()).await, Verdict::Failed { .. }));
    let theirs = Probe { managed_by: ManagedBy::User, ..ours };
    assert!(matches!(
        verify(&theirs, &Memory::default()).await,
        Verdict::Stalled { reason: reason::LOGIN_REFUSED, .. }
    ));
}

#[tokio::test]
async fn no_verdict_shows_a_key() {
    let echo = format!("no {ID} with {SECRET}");
    let fake = Fake::new(&[refusal("403 Forbidden", "AccessDenied", &echo)]).await;
    let verdict = verify(&probe(vec![target(&fake, "albums", false)]), &Memory::default()).await;
    let shown = format!("{verdict:?} {:?}", target(&fake, "albums", false));
    assert!(!shown.contains(ID) && !shown.contains(SECRET), "{shown}");
}
