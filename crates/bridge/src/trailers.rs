//! Trailers for clients that do not ask for them.
//!
//! Kubo and IPFS Cluster report at the end of an answer, in the trailer `X-Stream-Error`, that it is incomplete. Clients in Go
//! read trailers that they did not ask for, because Go's servers send them; hyper sends them only to clients that ask with `TE:
//! trailers`. So this header is inserted into a client's request, after its first line.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const ASKS: &[u8] = b"TE: trailers\r\n";

/// A connection for one request, with `TE: trailers` inserted.
#[derive(Debug)]
pub(crate) struct AsksForTrailers<S> {
    stream: S,
    reading: Reading,
}

#[derive(Debug)]
enum Reading {
    /// The first line, begun or not; empty lines before it are ignored.
    Line { begun: bool },
    /// The inserted line, and the bytes that followed the first one.
    Ahead(Bytes),
    /// The rest of the request.
    Rest,
}

impl<S> AsksForTrailers<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, reading: Reading::Line { begun: false } }
    }

    pub(crate) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AsksForTrailers<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Reading::Line { begun } = &mut this.reading {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
            let read = &buffer.filled()[before..];
            let start = if *begun { Some(0) } else { read.iter().position(|byte| !b"\r\n".contains(byte)) };
            let Some(start) = start else { return Poll::Ready(Ok(())) };
            *begun = true;
            if let Some(end) = read[start..].iter().position(|byte| *byte == b'\n') {
                let end = start + end + 1;
                let mut ahead = BytesMut::from(ASKS);
                ahead.extend_from_slice(&read[end..]);
                buffer.set_filled(before + end);
                this.reading = Reading::Ahead(ahead.freeze());
            }
            return Poll::Ready(Ok(()));
        }
        if let Reading::Ahead(ahead) = &mut this.reading {
            let length = ahead.len().min(buffer.remaining());
            buffer.put_slice(&ahead[..length]);
            ahead.advance(length);
            if ahead.is_empty() {
                this.reading = Reading::Rest;
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AsksForTrailers<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// The bytes read of `sent` if it arrives in pieces of one length and is read in pieces of another.
    async fn read(sent: &[u8], pieces: usize, buffer: usize) -> String {
        let (mut client, server) = duplex(pieces);
        let mut asks = AsksForTrailers::new(server);
        let write = async {
            client.write_all(sent).await.unwrap();
            drop(client);
        };
        let read = async {
            let (mut all, mut piece) = (Vec::new(), vec![0; buffer]);
            loop {
                match asks.read(&mut piece).await.unwrap() {
                    0 => return String::from_utf8(all).unwrap(),
                    length => all.extend_from_slice(&piece[..length]),
                }
            }
        };
        tokio::join!(write, read).1
    }

    #[tokio::test]
    async fn te_header_follows_the_request_line_however_split() {
        let sent = b"\r\nPOST /api/v0/add HTTP/1.1\r\nHost: a\r\n\r\nline\nline\n";
        let expected = "\r\nPOST /api/v0/add HTTP/1.1\r\nTE: trailers\r\nHost: a\r\n\r\nline\nline\n";
        for pieces in [1, 2, 3, 5, 29, 31, 1000] {
            for buffer in [1, 2, 7, 29, 1000] {
                assert_eq!(read(sent, pieces, buffer).await, expected, "{pieces}, {buffer}");
            }
        }
    }

    #[tokio::test]
    async fn connection_without_a_request_line_is_unchanged() {
        assert_eq!(read(b"", 8, 8).await, "");
        assert_eq!(read(b"GET / HT", 8, 8).await, "GET / HT");
    }
}
