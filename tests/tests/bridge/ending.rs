//! How the bridge ends: after the one that it is there for.

use std::{net::SocketAddr, process::Command};

use anyhow::Result;
use e2e::process::Process;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{bridge::Bridge, call::call, products::Folder};

const CALL: &str = "POST /api/v0/cat?arg=QmA HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

/// An upstream that answers `cat` with a chunk at once and the end when it is told to, and everything else at once.
async fn upstream() -> Result<(SocketAddr, watch::Sender<bool>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (finish, told) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await?;
            let mut told = told.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let (mut first, mut line) = (String::new(), String::new());
                stream.read_line(&mut first).await?;
                while line != "\r\n" {
                    line.clear();
                    stream.read_line(&mut line).await?;
                }
                if !first.contains("/cat") {
                    return stream
                        .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
                        .await;
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await?;
                // An error says that the test has ended.
                let _ = told.wait_for(|told| *told).await;
                stream.write_all(b"0\r\n\r\n").await
            });
        }
        #[expect(unreachable_code, reason = "says the type of the error")]
        std::io::Result::Ok(())
    });
    Ok((address, finish))
}

/// Begins a download and returns when its first chunk is there.
async fn download(bridge: &Bridge) -> Result<TcpStream> {
    let mut client = TcpStream::connect(bridge.kubo).await?;
    client.write_all(CALL.as_bytes()).await?;
    let mut begun = Vec::new();
    while !begun.ends_with(b"5\r\nhello\r\n") {
        begun.push(client.read_u8().await?);
    }
    Ok(client)
}

#[tokio::test]
async fn calls_after_sigterm_are_taken_until_none_is_left() -> Result<()> {
    let (upstream, finish) = upstream().await?;
    let bridge = Bridge::start(upstream, upstream, &["--quiet=1", "--drain-timeout=60"]).await?;
    let mut client = download(&bridge).await?;
    bridge.process.terminate()?;
    bridge.process.line("waiting for the calls in flight").await?;
    // Whoever is told to end at the same time still has something to say.
    assert_eq!(call(bridge.kubo, "POST", "/api/v0/id?").await?.text(), "ok");
    assert_eq!(call(bridge.cluster, "GET", "/id").await?.text(), "ok");

    finish.send_replace(true);
    let mut end = String::new();
    client.read_to_string(&mut end).await?;
    assert_eq!(end, "0\r\n\r\n");
    assert!(bridge.process.ended().await?.success());
    Ok(())
}

#[tokio::test]
async fn endless_call_is_cut_off() -> Result<()> {
    let (upstream, _finish) = upstream().await?;
    let bridge = Bridge::start(upstream, upstream, &["--drain-timeout=1"]).await?;
    let mut client = download(&bridge).await?;
    bridge.process.terminate()?;
    let mut end = Vec::new();
    // By a reset, or by an end without the empty chunk.
    let _ = client.read_to_end(&mut end).await;
    assert!(end.is_empty(), "{end:?}");
    bridge.process.line("1 call cut off").await?;
    assert!(!bridge.process.ended().await?.success());
    Ok(())
}

#[tokio::test]
async fn second_signal_ends_the_bridge_at_once() -> Result<()> {
    let (upstream, _finish) = upstream().await?;
    let bridge = Bridge::start(upstream, upstream, &["--drain-timeout=600"]).await?;
    let _client = download(&bridge).await?;
    bridge.process.terminate()?;
    bridge.process.line("waiting for the calls in flight").await?;
    bridge.process.terminate()?;
    assert!(!bridge.process.ended().await?.success());
    Ok(())
}

#[tokio::test]
async fn taken_port_is_named() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let folder = Folder::new()?;
    let mut command = Command::new(e2e::built("bridge")?);
    command.args(["--kubo=127.0.0.1:1", "--cluster=127.0.0.1:1", "--listen-cluster=127.0.0.1:0"]);
    command.arg(format!("--listen-kubo={}", taken.local_addr()?));
    let process = Process::start(command, &folder.0.join("bridge.log"))?;
    process.line(&format!("cannot listen on --listen-kubo {}", taken.local_addr()?)).await?;
    assert!(!process.ended().await?.success());
    Ok(())
}
