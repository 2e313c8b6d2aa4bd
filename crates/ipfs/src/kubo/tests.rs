//! Kubo as a listener that says what a test wants.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::fixture::endpoint;

/// A Kubo that answers one request, and what it was asked.
async fn fake(status: &'static str, body: &'static str) -> (Kubo, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kubo = Kubo::new(&Client::new(), &endpoint("127.0.0.1", listener.local_addr().unwrap().port()));
    let asked = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await.unwrap());
        }
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        connection.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap().split(" HTTP/1.1").next().unwrap().to_owned()
    });
    (kubo, asked)
}

#[tokio::test]
async fn repository_is_measured_without_counting_blocks() {
    let (kubo, asked) = fake("200 OK", "{\"RepoSize\":7,\"StorageMax\":8}").await;
    assert_eq!(kubo.repository().await.unwrap(), Repository { size: 7, maximum: 8 });
    assert_eq!(asked.await.unwrap(), "POST /api/v0/repo/stat?size-only=true");
}

#[tokio::test]
async fn content_is_read_up_to_a_limit() {
    let (kubo, asked) = fake("200 OK", "hello").await;
    assert_eq!(kubo.read("bafk", 5).await.unwrap(), b"hello");
    assert_eq!(asked.await.unwrap(), "POST /api/v0/cat?arg=bafk&offset=0&length=6");
    let (kubo, _) = fake("200 OK", "hello").await;
    let failure = kubo.read("bafk", 4).await.unwrap_err();
    assert_eq!(
        failure.to_string(),
        format!("{} did not return content: bafk is longer than 4 bytes", kubo.server.address())
    );
}

#[tokio::test]
async fn proxy_of_a_mesh_is_not_taken_for_kubo() {
    let (kubo, _) = fake("502 Bad Gateway", "").await;
    let failure = kubo.repository().await.unwrap_err();
    assert!(matches!(failure, Failure::Http(http::Failure::Starting { .. })), "{failure}");
    let (kubo, _) = fake("403 Forbidden", "").await;
    let failure = kubo.repository().await.unwrap_err();
    assert!(matches!(failure, Failure::Http(http::Failure::RefusedByMesh { .. })), "{failure}");
    let (kubo, _) = fake("403 Forbidden", "403 - Forbidden").await;
    assert!(matches!(kubo.repository().await.unwrap_err(), Failure::Refused { .. }), "its own");
}

#[tokio::test]
async fn missing_block_counts_as_removed_and_a_pinned_one_not() {
    let (kubo, _) = fake("200 OK", "{\"Hash\":\"bafk\"}").await;
    kubo.remove_block("bafk").await.unwrap();
    let (kubo, _) = fake("200 OK", "{\"Hash\":\"bafk\",\"Error\":\"ipld: could not find bafk\"}").await;
    kubo.remove_block("bafk").await.unwrap();
    let (kubo, _) = fake("200 OK", "{\"Hash\":\"bafk\",\"Error\":\"pinned: recursive\"}").await;
    assert!(kubo.remove_block("bafk").await.unwrap_err().to_string().ends_with("remove a block: pinned: recursive"));
}

#[tokio::test]
async fn content_is_added_as_a_form() {
    let (kubo, asked) = fake("200 OK", "{\"Name\":\"probe\",\"Hash\":\"bafk\",\"Size\":\"5\"}").await;
    assert_eq!(kubo.add(b"hello").await.unwrap(), "bafk");
    let asked = asked.await.unwrap();
    assert_eq!(asked, "POST /api/v0/add?chunker=size-256&pin=false&raw-leaves=true&cid-version=1");
}

#[tokio::test]
async fn content_without_end_is_not_read() {
    let (kubo, _) = fake("200 OK", "hello, and much more").await;
    assert!(matches!(kubo.read("bafk", 4).await, Err(Failure::Http(http::Failure::TooLarge { .. }))));
}

#[tokio::test]
async fn refusal_of_kubo_is_passed_on() {
    let (kubo, _) = fake("500 Internal Server Error", "{\"Message\":\"no\",\"Code\":0,\"Type\":\"error\"}").await;
    assert!(kubo.id().await.unwrap_err().to_string().ends_with("did not report its ID: no"));
    let kubo = Kubo::new(&Client::new(), &endpoint("::1", 1));
    assert!(kubo.id().await.unwrap_err().to_string().starts_with("[::1]:1 does not answer: "));
    assert!(Kubo::new(&Client::new(), &endpoint("not a host", 1)).id().await.is_err());
}

#[test]
fn futures_can_be_sent_between_threads() {
    fn sendable<T: Send>(_: T) {}
    let kubo = Kubo::new(&Client::new(), &endpoint("127.0.0.1", 1));
    sendable(kubo.id());
    sendable(kubo.connected());
    sendable(kubo.add(&[]));
    sendable(kubo.read("bafk", 1));
    sendable(kubo.remove_block("bafk"));
}
