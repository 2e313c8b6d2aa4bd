//! The sidecar: 4143 connects to the pod's own ports, 4191 answers probes and serves metrics.

use std::{
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use axum::{Router, extract::State, routing::get};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{sleep, timeout},
};

use crate::recorded::Recording;

/// The port for other proxies.
pub const INBOUND: u16 = 4143;
/// The port for probes and metrics.
pub const ADMIN: u16 = 4191;
/// How long the proxy waits for open connections when it ends, unless the pod says something else.
const GRACE: Duration = Duration::from_secs(120);
/// The most bytes in which a client may say where it wants to go.
const LONGEST: usize = 4096;
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECTED: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
/// As the real one answers where nobody listens.
const NOBODY: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// What a proxy knows of its pod.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The ports that the pod declares.
    pub ports: Vec<u16>,
    /// The metrics.
    pub recording: Recording,
    /// How long it waits for open connections when it ends.
    pub grace: Duration,
}

impl Settings {
    /// The settings from the environment that the injector has written.
    pub fn from_environment() -> Self {
        let text = |name: &str| std::env::var(name).unwrap_or_default();
        let ports = text("LINKERD2_PROXY_INBOUND_PORTS");
        Self {
            ports: ports.split(',').filter_map(|port| port.parse().ok()).collect(),
            recording: Recording::new(&text("_pod_component"), &text("_pod_role"), &text("_pod_ns")),
            grace: seconds(&text("LINKERD2_PROXY_SHUTDOWN_GRACE_PERIOD")).unwrap_or(GRACE),
        }
    }
}

/// A duration such as `5s`.
fn seconds(text: &str) -> Option<Duration> {
    text.strip_suffix('s')?.parse().ok().map(Duration::from_secs)
}

/// Runs until `ends`, and until the open connections have been closed after that.
pub async fn run(settings: Settings, ends: impl Future<Output = ()>) -> Result<()> {
    let inbound = listen(INBOUND).await?;
    let admin = listen(ADMIN).await?;
    let state = Arc::new((settings.recording.clone(), Instant::now()));
    let router = Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(|| async { "ready\n" }))
        .route("/metrics", get(metrics))
        .with_state(state);
    let grace = settings.grace;
    let (open, mut watching) = watch::channel(());
    tokio::select! {
        ended = async { axum::serve(admin, router).await } => ended.context("the admin port ended")?,
        () = forward(inbound, Arc::new(settings), open.clone()) => {}
        () = ends => {}
    }
    // Each connection holds a sender.
    drop(open);
    let _ = timeout(grace, async { while watching.changed().await.is_ok() {} }).await;
    Ok(())
}

async fn listen(port: u16) -> Result<TcpListener> {
    let bound = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await;
    bound.with_context(|| format!("port {port} is taken"))
}

async fn metrics(State(state): State<Arc<(Recording, Instant)>>) -> String {
    let (recording, started) = state.as_ref();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    recording.at(started.elapsed().as_secs(), now.as_secs_f64())
}

/// Connects whoever comes, for ever.
pub async fn forward(listener: TcpListener, settings: Arc<Settings>, open: watch::Sender<()>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many files are open: some will be closed.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (settings, open) = (settings.clone(), open.clone());
        tokio::spawn(async move {
            // A client that goes is no concern of the others.
            let _ = connect(stream, &settings).await;
            drop(open);
        });
    }
}

async fn connect(mut client: TcpStream, settings: &Settings) -> Result<()> {
    let asked = timeout(PATIENCE, read_head(&mut client)).await??;
    let server = match port(&asked).filter(|port| settings.ports.contains(port)) {
        Some(port) => TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok(),
        None => None,
    };
    let Some(mut server) = server else { return Ok(client.write_all(NOBODY).await?) };
    client.write_all(CONNECTED).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Reads up to the empty line, and no byte of what follows.
async fn read_head(client: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        anyhow::ensure!(head.len() < LONGEST, "the head is too long");
        head.push(client.read_u8().await?);
    }
    Ok(String::from_utf8(head)?)
}

/// The port of `CONNECT host:port HTTP/1.1`.
fn port(head: &str) -> Option<u16> {
    let target = head.strip_prefix("CONNECT ")?.split(' ').next()?;
    target.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proxy of a pod that declares this port.
    async fn proxy(ports: Vec<u16>) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let recording = Recording::new("ipfs", "", "mesh");
        let settings = Settings { ports, recording, grace: Duration::ZERO };
        tokio::spawn(forward(listener, Arc::new(settings), watch::channel(()).0));
        address
    }

    async fn asked(proxy: std::net::SocketAddr, port: u16) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(proxy).await.unwrap();
        stream.write_all(format!("CONNECT localhost:{port} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await.unwrap();
        (stream, head)
    }

    #[tokio::test]
    async fn connection_is_passed_on_to_a_declared_port() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        let (mut client, head) = asked(proxy(vec![port]).await, port).await;
        assert_eq!(head.as_bytes(), CONNECTED);
        let (mut stream, _) = server.accept().await.unwrap();
        client.write_all(b"ping").await.unwrap();
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"ping");
        stream.write_all(b"pong").await.unwrap();
        client.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"pong");
    }

    #[tokio::test]
    async fn port_that_nobody_serves_or_declares_is_502_without_a_body() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        // Port 1 is declared, and nobody listens; the other one listens, and is not declared.
        let proxy = proxy(vec![1]).await;
        for port in [1, port] {
            let (_, head) = asked(proxy, port).await;
            assert_eq!(head.as_bytes(), NOBODY);
        }
    }

    #[test]
    fn grace_period_is_read_in_seconds() {
        assert_eq!(seconds("5s"), Some(Duration::from_secs(5)));
        assert_eq!(seconds(""), None);
    }
}
