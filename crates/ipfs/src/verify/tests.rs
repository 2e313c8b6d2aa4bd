//! How often something is written, by a peer that is both programs at once.

use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;

use super::*;
use crate::ipfs_cluster::fake::{Fake, whole};

const CID: &str = "bafk";

/// A peer that answers as both programs, and remembers the latest proof of the pin.
async fn peer() -> Fake {
    let pinned: std::sync::Mutex<Option<String>> = std::sync::Mutex::default();
    Fake::new(move |asked| {
        let json = |value: serde_json::Value| whole("200 OK", &value.to_string());
        let mut pinned = pinned.lock().unwrap();
        let path = asked.split(' ').nth(1).unwrap();
        match (asked.split('/').nth(1), asked.starts_with("POST /pins/")) {
            (_, true) => {
                let proven = path.split("meta-temporal-stack.dev%2Fproven=").nth(1).unwrap();
                *pinned = Some(proven.replace("%20", " "));
                json(json!({}))
            }
            (Some("allocations"), _) => match &*pinned {
                Some(proven) => json(json!({"cid": CID, "metadata": {PROVEN: proven}})),
                None => whole("404 Not Found", "{\"message\":\"no\"}"),
            },
            (Some("pins"), _) => json(json!({"cid": CID, "peer_map": {"A": {"status": "pinned"}}})),
            _ if path.starts_with("/api/v0/add") => json(json!({"Hash": CID})),
            _ if path.starts_with("/api/v0/cat") => whole("200 OK", "content"),
            _ => json(json!({"Hash": CID, "Error": "pinned: recursive"})),
        }
    })
    .await
}

/// A probe that uses a peer for everything.
fn probe(fake: &Fake) -> Probe {
    let port = fake.address().rsplit_once(':').unwrap().1.parse().unwrap();
    let endpoint = crate::fixture::endpoint("127.0.0.1", port);
    Probe {
        content: b"content".to_vec(),
        cid: CID.to_owned(),
        subject: "a".to_owned(),
        access: Access { kubo: endpoint.clone(), cluster: endpoint.clone() },
        reader: endpoint,
        evidence: "is pinned".to_owned(),
        is_busy: false,
        is_read_only: false,
    }
}

fn written(fake: &Fake) -> usize {
    fake.asked().iter().filter(|asked| asked.starts_with("POST /pins/") || asked.starts_with("DELETE")).count()
}

#[tokio::test]
async fn day_of_verifications_writes_one_pin() {
    let (fake, client) = (peer().await, Client::new());
    let probe = probe(&fake);
    let user = User::new(&probe, &client);
    let now = AtomicI64::new(1_800_000_000);
    for _ in 0..480 {
        let now = now.fetch_add(179, Ordering::Relaxed);
        assert_eq!(user.prove(now).await.unwrap(), Proof::Read);
    }
    assert_eq!(written(&fake), 1);
    assert_eq!(user.prove(1_800_000_000 + LEAST).await.unwrap(), Proof::Read);
    assert_eq!(written(&fake), 2);
}

#[tokio::test]
async fn changes_are_proven_within_the_stated_rate() {
    let (fake, client) = (peer().await, Client::new());
    let mut probe = probe(&fake);
    for second in 0..120 {
        probe.subject = second.to_string();
        User::new(&probe, &client).prove(1_800_000_000 + second * 10).await.unwrap();
    }
    assert_eq!(written(&fake), 2);
}

#[tokio::test]
async fn inspection_writes_nothing() {
    let (fake, client) = (peer().await, Client::new());
    let probe = Probe { is_read_only: true, ..probe(&fake) };
    assert_eq!(verify(&probe, &client).await, Verdict::Unknown);
    User::new(&probe, &client).prove(1_800_000_000).await.unwrap();
    let before = fake.asked().len();
    assert!(matches!(verify(&probe, &client).await, Verdict::Verified(_)));
    let asked = fake.asked().split_off(before);
    let reads = ["GET ", "POST /api/v0/cat?"];
    assert!(asked.iter().all(|asked| reads.iter().any(|read| asked.starts_with(read))), "{asked:?}");
}

#[tokio::test]
async fn redirected_write_is_not_followed() {
    let victim = Fake::new(|_| whole("200 OK", "{}")).await;
    let target = victim.address();
    let attacker = Fake::new(move |asked| {
        let path = asked.split(' ').nth(1).unwrap();
        let rest = "Content-Length: 0\r\nConnection: close\r\n\r\n";
        format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{target}{path}\r\n{rest}")
    })
    .await;
    let verdict = verify(&probe(&attacker), &Client::new()).await;
    let Verdict::Failed { message, .. } = verdict else { panic!("{verdict:?}") };
    assert!(message.contains("redirects are not followed"), "{message}");
    let cluster = &attacker.cluster;
    assert!(cluster.recover("a").await.is_err());
    assert!(cluster.pin(&Pin { cid: "a".to_owned(), ..Pin::default() }, &PinUpdate::default()).await.is_err());
    assert!(!attacker.asked().is_empty() && victim.asked().is_empty());
}

#[test]
fn proof_in_the_future_is_none() {
    let pin = |at: i64, what: &str| {
        let metadata = BTreeMap::from([(PROVEN.to_owned(), format!("{at} {what}"))]);
        Pin { metadata, ..Pin::default() }
    };
    let due = |at, what| is_due(Some(&pin(at, what)), "a", 100_000);
    assert!(!due(100_000, "a") && !due(100_000 - LEAST + 1, "a") && !due(100_001, "b"));
    assert!(due(100_000 - LEAST, "a") && due(100_000 - MOST, "b") && due(i64::MAX, "a") && due(i64::MIN, "a"));
    assert!(is_due(Some(&Pin::default()), "a", 0) && is_due(None, "a", 0));
}
