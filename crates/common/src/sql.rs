//! Connections to PostgreSQL servers, of which somebody else may run some.
//!
//! The client library keeps whole messages in memory, and reserves as much as a message says that it will have: up to two
//! gigabytes. So lengths are looked at before the library sees them, and all that a session may read has a limit.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::address;

/// The longest message, in bytes: answers to a controller's questions have some kilobytes, and an error some hundred bytes.
const MESSAGE: u32 = 256 << 10;
/// All messages of one session, in bytes.
const SESSION: u64 = 4 << 20;
/// The type of a message, and its length, which counts itself.
const HEAD: usize = 5;

/// Connects to a server within this time.
pub async fn connect(host: &str, port: u16, within: Duration) -> io::Result<Bounded> {
    Ok(Bounded::new(address::connect(host, port, within).await?))
}

/// A connection that fails when a message, or all of them, are too long.
#[derive(Debug)]
pub struct Bounded<S = TcpStream> {
    stream: S,
    /// What has come of the head of the next message.
    head: Vec<u8>,
    /// What is still to come of a message.
    body: u32,
    /// What has come in all.
    came: u64,
}

impl<S> Bounded<S> {
    fn new(stream: S) -> Self {
        Self { stream, head: Vec::with_capacity(HEAD), body: 0, came: 0 }
    }

    /// Follows the messages through what has come.
    fn follow(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.came = self.came.saturating_add(bytes.len() as u64);
        if self.came > SESSION {
            return Err(too_long("a session", SESSION));
        }
        while !bytes.is_empty() {
            if self.body > 0 {
                let skipped = bytes.len().min(self.body as usize);
                self.body -= u32::try_from(skipped).unwrap_or(self.body);
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = bytes.len().min(HEAD - self.head.len());
            self.head.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if let [_, length @ ..] = self.head.as_slice()
                && let Ok(length) = <[u8; 4]>::try_from(length)
            {
                let length = u32::from_be_bytes(length);
                if length > MESSAGE {
                    return Err(too_long("a message", MESSAGE.into()));
                }
                self.body = length.saturating_sub(4);
                self.head.clear();
            }
        }
        Ok(())
    }
}

fn too_long(what: &str, limit: u64) -> io::Error {
    let message =
        format!("{what} of more than {limit} bytes, which no PostgreSQL sends to a controller; check the address");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let outcome = self.follow(&buffer.filled()[before..]);
        if outcome.is_err() {
            buffer.set_filled(before);
        }
        Poll::Ready(outcome)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
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
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn read(bytes: &[u8]) -> io::Result<usize> {
        let mut all = Vec::new();
        Bounded::new(bytes).read_to_end(&mut all).await
    }

    fn message(length: u32, body: usize) -> Vec<u8> {
        [b"N".as_slice(), &length.to_be_bytes(), &vec![b'x'; body]].concat()
    }

    #[tokio::test]
    async fn messages_of_a_usual_length_pass() {
        let messages = [message(4, 0), message(100_004, 100_000), message(5, 1)].concat();
        assert_eq!(read(&messages).await.unwrap(), messages.len());
    }

    #[tokio::test]
    async fn a_message_of_two_gigabytes_is_refused_at_its_head() {
        let failure = read(&[message(6, 2), message(0x7fff_ffff, 0)].concat()).await.unwrap_err();
        assert!(failure.to_string().starts_with("a message of more than"), "{failure}");
    }

    #[tokio::test]
    async fn a_flood_of_short_messages_is_refused() {
        let flood = message(104, 100).repeat(50_000);
        assert!(read(&flood).await.unwrap_err().to_string().starts_with("a session of more than"));
    }

    #[test]
    fn a_head_may_come_in_pieces() {
        let mut bounded = Bounded::new(());
        for byte in message(0x7fff_ffff, 0).split_last().unwrap().1 {
            bounded.follow(&[*byte]).unwrap();
        }
        assert!(bounded.follow(&[0xff]).is_err());
    }
}
