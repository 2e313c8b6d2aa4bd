//! HTTP as Temporal's clients send and read it: a connection for each call, with the headers of Go.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpStream, tcp::OwnedReadHalf},
};

/// A boundary of multipart bodies.
const BOUNDARY: &str = "e2fcb8bb2a7c6d3a";

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
    /// What came after the last chunk.
    pub(crate) trailers: String,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.filter(|(written, _)| written.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// The body, which is text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or("no text")
    }

    /// The body, of an answer of success.
    pub(crate) fn success(self) -> Result<Vec<u8>> {
        if self.status != 200 {
            bail!("status {}: {}", self.status, self.text());
        }
        Ok(self.body)
    }
}

/// Makes a call without a body, as `GET`, or as `POST` with an empty one.
pub(crate) async fn call(address: SocketAddr, method: &str, path: &str) -> Result<Answer> {
    let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: Go-http-client/1.1\r\n{length}\
         Accept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    );
    let (reads, mut writes) = TcpStream::connect(address).await?.into_split();
    writes.write_all(head.as_bytes()).await?;
    read(BufReader::new(reads)).await.with_context(|| format!("{method} {path}"))
}

/// Sends a file, as go-ipfs-api does: chunked, without a name.
pub(crate) async fn add(address: SocketAddr, path: &str, file: &[u8]) -> Result<Answer> {
    let (reads, mut writes) = begin_add(address, path).await?.into_split();
    writes.write_all(format!("{:x}\r\n", file.len()).as_bytes()).await?;
    writes.write_all(file).await?;
    writes.write_all(end_of_add().as_bytes()).await?;
    read(BufReader::new(reads)).await.with_context(|| format!("POST {path}"))
}

/// Begins to send a file: chunks of it are to follow, each but the last ended, and [`end_of_add`].
pub(crate) async fn begin_add(address: SocketAddr, path: &str) -> Result<TcpStream> {
    let part = format!(
        "--{BOUNDARY}\r\nAbspath: \r\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: Go-http-client/1.1\r\nTransfer-Encoding: chunked\r\n\
         Content-Disposition: form-data; name=\"files\"\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n\
         Accept-Encoding: gzip\r\nConnection: close\r\n\r\n{:x}\r\n{part}\r\n",
        part.len()
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

/// The end of the last chunk of a file, and of the request.
pub(crate) fn end_of_add() -> String {
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    format!("\r\n{:x}\r\n{end}\r\n0\r\n\r\n", end.len())
}

/// Reads an answer to its end, which must be one.
pub(crate) async fn read(mut stream: BufReader<OwnedReadHalf>) -> Result<Answer> {
    let head = lines(&mut stream).await?;
    let status = head.get(9..12).context("no status")?.parse()?;
    let mut answer = Answer { status, head, body: Vec::new(), trailers: String::new() };
    if answer.header("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        loop {
            let size = line(&mut stream).await?;
            let size = u64::from_str_radix(size.trim(), 16).with_context(|| format!("no chunk: {size:?}"))?;
            if size == 0 {
                answer.trailers = lines(&mut stream).await?;
                return Ok(answer);
            }
            body(&mut stream, size, &mut answer.body).await?;
            line(&mut stream).await?;
        }
    }
    match answer.header("content-length") {
        Some(length) => body(&mut stream, length.parse()?, &mut answer.body).await?,
        None => drop(stream.read_to_end(&mut answer.body).await?),
    }
    Ok(answer)
}

async fn body(stream: &mut BufReader<OwnedReadHalf>, length: u64, body: &mut Vec<u8>) -> Result<()> {
    let read = stream.take(length).read_to_end(body).await?;
    if u64::try_from(read)? < length {
        bail!("unexpected EOF, {read} bytes into {length}");
    }
    Ok(())
}

async fn line(stream: &mut BufReader<OwnedReadHalf>) -> Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        bail!("unexpected EOF");
    }
    Ok(line)
}

/// Lines until an empty one.
async fn lines(stream: &mut BufReader<OwnedReadHalf>) -> Result<String> {
    let mut lines = String::new();
    loop {
        match line(stream).await?.as_str() {
            "\r\n" => return Ok(lines),
            line => lines.push_str(line),
        }
    }
}
