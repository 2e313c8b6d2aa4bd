//! The calls to Kubo and IPFS Cluster, held against those that were seen of the original.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{Method, Uri};
use tokio::net::TcpListener;

use crate::cluster::Cluster;
use crate::config::Config;
use crate::kubo::Kubo;

/// The table of the facts, word for word.
const FACTS: &str = include_str!("../fixtures/calls.md");
const CID: &str = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n";
const REFERENCE: &str = "QmcNydwBWhCxqcEHRJMz8VMhruB2PnEBpS4i4vE3VLDN9w";

/// Both products as they were in 2020.
struct Fake {
    config: Config,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let calls = seen.clone();
        let answer = move |method: Method, uri: Uri| {
            let call = format!("{method} {uri}").replace(CID, "<cid>").replace(REFERENCE, "<ref>");
            calls.lock().unwrap().push(call);
            async move { answer(&method, uri.path()) }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        let config = Config::of(&[
            ("IPFS.APIConnection.Host", "127.0.0.1"),
            ("IPFS.APIConnection.Port", &port),
            ("IPFSCluster.APIConnection.Host", "127.0.0.1"),
            ("IPFSCluster.APIConnection.Port", &port),
        ]);
        Self { config, seen }
    }

    /// What was called, each in the row of this beginning.
    #[track_caller]
    fn assert_seen(&self, row: &str, calls: &[&str]) {
        let row = FACTS.lines().find(|line| line.starts_with(row)).unwrap();
        for call in calls {
            assert!(row.contains(&format!("`{call}`")), "{call} is not in {row}");
        }
        assert_eq!(*self.seen.lock().unwrap(), calls);
        self.seen.lock().unwrap().clear();
    }
}

fn answer(method: &Method, path: &str) -> String {
    match path {
        "/api/v0/id" => r#"{"ID": "Qm", "Addresses": []}"#.to_owned(),
        "/api/v0/add" => format!(r#"{{"Hash": "{CID}"}}"#),
        "/api/v0/refs" => format!(r#"{{"Ref": "{REFERENCE}", "Err": ""}}"#),
        "/api/v0/object/stat" => r#"{"DataSize": 7, "CumulativeSize": 9}"#.to_owned(),
        "/peers" => "[]".to_owned(),
        _ if method == Method::POST => format!(r#"{{"cid": {{"/": "{CID}"}}, "type": 2}}"#),
        _ => format!(r#"{{"cid": {{"/": "{CID}"}}, "peer_map": {{"Qm": {{"status": "pinned"}}}}}}"#),
    }
}

#[tokio::test]
async fn start_makes_the_recorded_calls() {
    let fake = Fake::start().await;
    Kubo::connect(&fake.config).await.unwrap();
    fake.assert_seen("| `queue ipfs pin` starts", &["POST /api/v0/id?"]);
    Cluster::connect(&fake.config).await.unwrap();
    fake.assert_seen("| `queue ipfs cluster` starts", &["GET /peers"]);
}

#[tokio::test]
async fn upload_makes_the_recorded_calls() {
    let fake = Fake::start().await;
    let kubo = Kubo::connect(&fake.config).await.unwrap();
    fake.seen.lock().unwrap().clear();
    for only_hash in [true, false] {
        assert_eq!(kubo.add(&Bytes::from("a"), "sha2-256", only_hash).await, Ok(CID.to_owned()));
    }
    let calls = ["POST /api/v0/add?hash=sha2-256&only-hash=true", "POST /api/v0/add?hash=sha2-256"];
    fake.assert_seen("| `POST /v2/ipfs/public/file/add`", &calls);
}

#[tokio::test]
async fn pin_makes_the_recorded_calls() {
    let fake = Fake::start().await;
    let kubo = Kubo::connect(&fake.config).await.unwrap();
    let cluster = Cluster::connect(&fake.config).await.unwrap();
    fake.seen.lock().unwrap().clear();
    assert_eq!(kubo.size(CID).await, Ok(7));
    let calls = ["POST /api/v0/refs?arg=<cid>&recursive=true&unique=true", "POST /api/v0/object/stat?arg=<ref>"];
    fake.assert_seen("| `POST /v2/ipfs/public/pin/<cid>`", &calls);
    assert_eq!(cluster.pin(CID).await, Ok(vec![("Qm".to_owned(), "pinned".to_owned())]));
    let query = "name=&replication-max=-1&replication-min=-1&shard-size=0&user-allocations=";
    let calls = [format!("POST /pins/<cid>?{query}"), "GET /pins/<cid>?local=true".to_owned()];
    fake.assert_seen("| `POST /v2/ipfs/public/file/add`", &calls.each_ref().map(String::as_str));
}
