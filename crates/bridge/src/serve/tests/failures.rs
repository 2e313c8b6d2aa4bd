use std::time::Duration;

use axum::Router;
use http::{Request, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
    sync::mpsc,
    time::{Instant, sleep},
};

use crate::{
    Product,
    answer::full,
    fake::{Fake, Heard, answered, bridge_to, exchange, nobody, read, serving},
    whole,
};

const POST: &str = "POST /api/v0/pin/add?arg=QmA HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
const PEERS: &str = "GET /peers HTTP/1.1\r\nHost: a\r\n\r\n";

/// The bridge's answer to a call for an upstream that does not exist: the status and the JSON body.
async fn missed(product: Product, path: &str) -> (u16, Value) {
    let bridge = bridge_to(&nobody().await);
    let since = Instant::now();
    let answer = bridge.answer(product, Request::post(path).body(full("")).unwrap()).await;
    assert!(since.elapsed() >= Duration::from_secs(10), "given up after {:?}", since.elapsed());
    assert_eq!(answer.headers()[CONTENT_TYPE], "application/json");
    let (parts, body) = whole::read(answer, usize::MAX).await.unwrap();
    (parts.status.as_u16(), serde_json::from_slice(&body).unwrap())
}

#[tokio::test(start_paused = true)]
async fn absent_upstream_error_has_the_shape_of_its_product() {
    let (status, body) = missed(Product::Kubo, "/api/v0/pin/add?arg=QmA").await;
    let message = body["Message"].as_str().unwrap().to_owned();
    assert_eq!((status, body), (502, json!({"Message": message, "Code": 0, "Type": "error"})));
    for part in ["Kubo cannot be reached at 127.0.0.1:", "refused", "--kubo"] {
        assert!(message.contains(part), "{message}");
    }

    let (status, body) = missed(Product::Cluster, "/pins/QmA").await;
    let message = body["message"].as_str().unwrap().to_owned();
    assert_eq!((status, body), (502, json!({"code": 502, "message": message})));
    assert!(message.contains("IPFS Cluster cannot be reached") && message.contains("--cluster"), "{message}");
}

#[tokio::test]
async fn late_upstream_gets_the_complete_call() {
    // Bound, so that no other process gets the port; connections are refused because it does not listen.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let bridge = bridge_to(&socket.local_addr().unwrap().to_string().parse().unwrap());
    let call = bridge.answer(Product::Kubo, Request::post("/api/v0/add").body(full("a file")).unwrap());
    let late = async {
        sleep(Duration::from_millis(500)).await;
        axum::serve(socket.listen(16).unwrap(), Router::new().fallback(async |body: String| body)).await.unwrap();
    };
    let answer = tokio::select! {
        answer = call => answer,
        () = late => unreachable!("it serves for ever"),
    };
    assert_eq!(answer.status(), 200);
    assert_eq!(whole::read(answer, usize::MAX).await.unwrap().1, "a file");
}

#[tokio::test(start_paused = true)]
async fn unaccepted_connection_fails_after_a_while() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // The next two connections fill its queue, and the kernel drops later ones.
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let _waiting = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
    let bridge = bridge_to(&address.to_string().parse().unwrap());
    let answer = bridge.answer(Product::Kubo, Request::post("/api/v0/id").body(full("")).unwrap()).await;
    assert_eq!(answer.status(), 504);
}

#[tokio::test]
async fn call_that_may_have_been_carried_out_is_not_repeated() {
    let fake = Fake::saying("").await;
    let address = serving(&bridge_to(&fake.authority), Product::Kubo).await;
    let answer = exchange(address, POST).await;
    let (status, body) = read(&answer);
    assert_eq!(status, "HTTP/1.1 502 Bad Gateway");
    assert!(body.contains("without an answer"), "{body}");
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn call_that_changes_nothing_is_repeated_once() {
    let fake = Fake::saying("").await;
    let address = serving(&bridge_to(&fake.authority), Product::Cluster).await;
    assert!(exchange(address, PEERS).await.starts_with("HTTP/1.1 502 "));
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn connections_closed_by_the_upstream_fail_no_call() {
    // Without `Connection: close`, so each connection is kept for reuse.
    let fake = Fake::saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let address = serving(&bridge_to(&fake.authority), Product::Cluster).await;
    for _ in 0..50 {
        let answer = exchange(address, "GET /id HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(read(&answer), ("HTTP/1.1 200 OK", "ok"));
    }
    assert_eq!(fake.requests().len(), 50);
}

#[tokio::test]
async fn truncated_answer_is_truncated_at_the_client() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let answer = answered(Product::Kubo, "POST /api/v0/cat?arg=QmA", chunked).await;
    // Without the empty chunk that ends a body.
    assert_eq!(read(&answer), ("HTTP/1.1 200 OK", "5\r\nhello\r\n"));

    let measured = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
    let answer = answered(Product::Kubo, "POST /api/v0/cat?arg=QmA", measured).await;
    assert!(answer.contains("content-length: 10\r\n"), "{answer}");
    assert_eq!(read(&answer).1, "hello");
}

#[tokio::test]
async fn client_that_disconnects_cancels_its_call() {
    let (sender, mut ends) = mpsc::channel(1);
    let fake = Fake::start(move |mut heard: Heard| {
        let sender = sender.clone();
        async move {
            sender.send("called").await.unwrap();
            heard.rest().await;
            sender.send("gone").await.unwrap();
        }
    })
    .await;
    let bridge = bridge_to(&fake.authority);
    let address = serving(&bridge, Product::Kubo).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(POST.as_bytes()).await.unwrap();
    assert_eq!(ends.recv().await, Some("called"));
    assert_eq!(bridge.calls.count(), 1);
    drop(client);
    assert_eq!(ends.recv().await, Some("gone"));
}
