//! Sessions with PostgreSQL servers, including those of tenants; with the feature `sql`.
//!
//! The client library keeps whole messages in memory, and reserves the announced length of a message: up to two gigabytes. So
//! lengths are checked before the library sees them, and the total of a session has a limit. A server also chooses how long the
//! proof of a password is computed, so that happens outside of the threads that run passes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, Join, ReadBuf, join},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    runtime::Handle,
    task::spawn_blocking,
    time::timeout,
};
use tokio_postgres::{Client, Config, NoTls, tls::NoTlsStream};

use crate::{
    address::{self, Endpoint},
    mesh,
};

/// The longest message, in bytes: answers to a controller's queries have a few kilobytes, and errors a few hundred bytes.
const MESSAGE: u32 = 256 << 10;
/// All messages of one session, in bytes.
const SESSION: u64 = 4 << 20;
/// The type of a message, and its length, which counts itself.
const HEAD: usize = 5;

/// A stream that fails when a message, or the session, is too long.
type Stream = Join<Bounded<OwnedReadHalf>, OwnedWriteHalf>;
/// The connection of a session, which must run while its client is used.
pub type Connection = tokio_postgres::Connection<Stream, NoTlsStream>;

/// Why no session was opened.
#[derive(Debug)]
pub enum Failure {
    /// No server answers at the address.
    Unreachable(io::Error),
    /// The connection was accepted, and closed without an answer: see [`crate::mesh`].
    Closed,
    /// The server takes too long.
    Slow,
    /// The server refuses.
    Refused(tokio_postgres::Error),
}

/// Opens a session within this time.
pub async fn open(endpoint: &Endpoint, config: Config, within: Duration) -> Result<(Client, Connection), Failure> {
    let opening = async {
        let stream = connect(endpoint, within).await.map_err(Failure::Unreachable)?;
        let opened = on_own_thread(within, async move { config.connect_raw(stream, NoTls).await }).await;
        opened.ok_or(Failure::Slow)?.map_err(|error| {
            let is_closed = error.is_closed() || mesh::is_closed(&error);
            if is_closed { Failure::Closed } else { Failure::Refused(error) }
        })
    };
    timeout(within, opening).await.map_err(|_| Failure::Slow)?
}

/// Connects to a server within this time.
async fn connect(endpoint: &Endpoint, within: Duration) -> io::Result<Stream> {
    let stream = address::connect(endpoint.valid_host()?, endpoint.port, within).await?;
    let (read, write) = stream.into_split();
    Ok(join(Bounded::new(read), write))
}

/// Runs the opening of a session on a thread of its own, within this time; `None` if it takes longer. The library computes up to 100,000
/// iterations for a server that demands them, which takes a tenth of a second, without a pause for other tasks.
async fn on_own_thread<T: Send + 'static>(
    within: Duration,
    opening: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let runtime = Handle::current();
    let opened = spawn_blocking(move || runtime.block_on(async { timeout(within, opening).await.ok() }));
    opened.await.ok().flatten()
}

/// What is read from a server.
#[derive(Debug)]
pub struct Bounded<S> {
    stream: S,
    /// The received part of the next message's head.
    head: Vec<u8>,
    /// The bytes of a message that have not arrived yet.
    body: u32,
    /// The total number of bytes received.
    came: u64,
}

impl<S> Bounded<S> {
    fn new(stream: S) -> Self {
        Self { stream, head: Vec::with_capacity(HEAD), body: 0, came: 0 }
    }

    /// Follows the messages in the received bytes.
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
        format!("{what} of more than {limit} bytes, more than PostgreSQL sends to a controller; check the address");
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
    async fn messages_of_usual_length_pass() {
        let messages = [message(4, 0), message(100_004, 100_000), message(5, 1)].concat();
        assert_eq!(read(&messages).await.unwrap(), messages.len());
    }

    #[tokio::test]
    async fn message_of_two_gigabytes_is_refused_at_its_head() {
        let failure = read(&[message(6, 2), message(0x7fff_ffff, 0)].concat()).await.unwrap_err();
        assert!(failure.to_string().starts_with("a message of more than"), "{failure}");
    }

    #[tokio::test]
    async fn flood_of_short_messages_is_refused() {
        let flood = message(104, 100).repeat(50_000);
        assert!(read(&flood).await.unwrap_err().to_string().starts_with("a session of more than"));
    }

    #[tokio::test]
    async fn long_proof_delays_no_other_task() {
        let (goes_on, waits) = std::sync::mpsc::channel();
        let long = Duration::from_secs(30);
        let opening = on_own_thread(long, async move { waits.recv_timeout(long).is_ok() });
        let (opened, sent) = tokio::join!(opening, async move { goes_on.send(()) });
        assert_eq!((opened, sent), (Some(true), Ok(())));
        assert_eq!(on_own_thread(Duration::from_millis(1), std::future::pending::<()>()).await, None);
    }

    #[test]
    fn split_message_head_is_read() {
        let mut bounded = Bounded::new(());
        for byte in message(0x7fff_ffff, 0).split_last().unwrap().1 {
            bounded.follow(&[*byte]).unwrap();
        }
        assert!(bounded.follow(&[0xff]).is_err());
    }
}
