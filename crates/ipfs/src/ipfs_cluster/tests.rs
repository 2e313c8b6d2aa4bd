//! How good and bad answers of a peer are read.

use k8s_openapi::jiff::Timestamp;

use super::{
    fake::{Fake, cut, empty, list, whole},
    *,
};
use crate::fixture::endpoint;

const A: &str = "{\"cid\":\"a\",\"allocations\":[\"X\"],\"metadata\":null,\"expire_at\":\"0001-01-01T00:00:00Z\"}\n";
const B: &str = "{\"cid\":\"b\"}\n";
const COMPLETE: &str = "X-Stream-Error: \r\n";

async fn cids(answer: String) -> (Vec<String>, Option<String>) {
    let fake = Fake::new(move |_| answer.clone()).await;
    let all: Vec<_> = fake.cluster.allocations().collect().await;
    let failure = all.iter().find_map(|item| item.as_ref().err()).map(ToString::to_string);
    (all.into_iter().filter_map(Result::ok).map(|pin| pin.cid).collect(), failure)
}

#[tokio::test]
async fn list_is_read_line_by_line() {
    assert_eq!(cids(list(&[A, B], COMPLETE)).await, (vec!["a".to_owned(), "b".to_owned()], None));
}

#[tokio::test]
async fn lines_may_be_split_over_chunks() {
    let both = format!("{A}{B}{A}");
    let (first, rest) = both.split_at(9);
    let (second, third) = rest.split_at(A.len());
    assert_eq!(cids(list(&[first, second, third], COMPLETE)).await.0, ["a", "b", "a"]);
}

#[tokio::test]
async fn empty_list_is_empty() {
    assert_eq!(cids(empty()).await, (vec![], None));
}

#[tokio::test]
async fn list_that_the_peer_could_not_finish_is_a_failure() {
    let (cids, failure) = cids(list(&[A], "X-Stream-Error: \r\nX-Stream-Error: datastore closed\r\n")).await;
    assert_eq!(cids, ["a"]);
    assert!(failure.unwrap().ends_with("did not finish its answer to GET /allocations: datastore closed"));
}

#[tokio::test]
async fn list_whose_connection_ends_is_a_failure() {
    for answer in [cut(&[A]), cut(&[A, &B[..5]]), cut(&[A]).strip_suffix("\r\n").unwrap().to_owned()] {
        let (cids, failure) = cids(answer).await;
        assert_eq!(cids, ["a"]);
        assert!(failure.unwrap().contains("did not finish"));
    }
}

#[tokio::test]
async fn list_without_the_announced_trailer_is_a_failure() {
    assert!(cids(list(&[A], "")).await.1.unwrap().contains("to pass trailers"));
}

#[tokio::test]
async fn endless_line_is_a_failure() {
    let chunk = "x".repeat(70_000);
    let chunks = vec![chunk.as_str(); 20];
    assert!(cids(list(&chunks, COMPLETE)).await.1.unwrap().contains("no list has a line of that length"));
}

#[tokio::test]
async fn oversized_pin_is_a_failure() {
    let pin =
        |cid: usize, name: usize| format!("{{\"cid\":\"{}\",\"name\":\"{}\"}}\n", "c".repeat(cid), "n".repeat(name));
    assert_eq!(cids(list(&[&pin(214, 7000)], COMPLETE)).await.0.len(), 1);
    for (pin, cause) in
        [(pin(257, 1), "a CID of more than 256 bytes"), (pin(1, 9000), "no list has a line of that length")]
    {
        let (_, failure) = cids(list(&[A, &pin, B], COMPLETE)).await;
        assert!(failure.unwrap().contains(cause), "{cause}");
    }
}

#[test]
fn oversized_report_of_a_peer_is_a_failure() {
    let peer = |id: usize, peers: usize| {
        let peers = vec!["p"; peers];
        serde_json::from_value::<Peer>(serde_json::json!({"id": "i".repeat(id), "cluster_peers": peers}))
    };
    assert!(peer(52, 256).is_ok() && peer(129, 1).is_err() && peer(52, 257).is_err());
}

#[tokio::test]
async fn line_that_is_no_pin_is_a_failure() {
    let (_, failure) = cids(list(&[A, "{}\n", B], COMPLETE)).await;
    assert!(failure.unwrap().contains("missing field `cid`"));
}

#[tokio::test]
async fn refusal_has_the_words_of_the_peer() {
    let fake = Fake::new(|_| whole("500 Internal Server Error", "{\"code\":500,\"message\":\"no\"}\n")).await;
    let failures: Vec<_> = fake.cluster.statuses(&["pinned", "pinning"]).collect().await;
    let address = fake.address();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].as_ref().unwrap_err().to_string(), format!("{address} refuses GET /pins (500): no"));
    assert_eq!(fake.asked(), ["GET /pins?local=true&filter=pinned%2Cpinning"]);
}

#[tokio::test]
async fn many_cids_take_several_requests() {
    let answer = |asked: &str| {
        let cids = asked.split_once("cids=").unwrap().1;
        let lines: Vec<_> = cids.split("%2C").map(|cid| format!("{{\"cid\":\"{cid}\",\"peer_map\":{{}}}}\n")).collect();
        list(&[&lines.concat()], COMPLETE)
    };
    let fake = Fake::new(answer).await;
    let cids: Vec<String> = (0..=ASKED_AT_ONCE * 2).map(|number| format!("cid{number}")).collect();
    let listed: Vec<_> = fake.cluster.statuses_of(&cids).map_ok(|status| status.cid).try_collect().await.unwrap();
    assert_eq!(listed, cids);
    assert_eq!((fake.asked().len(), fake.asked()[2].as_str()), (3, "GET /pins?local=true&cids=cid60"));
}

#[tokio::test]
async fn silent_address_has_its_own_failure() {
    let client = Client::new();
    let cluster = Cluster::new(&client, &endpoint("::1", 1));
    assert!(cluster.id().await.unwrap_err().to_string().starts_with("[::1]:1 does not answer: "));
}

#[tokio::test]
async fn writes_have_their_paths_and_options() {
    let fake = Fake::new(|asked| match asked {
        "GET /allocations/gone" => {
            whole("404 Not Found", "{\"code\":404,\"message\":\"pin is not part of the pinset\"}")
        }
        "GET /pins/a" => whole(
            "200 OK",
            "{\"cid\":\"a\",\"peer_map\":{\"X\":{\"status\":\"pin_error\",\"error\":\"full\",\"attempt_count\":3,\
             \"timestamp\":\"2026-11-23T04:29:16Z\"},\"Y\":{\"status\":\"pinned\"}}}",
        ),
        _ => whole("200 OK", "{}"),
    })
    .await;
    let cluster = &fake.cluster;
    let pin: Pin = serde_json::from_str(A).unwrap();
    assert_eq!((pin.expire_at, pin.is_data()), (None, true));
    cluster.pin(&pin, &PinUpdate { min: 1, max: 2, ..PinUpdate::default() }).await.unwrap();
    assert_eq!(cluster.allocation("gone").await.unwrap(), None);
    cluster.recover("a").await.unwrap();
    let status = cluster.status("a").await.unwrap();
    assert!(status["Y"].is_pinned() && !status["X"].is_pinned());
    assert_eq!((status["X"].error.as_str(), status["X"].attempt_count), ("full", 3));
    assert_eq!(
        fake.asked(),
        [
            "POST /pins/a?replication-min=1&replication-max=2",
            "GET /allocations/gone",
            "POST /pins/a/recover?local=true",
            "GET /pins/a"
        ]
    );
}

#[tokio::test]
async fn cid_that_is_another_path_is_never_requested() {
    let fake = Fake::new(|_| whole("200 OK", "{}")).await;
    for cid in ["", ".", ".."] {
        let pin = Pin { cid: cid.to_owned(), ..Pin::default() };
        assert!(fake.cluster.recover(cid).await.is_err());
        assert!(fake.cluster.pin(&pin, &PinUpdate::default()).await.is_err());
        assert!(fake.cluster.status(cid).await.is_err());
    }
    assert!(fake.asked().is_empty());
}

#[test]
fn pin_that_never_expires_is_read() {
    for never in ["9999-12-31T23:59:59Z", "9999-12-31T00:00:00+01:00", "9999-12-31T23:59:59.999999999-14:00"] {
        let pin: Pin = serde_json::from_str(&format!("{{\"cid\":\"a\",\"expire_at\":\"{never}\"}}")).unwrap();
        assert_eq!(pin.expire_at, Some(Timestamp::MAX), "{never}");
        assert!(!pin.is_expired(Timestamp::now()));
        // The largest timestamp can be sent and read again.
        let again = pin.expire_at.unwrap().to_string();
        let again: Pin = serde_json::from_str(&format!("{{\"cid\":\"a\",\"expire_at\":\"{again}\"}}")).unwrap();
        assert_eq!(again, pin);
    }
    for wrong in ["9999-13-31T00:00:00Z", "never", "9999"] {
        assert!(
            serde_json::from_str::<Pin>(&format!("{{\"cid\":\"a\",\"expire_at\":\"{wrong}\"}}")).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn cid_may_be_a_link_and_debug_shows_no_login() {
    let pin: Pin = serde_json::from_str("{\"cid\":{\"/\":\"a\"},\"expire_at\":\"2030-01-01T01:00:00+01:00\"}").unwrap();
    assert_eq!((pin.cid.as_str(), pin.expire_at.unwrap().to_string().as_str()), ("a", "2030-01-01T00:00:00Z"));
    let server = Server::of_url("http://me:s3cret@127.0.0.1:9094/").unwrap();
    assert_eq!(format!("{:?}", Cluster::at(&Client::new(), server)), "IPFS Cluster at 127.0.0.1:9094");
}
