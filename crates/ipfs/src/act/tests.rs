//! Pins that are written again.

use serde_json::{Value, json};

use super::*;
use crate::{
    fixture::endpoint,
    ipfs_cluster::fake::{Fake, whole},
};

fn surveyed() -> Value {
    json!({
        "cid": "bafk", "name": "a name", "replication_factor_min": 1, "replication_factor_max": 2, "mode": "recursive",
        "type": "pin", "allocations": ["A", "B"], "expire_at": "2030-01-01T00:00:00Z", "metadata": {"key": "value"},
        "origins": ["/ip4/127.0.0.1/tcp/4001/p2p/12D3"], "timestamp": "2026-11-23T04:29:16Z",
    })
}

/// A peer that lists this pin, or none.
async fn peer(pin: Option<Value>) -> Fake {
    Fake::new(move |asked| match &pin {
        Some(pin) => whole("200 OK", &pin.to_string()),
        None if asked.starts_with("GET") => whole("404 Not Found", "{\"code\":404,\"message\":\"not found\"}"),
        None => whole("500 Internal Server Error", "{}"),
    })
    .await
}

/// The writes, each with the place of the peer, if the peers list these now, and those at these places lacked the pin before.
async fn writes(lists: &[Option<Value>], lacking: &[usize]) -> Vec<String> {
    let mut peers = Vec::new();
    for pin in lists {
        peers.push(peer(pin.clone()).await);
    }
    let id = |place: usize| format!("peer {place}");
    let pin = Arc::new(serde_json::from_value(surveyed()).unwrap());
    let relist = Relist { pin, lacking: lacking.iter().map(|place| id(*place)).collect() };
    let port = |peer: &Fake| peer.address().rsplit(':').next().unwrap().parse().unwrap();
    let action = Action::Update(Update {
        peers: peers.iter().map(|peer| endpoint("127.0.0.1", port(peer))).collect(),
        change: Change::Relist { pins: vec![relist], members: (0..peers.len()).map(id).collect() },
        total: 1,
    });
    act(&action, &Client::new(), &Memos::default()).await;
    let writes = |(place, peer): (usize, &Fake)| {
        let posts = peer.asked().into_iter().filter(|asked| asked.starts_with("POST"));
        posts.map(|asked| format!("{place}: {asked}")).collect::<Vec<_>>()
    };
    peers.iter().enumerate().flat_map(writes).collect()
}

const NONE: [&str; 0] = [];

#[tokio::test]
async fn lost_pin_is_written_as_it_is_through_a_peer_that_lists_it() {
    let lists = [None, Some(surveyed()), Some(surveyed())];
    let write = "1: POST /pins/bafk?replication-min=1&replication-max=2&name=a%20name&mode=recursive\
                 &expire-at=2030-01-01T00%3A00%3A00Z&origins=%2Fip4%2F127.0.0.1%2Ftcp%2F4001%2Fp2p%2F12D3&meta-key=value";
    assert_eq!(writes(&lists, &[0]).await, [write]);
}

#[tokio::test]
async fn pin_that_was_removed_or_changed_meanwhile_is_not_written() {
    let listed = || Some(surveyed());
    let mut newer = surveyed();
    newer["name"] = json!("another name");
    let later = [
        [None, listed(), None, listed(), listed()],
        [None, None, None, listed(), listed()],
        [const { None }; 5],
        [None, listed(), listed(), Some(newer), listed()],
    ];
    for lists in later {
        assert_eq!(writes(&lists, &[0]).await, NONE, "{lists:?}");
    }
}

#[tokio::test]
async fn pin_that_all_peers_list_now_or_half_of_them_lack_is_not_written() {
    assert_eq!(writes(&[Some(surveyed()), Some(surveyed())], &[0]).await, NONE);
    assert_eq!(writes(&[None, Some(surveyed())], &[0]).await, NONE);
}

#[tokio::test]
async fn silent_peer_prevents_the_write() {
    let (first, last) = (peer(Some(surveyed())).await, peer(Some(surveyed())).await);
    let silent = Cluster::new(&Client::new(), &endpoint("127.0.0.1", 1));
    let members = [("A", first.cluster.clone()), ("B", silent), ("C", last.cluster.clone())];
    let relist = Relist { pin: Arc::new(serde_json::from_value(surveyed()).unwrap()), lacking: vec!["B".to_owned()] };
    assert!(relist_pin(&members, &relist).await.is_err());
    assert!(first.asked().iter().chain(&last.asked()).all(|asked| asked.starts_with("GET")));
}
