//! Proxies that serve texts of tests.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::MutexGuard,
};

use crate::traffic::{Component, Target};

/// A proxy, or as many as a test likes at one address.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    text: Arc<Mutex<Arc<str>>>,
    requests: Arc<AtomicUsize>,
}

/// Keeps tests that read proxies from sharing the budgets of the process.
pub(super) async fn alone() -> MutexGuard<'static, ()> {
    static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    ONE.lock().await
}

/// Does work whose amount is tested, not its time: no timeout passes meanwhile, however slow the machine is.
pub(super) async fn timeless<T>(work: impl Future<Output = T>) -> T {
    // A paused clock goes on by itself when nothing runs, but for blocking tasks.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let holding = tokio::task::spawn_blocking(move || held.recv());
    tokio::time::pause();
    let done = work.await;
    tokio::time::resume();
    drop(release);
    assert!(holding.await.unwrap().is_err(), "nothing was sent");
    done
}

impl Proxy {
    /// A proxy with this text.
    pub(super) async fn start(text: impl Into<Arc<str>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            text: Arc::new(Mutex::new(text.into())),
            requests: Arc::default(),
        };
        let (text, requests) = (proxy.text.clone(), proxy.requests.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                requests.fetch_add(1, Ordering::Relaxed);
                let text = text.lock().unwrap().clone();
                tokio::spawn(answer(stream, text));
            }
        });
        proxy
    }

    /// Replaces the text.
    pub(super) fn say(&self, text: impl Into<Arc<str>>) {
        *self.text.lock().unwrap() = text.into();
    }

    /// How often it was asked.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// A pod with this proxy.
    pub(super) fn pod(&self, uid: &str, component: &Component) -> Target {
        Target { uid: uid.to_owned(), name: format!("pod-{uid}"), address: self.address, component: component.clone() }
    }
}

async fn answer(mut stream: TcpStream, text: Arc<str>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    assert!(head.starts_with(b"GET /metrics HTTP/1.1\r\n"), "{}", String::from_utf8_lossy(&head));
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
    // A client that has read enough closes the connection.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.write_all(text.as_bytes()).await;
}
