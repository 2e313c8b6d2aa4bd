//! A fake peer whose answers a test decides, byte by byte.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::Cluster;
use crate::fixture::endpoint;

/// A fake peer, with the requests that it received: method, path and query.
pub(crate) struct Fake {
    pub(crate) cluster: Cluster,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Answers every request with the result of `answer` for its method, path and query; then closes the connection.
    pub(crate) async fn new(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = temporal_stack_common::http::Client::new();
        let cluster = Cluster::new(&client, &endpoint("127.0.0.1", listener.local_addr().unwrap().port()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), asked.clone());
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let (answer, log) = (answer.clone(), log.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(connection.read_u8().await.unwrap());
                    }
                    let head = String::from_utf8(head).unwrap();
                    let asked = head.split(" HTTP/1.1").next().unwrap().to_owned();
                    log.lock().unwrap().push(asked.clone());
                    connection.write_all(answer(&asked).as_bytes()).await.unwrap();
                });
            }
        });
        Self { cluster, asked }
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        self.cluster.server.address()
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A list as IPFS Cluster sends it, in these chunks, with this trailer.
pub(crate) fn list(chunks: &[&str], trailer: &str) -> String {
    format!("{}0\r\n{trailer}\r\n", cut(chunks))
}

/// A list whose last chunk never comes.
pub(crate) fn cut(chunks: &[&str]) -> String {
    let head = "HTTP/1.1 200 OK\r\nTrailer: X-Stream-Error\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let chunks: Vec<_> = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
    format!("{head}{}", chunks.concat())
}

/// A small answer.
pub(crate) fn whole(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// An empty list.
pub(crate) fn empty() -> String {
    "HTTP/1.1 204 No Content\r\nTrailer: X-Stream-Error\r\nConnection: close\r\n\r\n".to_owned()
}
