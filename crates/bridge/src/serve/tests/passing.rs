use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    Product,
    fake::{Fake, Heard, answered, bridge_to, exchange, read, serving},
    upstream::CALLS,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A client of Kubo through a bridge to this upstream.
async fn client(fake: &Fake) -> TcpStream {
    TcpStream::connect(serving(&bridge_to(&fake.authority), Product::Kubo).await).await.unwrap()
}

async fn expect(client: &mut TcpStream, text: &str) {
    let mut bytes = vec![0; text.len()];
    client.read_exact(&mut bytes).await.unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), text);
}

async fn head(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn request_keeps_its_address_and_end_to_end_headers() {
    let fake = Fake::saying(OK).await;
    let address = serving(&bridge_to(&fake.authority), Product::Kubo).await;
    let request = "POST /api/v0/id? HTTP/1.1\r\nHost: localhost:5001\r\nAuthorization: Bearer token\r\n\
        User-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\nConnection: close, X-Of-The-Hop\r\nX-Of-The-Hop: 1\r\n\
        Keep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(read(&exchange(address, request).await), ("HTTP/1.1 200 OK", "ok"));
    let head = fake.head();
    assert!(head.starts_with("POST /api/v0/id? HTTP/1.1\r\n"), "{head}");
    let mut lines: Vec<&str> = head.lines().skip(1).filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    let host = format!("host: {}", fake.authority);
    let expected = [
        "accept-encoding: gzip",
        "authorization: Bearer token",
        "content-length: 0",
        &host,
        "user-agent: Go-http-client/1.1",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn answer_keeps_its_status_and_headers() {
    let answer = "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\n\
        Keep-Alive: timeout=5\r\nContent-Length: 19\r\n\r\n404 page not found\n";
    let answer = answered(Product::Kubo, "POST /api/v0/nothing", answer).await;
    assert_eq!(read(&answer), ("HTTP/1.1 404 Not Found", "404 page not found\n"));
    for line in
        ["content-type: text/plain", "x-content-type-options: nosniff", "content-length: 19", "connection: close"]
    {
        assert!(answer.lines().any(|written| written == line), "{line}: {answer}");
    }
    assert!(!answer.contains("keep-alive"), "{answer}");
}

#[tokio::test]
async fn redirect_is_passed_on_to_the_client() {
    let answer = "HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
    let answer = answered(Product::Cluster, "GET /id", answer).await;
    assert!(answer.starts_with("HTTP/1.1 307 ") && answer.contains("location: /elsewhere\r\n"), "{answer}");
}

#[tokio::test]
async fn trailer_reaches_a_client_that_never_asked_for_it() {
    let answer = "HTTP/1.1 200 OK\r\nTrailer: X-Stream-Error\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n0\r\nX-Stream-Error: block was not found\r\n\r\n";
    let answer = answered(Product::Kubo, "POST /api/v0/cat?arg=QmA", answer).await;
    assert!(answer.contains("\r\ntrailer: X-Stream-Error\r\n"), "{answer}");
    let body = read(&answer).1;
    assert_eq!(body, "5\r\nhello\r\n0\r\nx-stream-error: block was not found\r\n\r\n");
}

#[tokio::test]
async fn empty_error_trailer_is_no_error() {
    let answer = "HTTP/1.1 200 OK\r\nTrailer: X-Stream-Error\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n0\r\nX-Stream-Error: \r\n\r\n";
    let answer = answered(Product::Cluster, "GET /pins", answer).await;
    assert!(answer.ends_with("5\r\nhello\r\n0\r\nx-stream-error: \r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn body_goes_up_chunk_by_chunk() {
    let (sender, mut arrived) = tokio::sync::mpsc::channel(1);
    let fake = Fake::start(move |mut heard: Heard| {
        let sender = sender.clone();
        async move {
            assert!(heard.has("transfer-encoding: chunked"), "{}", heard.head);
            for chunk in ["3\r\none\r\n", "3\r\ntwo\r\n", "0\r\n\r\n"] {
                assert_eq!(heard.body(chunk.len()).await, chunk);
                sender.send(chunk).await.unwrap();
            }
            heard.say(OK).await;
        }
    })
    .await;
    let mut client = client(&fake).await;
    client.write_all(b"POST /api/v0/add? HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    // Each is sent when the previous one has arrived.
    for chunk in ["3\r\none\r\n", "3\r\ntwo\r\n", "0\r\n\r\n"] {
        client.write_all(chunk.as_bytes()).await.unwrap();
        assert_eq!(arrived.recv().await, Some(chunk));
    }
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn body_comes_down_chunk_by_chunk() {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let receiver = std::sync::Arc::new(tokio::sync::Mutex::new(receiver));
    let fake = Fake::start(move |mut heard: Heard| {
        let receiver = receiver.clone();
        async move {
            heard.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            while let Some(chunk) = receiver.lock().await.recv().await {
                heard.say(chunk).await;
            }
        }
    })
    .await;
    let mut client = client(&fake).await;
    client.write_all(b"POST /api/v0/cat?arg=QmA HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    assert!(head(&mut client).await.contains("transfer-encoding: chunked"));
    // Each is sent when the previous one has been read.
    for chunk in ["3\r\none\r\n", "3\r\ntwo\r\n", "0\r\n\r\n"] {
        sender.send(chunk).await.unwrap();
        expect(&mut client, chunk).await;
    }
}

#[tokio::test]
async fn client_that_expects_100_continue_gets_it() {
    let fake = Fake::start(async |mut heard: Heard| {
        assert!(!heard.head.contains("expect"), "{}", heard.head);
        assert_eq!(heard.body(4).await, "data");
        heard.say(OK).await;
    })
    .await;
    let mut client = client(&fake).await;
    let request = "POST /api/v0/add HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    expect(&mut client, "HTTP/1.1 100 Continue\r\n\r\n").await;
    client.write_all(b"data").await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn answer_before_the_end_of_an_upload_arrives() {
    let fake = Fake::start(async |mut heard: Heard| {
        heard.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno").await;
        heard.close().await;
    })
    .await;
    let mut client = client(&fake).await;
    let request = "POST /api/v0/add?hash=md5 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let (mut reads, mut writes) = client.into_split();
    let sending = tokio::spawn(async move {
        let piece = vec![0; 64 * 1024];
        // Until the test stops it.
        while writes.write_all(&piece).await.is_ok() {}
    });
    let mut answer = String::new();
    let _ = reads.read_to_string(&mut answer).await;
    assert_eq!(read(&answer), ("HTTP/1.1 400 Bad Request", "no"));
    drop(reads);
    sending.await.unwrap();
}

#[tokio::test]
async fn busy_client_spreads_over_connections() {
    let carried: Arc<Mutex<Vec<u64>>> = Arc::default();
    let counts = carried.clone();
    let fake = Fake::start(move |heard: Heard| {
        let counts = counts.clone();
        async move {
            let number = {
                let mut counts = counts.lock().unwrap();
                counts.push(0);
                counts.len() - 1
            };
            let mut next = Some(heard);
            while let Some(mut heard) = next {
                counts.lock().unwrap()[number] += 1;
                heard.say(OK).await;
                next = heard.following().await;
            }
        }
    })
    .await;
    // The bridge takes one call from each connection of a client.
    let address = serving(&bridge_to(&fake.authority), Product::Kubo).await;
    for _ in 0..10 * CALLS {
        let request = "POST /api/v0/id HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(read(&exchange(address, request).await), ("HTTP/1.1 200 OK", "ok"));
    }
    let carried = carried.lock().unwrap();
    assert_eq!(carried.iter().sum::<u64>(), 10 * CALLS);
    assert!(carried.len() >= 10, "a Service would choose an endpoint {} times: {carried:?}", carried.len());
    assert!(carried.iter().all(|calls| *calls <= CALLS), "{carried:?}");
    assert!(carried.len() <= 20, "most calls use a connection again: {carried:?}");
}
