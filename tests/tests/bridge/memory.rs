//! Files that are larger than what the bridge may have in memory, and readers that are slower than their writers.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::full;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, timeout},
};

use crate::{
    bridge::Bridge,
    call::{begin_add, end_of_add, read},
    client::decode,
    file, measured,
    products::Peers,
};

/// What the bridge may ever have in memory, in KiB.
const LIMIT: u64 = 32 * 1024;
const MIB: usize = 1024 * 1024;
/// Who cannot write for so long is held back.
const HELD_BACK: Duration = Duration::from_millis(300);
/// A download.
const CALL: &str = "POST /api/v0/cat?arg=QmA HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
/// The end of a body in chunks.
const END: &[u8] = b"\r\n0\r\n\r\n";

fn mebibytes() -> usize {
    if full() { 2048 } else { 256 }
}

fn done(what: &str, bridge: &Bridge, started: Instant) -> Result<()> {
    measured(&format!("{what} of {} MiB", mebibytes()), started.elapsed().as_secs_f64(), "s");
    peak(what, bridge)
}

fn peak(what: &str, bridge: &Bridge) -> Result<()> {
    let peak = bridge.peak_memory()?;
    #[expect(clippy::cast_precision_loss, reason = "printed")]
    measured(&format!("{what}: the most that the bridge had in memory"), peak as f64 / 1024.0, "MiB");
    ensure!(peak < LIMIT, "{what}: the bridge had {peak} KiB in memory");
    Ok(())
}

/// Chunks of a body, one MiB each.
struct Chunks {
    chunk: Vec<u8>,
    left: usize,
    held_back: Arc<Semaphore>,
    said: bool,
}

impl Chunks {
    fn new(held_back: Arc<Semaphore>) -> Self {
        let chunk = [format!("{MIB:x}\r\n").as_bytes(), &file(MIB), b"\r\n"].concat();
        Self { chunk, left: mebibytes(), held_back, said: false }
    }

    /// Writes them all, and says it once when somebody does not read.
    async fn write(mut self, stream: &TcpStream) -> Result<()> {
        while self.left > 0 {
            // Each is another one.
            let left = self.left.to_le_bytes();
            self.chunk[16..16 + left.len()].copy_from_slice(&left);
            let mut written = 0;
            while written < self.chunk.len() {
                if timeout(HELD_BACK, stream.writable()).await.is_err() {
                    if !self.said {
                        self.said = true;
                        self.held_back.add_permits(1);
                    }
                    stream.writable().await?;
                }
                match stream.try_write(&self.chunk[written..]) {
                    Ok(length) => written += length,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error.into()),
                }
            }
            self.left -= 1;
        }
        Ok(())
    }
}

/// Reads a body in chunks to its end and returns its length, what separates the chunks included.
async fn swallow(mut stream: impl AsyncRead + Unpin) -> Result<usize> {
    let (mut piece, mut tail, mut length) = (vec![0; 256 * 1024], Vec::new(), 0);
    while !tail.ends_with(END) {
        let read = stream.read(&mut piece).await?;
        ensure!(read > 0, "the body ends after {length} bytes");
        length += read;
        let from = read.saturating_sub(END.len());
        tail.extend_from_slice(&piece[from..read]);
        let from = tail.len().saturating_sub(END.len());
        tail.drain(..from);
    }
    Ok(length)
}

async fn head(stream: &mut BufReader<TcpStream>) -> Result<()> {
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        ensure!(stream.read_line(&mut line).await? > 0, "no head");
    }
    Ok(())
}

/// A bridge to what answers one call, as `answer` has it.
async fn bridge_to<F>(answer: impl FnOnce(BufReader<TcpStream>) -> F + Send + 'static) -> Result<Bridge>
where
    F: Future<Output = Result<()>> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address: SocketAddr = listener.local_addr()?;
    tokio::spawn(async move {
        let mut stream = BufReader::new(listener.accept().await?.0);
        head(&mut stream).await?;
        answer(stream).await
    });
    Bridge::start(address, address, &[]).await
}

#[tokio::test]
async fn upload_to_a_slow_reader_is_not_buffered() -> Result<()> {
    let held_back = Arc::new(Semaphore::new(0));
    let reads = held_back.clone();
    let bridge = bridge_to(async move |mut stream| {
        reads.acquire().await?.forget();
        let length = swallow(&mut stream).await?;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{length}", length.to_string().len());
        Ok(stream.write_all(answer.as_bytes()).await?)
    })
    .await?;
    let started = Instant::now();
    let stream = begin_add(bridge.kubo, "/api/v0/add?").await?;
    Chunks::new(held_back).write(&stream).await?;
    let (reads, mut writes) = stream.into_split();
    // What ends the last chunk of a file is written already.
    writes.write_all(&end_of_add().as_bytes()[2..]).await?;
    let length: usize = decode(&read(BufReader::new(reads)).await?.success()?)?;
    ensure!(length > mebibytes() * MIB, "{length} bytes arrived");
    done("upload", &bridge, started)
}

#[tokio::test]
async fn download_by_a_slow_reader_is_not_buffered() -> Result<()> {
    let held_back = Arc::new(Semaphore::new(0));
    let chunks = Chunks::new(held_back.clone());
    let bridge = bridge_to(async move |mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
        chunks.write(stream.get_ref()).await?;
        Ok(stream.write_all(b"0\r\n\r\n").await?)
    })
    .await?;
    let started = Instant::now();
    let mut stream = BufReader::new(TcpStream::connect(bridge.kubo).await?);
    stream.write_all(CALL.as_bytes()).await?;
    held_back.acquire().await?.forget();
    head(&mut stream).await?;
    let length = swallow(stream).await?;
    ensure!(length > mebibytes() * MIB, "{length} bytes arrived");
    done("download", &bridge, started)
}

#[tokio::test]
async fn many_unread_downloads_are_not_buffered() -> Result<()> {
    const MANY: u32 = 50;
    let held_back = Arc::new(Semaphore::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let says = held_back.clone();
    tokio::spawn(async move {
        loop {
            let mut stream = BufReader::new(listener.accept().await?.0);
            let chunks = Chunks::new(says.clone());
            tokio::spawn(async move {
                head(&mut stream).await?;
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
                chunks.write(stream.get_ref()).await
            });
        }
        #[expect(unreachable_code, reason = "says the type of the error")]
        anyhow::Ok(())
    });
    let bridge = Bridge::start(address, address, &[]).await?;
    let mut clients = Vec::new();
    for _ in 0..MANY {
        let mut client = TcpStream::connect(bridge.kubo).await?;
        client.write_all(CALL.as_bytes()).await?;
        clients.push(client);
    }
    let all = timeout(e2e::HANG, held_back.acquire_many(MANY)).await;
    all.context("not all are held back")??.forget();
    peak(&format!("{MANY} downloads that nobody reads"), &bridge)
}

#[tokio::test]
async fn file_goes_into_a_real_kubo_and_comes_back() -> Result<()> {
    let peers = Peers::shared().await?;
    let bridge = Bridge::to(&peers).await?;
    let started = Instant::now();
    let stream = begin_add(bridge.kubo, "/api/v0/add?pin=false").await?;
    Chunks::new(Arc::new(Semaphore::new(0))).write(&stream).await?;
    let (reads, mut writes) = stream.into_split();
    writes.write_all(&end_of_add().as_bytes()[2..]).await?;
    let added: Value = decode(&read(BufReader::new(reads)).await?.success()?)?;
    done("add to Kubo", &bridge, started)?;

    let started = Instant::now();
    let cid = added["Hash"].as_str().context("no hash")?;
    let mut stream = BufReader::new(TcpStream::connect(bridge.kubo).await?);
    let call = format!("POST /api/v0/cat?arg={cid} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(call.as_bytes()).await?;
    head(&mut stream).await?;
    let mut bytes = 0;
    let mut piece = vec![0; 256 * 1024];
    // It is of a known length, with nothing after it.
    loop {
        match stream.read(&mut piece).await? {
            0 => break,
            read => bytes += read,
        }
    }
    ensure!(bytes >= mebibytes() * MIB, "{bytes} bytes came back");
    done("cat from Kubo", &bridge, started)
}
