//! A fake upstream that sends exactly the bytes of a test, and a client that shows exactly the bytes that it receives.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::BoxFuture;
use http::uri::Authority;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream, copy, sink},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{Bridge, Product, serve::serve};

/// A received request: its head is read, its body not yet.
pub(crate) struct Heard {
    pub(crate) head: String,
    stream: BufStream<TcpStream>,
}

impl Heard {
    /// The next head on the connection; `None` if the other side has closed it.
    async fn next(mut stream: BufStream<TcpStream>) -> Option<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.ok()? == 0 {
                return None;
            }
        }
        Some(Self { head, stream })
    }

    /// Whether the head has this line; names of headers come in lower case.
    pub(crate) fn has(&self, line: &str) -> bool {
        self.head.lines().any(|written| written == line)
    }

    /// The next `length` bytes of the body, including the chunk headers.
    pub(crate) async fn body(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// The bytes until the other side closes the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // The connection may be closed in order or reset.
        let _ = self.stream.read_to_end(&mut rest).await;
        String::from_utf8(rest).unwrap()
    }

    /// The next request on the same connection, after one without a body; `None` if the other side has closed it.
    pub(crate) async fn following(self) -> Option<Self> {
        Self::next(self.stream).await
    }

    /// Closes the connection as Go's server does: remaining input is read for a while.
    pub(crate) async fn close(mut self) {
        self.stream.shutdown().await.unwrap();
        let _ = timeout(Duration::from_millis(500), copy(&mut self.stream, &mut sink())).await;
    }

    /// Sends text.
    pub(crate) async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }
}

/// An upstream.
pub(crate) struct Fake {
    pub(crate) authority: Authority,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// An upstream that calls `answer` once for each connection.
    pub(crate) async fn start<F>(answer: impl Fn(Heard) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let answer = move |heard| -> BoxFuture<'static, ()> { Box::pin(answer(heard)) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string().parse().unwrap();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = heads.clone();
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (heard, answer) = (heard.clone(), answer.clone());
                tokio::spawn(async move {
                    if let Some(request) = Heard::next(BufStream::new(stream)).await {
                        heard.lock().unwrap().push(request.head.clone());
                        answer(request).await;
                    }
                });
            }
        });
        Self { authority, heads }
    }

    /// An upstream that always sends the same answer, and closes the connection.
    pub(crate) async fn saying(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        Self::start(move |mut heard| {
            let answer = answer.clone();
            async move { heard.say(&answer).await }
        })
        .await
    }

    /// The first line of each request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        heads.iter().map(|head| head.lines().next().unwrap_or_default().to_owned()).collect()
    }

    /// The head of the last request.
    pub(crate) fn head(&self) -> String {
        self.heads.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

/// A bridge to an upstream, which is both products.
pub(crate) fn bridge_to(authority: &Authority) -> Bridge {
    Bridge::new(authority.clone(), authority.clone())
}

/// Serves one of the two products, and returns its address.
pub(crate) async fn serving(bridge: &Bridge, product: Product) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(bridge.clone(), product, listener));
    address
}

/// An address without a listener.
pub(crate) async fn nobody() -> Authority {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string().parse().unwrap()
}

/// The answer that a client receives for `request`, read to the end.
pub(crate) async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A truncated answer may end with a reset.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// The answer that a client receives for a call to an upstream that always sends `answer`.
pub(crate) async fn answered(product: Product, call: &str, answer: &str) -> String {
    let fake = Fake::saying(answer).await;
    let address = serving(&bridge_to(&fake.authority), product).await;
    exchange(address, &format!("{call} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")).await
}

/// The first line of an answer, and its body.
pub(crate) fn read(answer: &str) -> (&str, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {answer:?}"));
    (head.lines().next().unwrap_or_default(), body)
}
