//! A connection whose near end is a port of this machine: for libraries that make their connections themselves.
//!
//! The AMQP library has a thread for each connection, which waits for its server for ever, also when nobody waits for the thread. It
//! ends when its connection does, so the connection is held here: it goes when the [`Relay`] is dropped, and when the server has sent
//! more than it may.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, copy},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};

use crate::address;

/// How long both ends have for taking leave of each other.
const FAREWELL: Duration = Duration::from_secs(2);

/// A connection to a server. It ends soon after it is dropped.
#[derive(Debug)]
pub struct Relay {
    near: SocketAddr,
    /// Dropped with the relay, and tells the connection so.
    _open: oneshot::Sender<()>,
}

impl Relay {
    /// Connects to a server within this time; it may send no more than so many bytes.
    pub async fn open(host: &str, port: u16, within: Duration, limit: u64) -> io::Result<Self> {
        let far = address::connect(host, port, within).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let near = listener.local_addr()?;
        let (open, dropped) = oneshot::channel();
        tokio::spawn(async move {
            // Nobody else gets in: one connection is taken, and soon.
            let Ok(Ok((near, _))) = timeout(within, listener.accept()).await else { return };
            drop(listener);
            let passing = pass(near, far, limit);
            tokio::pin!(passing);
            tokio::select! {
                () = &mut passing => {}
                _ = dropped => {
                    let _ = timeout(FAREWELL, passing).await;
                }
            }
        });
        Ok(Self { near, _open: open })
    }

    /// Where the near end is.
    pub fn near(&self) -> SocketAddr {
        self.near
    }
}

/// Passes on what both say until one of them ends.
async fn pass(near: TcpStream, far: TcpStream, limit: u64) {
    // A kernel that refuses makes it slower, no more.
    let _ = near.set_nodelay(true);
    let (mut near_said, mut near_hears) = near.into_split();
    let (far_said, mut far_hears) = far.into_split();
    let mut far_said = far_said.take(limit);
    tokio::select! {
        _ = copy(&mut near_said, &mut far_hears) => {}
        _ = copy(&mut far_said, &mut near_hears) => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// A relay with this limit, its near end, and the server's end.
    async fn relay(limit: u64) -> (Relay, TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Relay::open("127.0.0.1", listener.local_addr().unwrap().port(), SOON, limit).await.unwrap();
        let near = TcpStream::connect(relay.near()).await.unwrap();
        (relay, near, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn what_both_say_is_passed_on() {
        let (_relay, mut near, mut far) = relay(5).await;
        near.write_all(b"hello").await.unwrap();
        far.write_all(b"world").await.unwrap();
        let mut heard = [0; 5];
        far.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
        near.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"world");
    }

    #[tokio::test]
    async fn a_server_that_says_more_than_it_may_is_cut_off() {
        let (_relay, mut near, mut far) = relay(3).await;
        far.write_all(b"world").await.unwrap();
        let mut heard = Vec::new();
        near.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"wor");
    }

    #[tokio::test]
    async fn the_connection_ends_when_the_relay_is_dropped() {
        let (relay, mut near, _far) = relay(u64::MAX).await;
        drop(relay);
        let mut heard = Vec::new();
        assert_eq!(timeout(SOON, near.read_to_end(&mut heard)).await.unwrap().unwrap(), 0);
    }
}
