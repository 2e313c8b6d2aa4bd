//! How often something is written, by a peer that is both programs at once.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::{
    fixture,
    ipfs_cluster::fake::{Fake, whole},
};

/// A cluster of one peer that answers as both programs, and remembers what it was told of the pin.
async fn peer(object: &IpfsCluster) -> (Fake, Probe) {
    let (content, cid) = content(object);
    let pinned: std::sync::Mutex<Option<String>> = std::sync::Mutex::default();
    let (answer, name) = (String::from_utf8(content.clone()).unwrap(), cid.clone());
    let fake = Fake::new(move |asked| {
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
                Some(proven) => json(json!({"cid": name, "metadata": {PROVEN: proven}})),
                None => whole("404 Not Found", "{\"message\":\"no\"}"),
            },
            (Some("pins"), _) => json(json!({"cid": name, "peer_map": {"A": {"status": "pinned"}}})),
            _ if path.starts_with("/api/v0/add") => json(json!({"Hash": name})),
            _ if path.starts_with("/api/v0/cat") => whole("200 OK", &answer),
            _ => json(json!({"Hash": name, "Error": "pinned: recursive"})),
        }
    })
    .await;
    let port = fake.address().rsplit_once(':').unwrap().1.parse().unwrap();
    let kubo = Kubo::new(&Client::new(), "127.0.0.1", port);
    let probe = Probe {
        content,
        cid,
        about: "a".to_owned(),
        first: kubo.clone(),
        cluster: fake.cluster.clone(),
        second: kubo,
        how: "is pinned".to_owned(),
        is_busy: false,
    };
    (fake, probe)
}

fn written(fake: &Fake) -> usize {
    fake.asked().iter().filter(|asked| asked.starts_with("POST /pins/") || asked.starts_with("DELETE")).count()
}

#[tokio::test]
async fn a_day_of_verifications_writes_one_pin() {
    let (fake, probe) = peer(&fixture::of_size(1)).await;
    let now = AtomicI64::new(1_800_000_000);
    for _ in 0..480 {
        let now = now.fetch_add(179, Ordering::Relaxed);
        assert!(matches!(probe.prove(now).await.unwrap(), Used::Read));
    }
    assert_eq!(written(&fake), 1);
    assert!(matches!(probe.prove(1_800_000_000 + LEAST).await.unwrap(), Used::Read));
    assert_eq!(written(&fake), 2);
}

#[tokio::test]
async fn changes_are_proven_but_not_more_often_than_stated() {
    let (fake, mut probe) = peer(&fixture::of_size(1)).await;
    for second in 0..120 {
        probe.about = second.to_string();
        probe.prove(1_800_000_000 + second * 10).await.unwrap();
    }
    assert_eq!(written(&fake), 2);
}

#[tokio::test]
async fn an_inspection_writes_nothing() {
    let (fake, probe) = peer(&fixture::of_size(1)).await;
    assert!(matches!(probe.read().await.unwrap(), Used::Missing));
    probe.prove(1_800_000_000).await.unwrap();
    let before = fake.asked().len();
    assert!(matches!(probe.read().await.unwrap(), Used::Read));
    let asked = fake.asked().split_off(before);
    let reads = ["GET ", "POST /api/v0/cat?"];
    assert!(asked.iter().all(|asked| reads.iter().any(|read| asked.starts_with(read))), "{asked:?}");
}

#[tokio::test]
async fn a_server_that_redirects_a_write_leads_nowhere() {
    let victim = Fake::new(|_| whole("200 OK", "{}")).await;
    let target = victim.address();
    let attacker = Fake::new(move |asked| {
        let path = asked.split(' ').nth(1).unwrap();
        let rest = "Content-Length: 0\r\nConnection: close\r\n\r\n";
        format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{target}{path}\r\n{rest}")
    })
    .await;
    let (host, port) = ("127.0.0.1".to_owned(), attacker.address().rsplit_once(':').unwrap().1.parse().unwrap());
    let access = Access { host: host.clone(), port, cluster_host: host, cluster_port: port };
    let observed = Observed {
        source: Source::External(Some(access)),
        ..fixture::observed(fixture::well(&fixture::of_size(1), 1))
    };
    let Verdict::Failed { message, .. } = verify(&fixture::of_size(1), &observed, &Client::new()).await else {
        panic!()
    };
    assert!(message.contains("redirects are not followed"), "{message}");
    let cluster = &attacker.cluster;
    assert!(cluster.recover("a").await.is_err());
    assert!(cluster.pin(&Pin { cid: "a".to_owned(), ..Pin::default() }, &Wish::default()).await.is_err());
    assert!(!attacker.asked().is_empty() && victim.asked().is_empty());
}

#[test]
fn a_proof_in_the_future_is_none() {
    let pin = |at: i64, what: &str| {
        let metadata = BTreeMap::from([(PROVEN.to_owned(), format!("{at} {what}"))]);
        Pin { metadata, ..Pin::default() }
    };
    let due = |at, what| is_due(Some(&pin(at, what)), "a", 100_000);
    assert!(!due(100_000, "a") && !due(100_000 - LEAST + 1, "a") && !due(100_001, "b"));
    assert!(due(100_000 - LEAST, "a") && due(100_000 - MOST, "b") && due(i64::MAX, "a") && due(i64::MIN, "a"));
    assert!(is_due(Some(&Pin::default()), "a", 0) && is_due(None, "a", 0));
}

#[test]
fn the_content_is_the_same_for_an_object_that_is_made_again() {
    let mut object = fixture::of_size(1);
    let before = content(&object);
    object.metadata.uid = Some("other".to_owned());
    assert_eq!(content(&object), before);
    object.metadata.namespace = Some("other".to_owned());
    assert_ne!(content(&object), before);
    assert!(before.1.starts_with("bafkrei"), "{}", before.1);
}
