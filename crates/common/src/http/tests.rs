//! What the client does with servers that mean harm, or are not what they should be.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use futures::TryStreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{
    answer::{BUDGET, OF_ONE_NAMESPACE},
    request::VALUES,
    *,
};
use crate::quota::on_behalf_of;

/// Held by tests that need the budget for themselves.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const SOON: Duration = Duration::from_secs(10);
const BOUNDS: Bounds =
    Bounds { begins_within: SOON, ends_within: SOON, line: 1000, all: 10_000, trailer: "x-stream-error" };

/// A server that answers each connection with these bytes, piece by piece, and then sends nothing more. Counts its requests.
struct Fake {
    server: Server,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    async fn new(answer: impl Into<Vec<u8>>) -> Self {
        Self::dripping(answer, usize::MAX, Duration::ZERO).await
    }

    async fn dripping(answer: impl Into<Vec<u8>>, piece: usize, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::new("127.0.0.1", listener.local_addr().unwrap().port());
        let (answer, asked) = (Arc::new(answer.into()), Arc::new(Mutex::new(Vec::new())));
        let log = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, log): (Arc<Vec<u8>>, _) = (answer.clone(), log.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await?);
                    }
                    log.lock().unwrap().push(String::from_utf8(head).unwrap());
                    for piece in answer.chunks(piece.min(answer.len().max(1))) {
                        stream.write_all(piece).await?;
                        tokio::time::sleep(pause).await;
                    }
                    // The end of the connection is not the end of the answer.
                    let mut rest = Vec::new();
                    stream.read_to_end(&mut rest).await
                });
            }
        });
        Self { server, asked }
    }

    fn request(&self, limit: usize) -> Request {
        self.server.request(Method::DELETE, &Path::fixed("pins/a"), SOON, limit).unwrap()
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn whole(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn chunked(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n", body.len())
}

#[tokio::test]
async fn redirect_fails_and_its_target_is_not_contacted() {
    let victim = Fake::new(whole("200 OK", "{}")).await;
    for status in [301, 302, 303, 307, 308, 300, 304] {
        let target = format!("http://{}/pins/theirs", victim.server.address());
        let answer = format!("HTTP/1.1 {status} Go\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n");
        let fake = Fake::new(answer).await;
        let failure = Client::new().send(fake.request(1000)).await.unwrap_err();
        assert!(matches!(failure, Failure::Redirect { status: said, .. } if said == status), "{failure}");
        assert!(failure.to_string().contains("redirects DELETE /pins/a") && !failure.to_string().contains("theirs"));
        let failure = Client::new().lines(fake.request(1000), BOUNDS).await;
        assert!(matches!(failure, Err(Failure::Redirect { .. })));
    }
    assert_eq!(victim.asked(), 0);
}

#[tokio::test]
async fn answer_of_a_proxy_is_not_taken_for_the_servers() {
    let marked = "l5d-proxy-error: logical service request timeout: 1s\r\nContent-Length: 0\r\n\r\n";
    let marked = |status: &str| format!("HTTP/1.1 {status}\r\n{marked}");
    for answer in [whole("502 Bad Gateway", ""), marked("502 Bad Gateway"), marked("503 Service Unavailable")] {
        let failure = Client::new().accepted(Fake::new(answer).await.request(1000)).await.unwrap_err();
        assert!(matches!(failure, Failure::Starting { .. }), "{failure}");
        assert!(failure.to_string().contains("is starting"), "{failure}");
    }
    let fake = Fake::new(whole("403 Forbidden", "")).await;
    for failure in [
        Client::new().accepted(fake.request(1000)).await.unwrap_err(),
        Client::new().lines(fake.request(1000), BOUNDS).await.map(drop).unwrap_err(),
    ] {
        assert!(matches!(failure, Failure::RefusedByMesh { .. }), "{failure}");
        assert!(failure.to_string().contains("refused by the mesh's policy"), "{failure}");
    }
    for (answer, cause) in [
        (whole("503 Service Unavailable", r#"{"message": "alarm"}"#), "alarm"),
        (whole("403 Forbidden", "no"), "no"),
        (marked("504 Gateway Timeout"), "logical service request timeout: 1s"),
    ] {
        let failure = Client::new().accepted(Fake::new(answer).await.request(1000)).await.unwrap_err();
        assert!(matches!(&failure, Failure::Refused { cause: said, .. } if said == cause), "{failure}");
    }
}

#[tokio::test]
async fn oversized_answer_fails_announced_or_not() {
    let body = "x".repeat(1001);
    let announced = "HTTP/1.1 200 OK\r\nContent-Length: 2000000000\r\n\r\nx".to_owned();
    for answer in [whole("200 OK", &body), chunked(&body), announced] {
        let fake = Fake::new(answer).await;
        let failure = Client::new().send(fake.request(1000)).await.unwrap_err();
        assert!(matches!(failure, Failure::TooLarge { limit: 1000, .. }), "{failure}");
    }
    let fake = Fake::new(whole("200 OK", &body)).await;
    assert_eq!(Client::new().send(fake.request(1001)).await.unwrap().body.len(), 1001);
}

#[test]
fn usual_client_is_made_once() {
    assert!(Arc::ptr_eq(&Client::new().0, &Client::trusting(Trust::System, None).0));
    assert!(!Arc::ptr_eq(&Client::new().0, &Client::trusting(Trust::Anybody, None).0));
}

#[tokio::test]
async fn answer_of_too_many_values_is_a_failure() {
    let _alone = ALONE.lock().await;
    let answer = |count: usize| whole("200 OK", &format!("[{{}}{}]", ",{}".repeat(count / 2 - 1)));
    let fake = Fake::new(answer(VALUES + 2)).await;
    let failure = Client::new().send(fake.request(4 * FREE)).await.unwrap_err();
    assert!(matches!(failure, Failure::TooManyValues { limit: VALUES, .. }), "{failure}");
    let text = whole("200 OK", &format!("\"{}\"", ",".repeat(VALUES + 2)));
    let fake = Fake::new(text).await;
    assert!(Client::new().send(fake.request(4 * FREE)).await.is_ok(), "a text is one value");
}

#[expect(clippy::used_underscore_binding, reason = "the share is only held")]
#[tokio::test]
async fn answer_of_many_values_takes_a_share_of_the_budget() {
    let _alone = ALONE.lock().await;
    let many = Fake::new(whole("200 OK", &format!("[0{}]", ",0".repeat(VALUES / 4)))).await;
    let answer = Client::new().send(many.request(4 * FREE)).await.unwrap();
    assert!(answer.body.len() < FREE);
    let share = answer._share.amount();
    assert!((4 << 20..5 << 20).contains(&share), "{share}");
}

#[tokio::test]
async fn endless_refusal_is_a_failure() {
    let fake = Fake::new("HTTP/1.1 500 No\r\nContent-Length: 2000000000\r\n\r\nno").await;
    assert!(matches!(Client::new().send(fake.request(10)).await.unwrap_err(), Failure::TooLarge { .. }));
}

#[tokio::test]
async fn large_answers_share_a_budget_that_small_ones_do_not_need() {
    let _alone = ALONE.lock().await;
    let mut taken = BUDGET.share();
    assert!(taken.extend(OF_ONE_NAMESPACE));
    let large = Fake::new(whole("200 OK", &"x".repeat(2 * FREE))).await;
    let small = Fake::new(whole("200 OK", "{}")).await;
    assert!(matches!(Client::new().send(large.request(4 * FREE)).await.unwrap_err(), Failure::Busy { .. }));
    assert!(Client::new().send(small.request(4 * FREE)).await.unwrap().is_success());
    // The namespace has all that it may have, and others have the rest.
    let answer = on_behalf_of("other", Client::new().send(large.request(4 * FREE))).await;
    assert_eq!(answer.unwrap().body.len(), 2 * FREE);
    drop(taken);
    assert!(Client::new().send(large.request(4 * FREE)).await.is_ok());
}

#[tokio::test]
async fn slow_answer_ends_at_its_deadline_in_head_and_body() {
    for answer in [whole("200 OK", "0123456789"), chunked(&"1\n".repeat(100))] {
        let fake = Fake::dripping(answer, 1, Duration::from_millis(20)).await;
        let within = Duration::from_millis(200);
        let request = || fake.server.request(Method::GET, &Path::fixed("a"), within, 1000).unwrap();
        assert!(matches!(Client::new().send(request()).await.unwrap_err(), Failure::Slow { .. }));
        // The head takes longer than the beginning may.
        let bounds = Bounds { begins_within: within, ..BOUNDS };
        assert!(matches!(Client::new().lines(request(), bounds).await, Err(Failure::Unreachable { .. })));
    }
}

#[tokio::test]
async fn slow_list_ends_at_its_deadline() {
    let mut answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    answer.push_str(&"1\r\nx\r\n".repeat(10_000));
    let fake = Fake::dripping(answer, 64, Duration::from_millis(20)).await;
    let bounds = Bounds { ends_within: Duration::from_millis(500), line: 100_000, all: 100_000, ..BOUNDS };
    let lines = Client::new().lines(fake.request(1000), bounds).await.unwrap();
    let failure = lines.into_stream().try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(failure, Failure::Slow { .. }), "{failure}");
}

#[tokio::test]
async fn list_of_too_many_lines_is_a_failure() {
    let fake = Fake::new(chunked(&"{}\n".repeat(5000))).await;
    let lines = Client::new().lines(fake.request(1000), BOUNDS).await.unwrap();
    let failure = lines.into_stream().try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(failure, Failure::TooLarge { limit: 10_000, .. }), "{failure}");
}

#[tokio::test]
async fn line_of_too_many_bytes_is_a_failure() {
    let fake = Fake::new(chunked(&"x".repeat(5000))).await;
    let lines = Client::new().lines(fake.request(1000), BOUNDS).await.unwrap();
    let failure = lines.into_stream().try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(failure, Failure::TooLarge { limit: 1000, .. }), "{failure}");
}

#[tokio::test]
async fn long_line_that_arrives_at_once_is_a_failure() {
    for end in ["\n", "\n{}\n", ""] {
        let fake = Fake::new(format!("{}0\r\n\r\n", chunked(&format!("{{}}\n{}{end}", "x".repeat(1001))))).await;
        let lines = Client::new().lines(fake.request(1000), BOUNDS).await.unwrap();
        let failure = lines.into_stream().try_collect::<Vec<_>>().await.unwrap_err();
        assert!(matches!(failure, Failure::TooLarge { limit: 1000, .. }), "{failure}");
    }
}

#[tokio::test]
async fn endless_headers_are_a_failure() {
    for headers in [format!("A: {}\r\n", "x".repeat(2_000_000)), "A: b\r\n".repeat(HEADERS + 1)] {
        let fake = Fake::new(format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 0\r\n\r\n")).await;
        assert!(matches!(Client::new().send(fake.request(1000)).await.unwrap_err(), Failure::Unreachable { .. }));
    }
}

#[tokio::test]
async fn refusal_text_is_printable_and_short() {
    let fake = Fake::new(whole("500 No", &format!("a\u{1b}[2Jb\n{}", "c".repeat(5000)))).await;
    let words = Client::new().send(fake.request(10)).await.unwrap().printable();
    assert!(words.starts_with("a [2Jb c") && words.chars().count() < 310, "{words}");
}

#[tokio::test]
async fn garbage_and_closed_connections_are_failures() {
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    for answer in ["", "\0\0\0", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 999999 OK\r\n\r\n"] {
        let fake = Fake::new(answer).await;
        let within = Duration::from_millis(300);
        let request = fake.server.request(Method::GET, &Path::fixed("a"), within, 1000).unwrap();
        assert!(Client::new().send(request).await.is_err(), "{answer:?}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::new("127.0.0.1", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            TAKEN.fetch_add(1, Ordering::SeqCst);
        }
    });
    let request = server.request(Method::POST, &Path::fixed("a"), SOON, 1000).unwrap();
    assert!(matches!(Client::new().send(request).await.unwrap_err(), Failure::Unreachable { .. }));
    assert_eq!(TAKEN.load(Ordering::SeqCst), 1, "what changes something is sent once");
}

#[test]
fn invalid_host_is_never_contacted() {
    for host in ["a@b", "a/b", "a?b", "a#b", "a b", "", "0x7f.1", "169.254.169.254"] {
        let request = Server::new(host, 80).request(Method::GET, &Path::fixed("a"), SOON, 10);
        assert!(matches!(request, Err(Failure::Address { .. })), "{host}");
    }
    let request = Server::new("fd00::1", 80).request(Method::GET, &Path::fixed("a"), SOON, 10).unwrap();
    assert_eq!(request.url.as_str(), "http://[fd00::1]:80/a".replace(":80/", "/"));
}

#[test]
fn path_is_sent_as_written() {
    for segment in ["a/../b", "%2e%2e", "a\\..\\b", "\t..", "..;", "a?b#c"] {
        let path = Path::from_segments(&["x", segment, "y"]).unwrap();
        let request = Server::new("h", 80).request(Method::GET, &path, SOON, 10).unwrap();
        assert_eq!(request.url.path(), format!("/{}", path.path()));
        assert_eq!(request.url.path().matches('/').count(), 3);
    }
    let dots = Server::new("h", 80).request(Method::GET, &Path::fixed("a/../b"), SOON, 10);
    assert!(matches!(dots, Err(Failure::Name { .. })));
}

#[test]
fn login_in_a_url_is_hidden_by_debug() {
    let server = Server::of_url("http://me:s3%20cret@127.0.0.1:9094/").unwrap();
    assert_eq!(server.login(), Some(("me", "s3 cret")));
    assert_eq!(format!("{server:?}"), "127.0.0.1:9094");
    for url in ["127.0.0.1:9094", "http://h/a", "http://h/?a", "ftp://h", "/ip4/127.0.0.1/tcp/9094"] {
        assert_eq!(Server::of_url(url), None, "{url}");
    }
}

#[test]
fn no_other_crate_has_an_http_client() {
    let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut seen = 0;
    for entry in std::fs::read_dir(crates).unwrap() {
        let folder = entry.unwrap();
        let Ok(manifest) = std::fs::read_to_string(folder.path().join("Cargo.toml")) else { continue };
        let name = folder.file_name().into_string().unwrap();
        // The bridge passes on the requests of its own pod, and hyper follows no redirect.
        // ipfs-api-backend-hyper only builds the requests; this client sends them.
        let forbidden = ["reqwest", "hyper", "ureq", "isahc"];
        let dependency = |line: &&str| forbidden.iter().any(|client| line.starts_with(client));
        let found: Vec<&str> = manifest.lines().filter(dependency).collect();
        assert!(found.is_empty() || ["bridge", "common"].contains(&name.as_str()), "{name}: {found:?}");
        seen += 1;
    }
    assert!(seen > 4);
}

/// An address is given to others when its Service has gone: an open connection would still lead to the pods of the one before.
#[tokio::test]
async fn each_request_opens_its_own_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::new("127.0.0.1", listener.local_addr().unwrap().port());
    let client = Client::new();
    let mut open = Vec::new();
    for _ in 0..2 {
        let request = server.request(Method::GET, &Path::fixed("a"), Duration::from_secs(5), 1000).unwrap();
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            assert!(stream.read(&mut head).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            stream
        };
        let both = async { tokio::join!(client.send(request), serving) };
        let (answer, stream) = timeout(Duration::from_secs(10), both).await.expect("a new connection");
        assert_eq!(answer.unwrap().body, b"ok");
        open.push(stream);
    }
}
