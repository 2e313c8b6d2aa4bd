use serde_json::{Value, json};

use crate::{
    Product,
    fake::{Fake, Heard, answered, bridge_to, exchange, read, serving},
};

const QUERY: &str = "name=&replication-max=-1&replication-min=-1&shard-size=0&user-allocations=";

/// The status and the body of the answer to a call.
async fn told_json(product: Product, call: &str, answer: &str) -> (u16, Value) {
    let answer = answered(product, call, answer).await;
    let (status, body) = read(&answer);
    assert!(answer.contains(&format!("content-length: {}\r\n", body.len())), "{answer}");
    assert!(answer.contains("content-type: application/json\r\n"), "{answer}");
    (status[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
}

fn chunked(body: &str, trailer: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nVary: Origin\r\nTrailer: X-Stream-Error\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\nX-Stream-Error: {trailer}\r\n\r\n",
        body.len()
    )
}

#[tokio::test]
async fn peers_become_an_array() {
    let answer = chunked("{\"id\":\"a\",\"addresses\":[\"/quic-v1\"]}\n{\"id\":\"b\"}\n", "");
    let expected = json!([{"id": "a", "addresses": []}, {"id": "b"}]);
    assert_eq!(told_json(Product::Cluster, "GET /peers", &answer).await, (200, expected));
}

#[tokio::test]
async fn absent_peers_become_an_empty_array() {
    let answer = "HTTP/1.1 204 No Content\r\nTrailer: X-Stream-Error\r\n\r\n";
    assert_eq!(told_json(Product::Cluster, "GET /peers", answer).await, (200, json!([])));
}

#[tokio::test]
async fn error_trailer_of_peers_becomes_an_error() {
    let answer = chunked("{\"id\":\"a\"}\n", "context deadline exceeded");
    let expected = json!({"code": 500, "message": "context deadline exceeded"});
    assert_eq!(told_json(Product::Cluster, "GET /peers", &answer).await, (500, expected));
}

#[tokio::test]
async fn truncated_or_invalid_json_is_an_error() {
    let cut = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"id\"\r\n";
    for (call, answer, part) in [
        ("GET /peers", cut, "before it was complete"),
        ("GET /peers", &chunked("{\"id\":", ""), "cannot translate"),
        ("GET /pins/QmA?local=true", &chunked("<html>", ""), "cannot translate"),
        (&format!("POST /pins/QmA?{QUERY}"), &chunked("<html>", ""), "cannot translate"),
    ] {
        let (status, body) = told_json(Product::Cluster, call, answer).await;
        assert_eq!((status, &body["code"]), (502, &json!(502)), "{body}");
        assert!(body["message"].as_str().unwrap().contains(part), "{body}");
    }
}

#[tokio::test]
async fn upstream_errors_pass_unchanged() {
    let body = r#"{"code":400,"message":"error decoding Cid"}"#;
    let answer = format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for call in ["GET /peers".to_owned(), "GET /pins/QmA?local=true".to_owned(), format!("POST /pins/QmA?{QUERY}")] {
        let answer = answered(Product::Cluster, &call, &answer).await;
        assert_eq!(read(&answer), ("HTTP/1.1 400 Bad Request", body), "{call}");
    }
    let body = r#"{"Message":"block was not found locally","Code":0,"Type":"error"}"#;
    let answer = format!("HTTP/1.1 500 Internal Server Error\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for call in ["POST /api/v0/object/stat?arg=QmA", "POST /api/v0/pubsub/pub?arg=a&arg=b"] {
        let answer = answered(Product::Kubo, call, &answer).await;
        assert_eq!(read(&answer), ("HTTP/1.1 500 Internal Server Error", body), "{call}");
    }
}

#[tokio::test]
async fn translated_call_asks_for_no_compression() {
    let fake = Fake::saying("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"cid\":\"QmA\"}").await;
    let address = serving(&bridge_to(&fake.authority), Product::Cluster).await;
    let call =
        format!("POST /pins/QmA?{QUERY} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nContent-Length: 0\r\n\r\n");
    exchange(address, &call).await;
    assert_eq!(fake.requests(), [format!("POST /pins/QmA?{QUERY} HTTP/1.1")]);
    assert!(!fake.head().contains("accept-encoding"), "{}", fake.head());
}

#[tokio::test]
async fn object_stat_reads_the_block() {
    const EMPTY: &str = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";
    let call = format!("POST /api/v0/object/stat?arg={EMPTY}");
    let expected =
        json!({"Hash": EMPTY, "NumLinks": 0, "BlockSize": 4, "LinksSize": 2, "DataSize": 2, "CumulativeSize": 4});
    let answer = chunked("\x0a\x02\x08\x01", "");
    assert_eq!(told_json(Product::Kubo, &call, &answer).await, (200, expected));

    let expected = json!({"Message": "merkledag: not found", "Code": 0, "Type": "error"});
    let answer = chunked("\x0a\x02", "merkledag: not found");
    assert_eq!(told_json(Product::Kubo, &call, &answer).await, (500, expected));
}

#[tokio::test]
async fn oversized_block_is_not_read() {
    let fake = Fake::start(async |mut heard: Heard| {
        assert!(heard.head.starts_with("POST /api/v0/block/get?arg=QmA HTTP/1.1\r\n"), "{}", heard.head);
        heard.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await;
        let piece = "a".repeat(1024 * 1024);
        for _ in 0..4 {
            heard.say(&piece).await;
        }
        heard.say("a").await;
        heard.rest().await;
    })
    .await;
    let address = serving(&bridge_to(&fake.authority), Product::Kubo).await;
    let call = "POST /api/v0/object/stat?arg=QmA HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let answer = exchange(address, call).await;
    let (status, body) = read(&answer);
    assert_eq!(status, "HTTP/1.1 502 Bad Gateway");
    assert!(body.contains("longer than 4194304 bytes"), "{body}");
}

#[tokio::test]
async fn published_data_are_sent_as_a_file() {
    let fake = Fake::start(async |mut heard: Heard| {
        let length = heard.head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let body = heard.body(length.parse().unwrap()).await;
        assert!(body.contains("\r\n\r\ngrüße\r\n--"), "{body}");
        heard.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    let address = serving(&bridge_to(&fake.authority), Product::Kubo).await;
    let call = "POST /api/v0/pubsub/pub?arg=topic&arg=gr%C3%BC%C3%9Fe HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(read(&exchange(address, call).await), ("HTTP/1.1 200 OK", ""));
    assert_eq!(fake.requests(), ["POST /api/v0/pubsub/pub?arg=udG9waWM HTTP/1.1"]);
}
