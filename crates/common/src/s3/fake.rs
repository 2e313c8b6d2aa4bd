//! A server for tests: it sends prepared answers, and records its requests. Feature `test-kit`.

// Test code: a test that uses it wrongly must fail.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Address, Client, Key, Style};

/// The ID and the secret of the key that tests use.
pub const ID: &str = "AKIDSECRETID";
/// See [`ID`].
pub const SECRET: &str = "s3cr3t+/";

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct SeenRequest {
    /// `GET /bucket?list-type=2`.
    pub line: String,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// As text.
    pub body: String,
}

/// The server.
#[derive(Debug)]
pub struct Fake {
    endpoint: String,
    seen: Arc<Mutex<Vec<SeenRequest>>>,
}

impl Fake {
    /// A server that answers the n-th request with the n-th answer, and all others with the last one.
    pub async fn new(answers: &[String]) -> Self {
        let (answers, number) = (answers.to_vec(), Mutex::new(0));
        Self::answering(move |_| {
            let mut number = number.lock().unwrap();
            *number += 1;
            answers.get(*number - 1).or(answers.last()).unwrap().clone()
        })
        .await
    }

    /// A server that answers each request as the function says.
    pub async fn answering(answer: impl Fn(&SeenRequest) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read(&mut stream).await;
                let answer = answer(&request);
                log.lock().unwrap().push(request);
                // A client that gives up early is part of some tests.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { endpoint, seen }
    }

    /// Its address.
    pub fn address(&self) -> Address {
        Address { endpoint: self.endpoint.clone(), region: "us-east-1".to_owned(), style: Style::Path, authority: None }
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::new(&self.address(), &Key { id: ID.to_owned(), secret: SECRET.to_owned() }).unwrap()
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<SeenRequest> {
        self.seen.lock().unwrap().clone()
    }

    /// Their methods and targets.
    pub fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

async fn read(stream: &mut TcpStream) -> SeenRequest {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: BTreeMap<String, String> = lines.filter_map(header).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    SeenRequest { line, headers, body: String::from_utf8_lossy(&body).into_owned() }
}

/// An answer with further headers.
pub fn answer_with(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// An answer.
pub fn answer(status: &str, body: &str) -> String {
    answer_with(status, "", body)
}

/// A refusal.
pub fn refusal(status: &str, code: &str, message: &str) -> String {
    answer(status, &format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"))
}
