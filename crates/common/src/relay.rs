//! A connection whose near end is a port of this machine: for libraries that make their connections themselves.
//!
//! The AMQP library has a thread for each connection, which waits for its server without a timeout, even if its result is not
//! needed. The thread ends with its connection, so the connection is held here: it is closed when the [`Relay`] is dropped, and
//! when the server has sent more than it may. Where a session may have any length, the server waits instead, see [`Window`].

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{oneshot, watch},
    time::timeout,
};

use crate::address::{self, Endpoint};

/// How long both ends have for closing the connection.
const FAREWELL: Duration = Duration::from_secs(2);
/// How many bytes are relayed at once.
const PIECE: usize = 16 << 10;

/// How much a server may send.
#[derive(Clone, Debug)]
pub enum Limit {
    /// So many bytes; then the connection is closed.
    Total(u64),
    /// What the window has room for.
    Window(Window),
}

impl From<u64> for Limit {
    fn from(bytes: u64) -> Self {
        Self::Total(bytes)
    }
}

impl From<Window> for Limit {
    fn from(window: Window) -> Self {
        Self::Window(window)
    }
}

/// How many bytes a server may send before it has to wait, because the near end keeps everything that arrives. The near end gives
/// room back when it has dealt with them. Clones are the same window.
#[derive(Clone, Debug)]
pub struct Window {
    size: usize,
    room: watch::Sender<usize>,
}

impl Window {
    /// A window of so many bytes.
    pub fn new(size: usize) -> Self {
        Self { size, room: watch::Sender::new(size) }
    }

    /// Gives back the room of so many bytes; together there is never more than the size.
    pub fn give_back(&self, bytes: usize) {
        self.room.send_modify(|room| *room = room.saturating_add(bytes).min(self.size));
    }

    /// Whether the server has to wait.
    pub fn is_used_up(&self) -> bool {
        *self.room.borrow() == 0
    }

    /// Waits until the server has to wait.
    pub async fn used_up(&self) {
        // The sender is alive, because this is one.
        let _ = self.room.subscribe().wait_for(|room| *room == 0).await;
    }

    /// Waits for room.
    async fn room(&self) -> usize {
        self.room.subscribe().wait_for(|room| *room > 0).await.map_or(0, |room| *room)
    }

    fn take(&self, bytes: usize) {
        self.room.send_modify(|room| *room = room.saturating_sub(bytes));
    }
}

/// A connection to a server. It ends soon after it is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    near: SocketAddr,
    /// Whether the server has closed the connection before it sent anything.
    is_dismissed: Arc<AtomicBool>,
    /// Dropped with the relay, which closes the connection.
    _open: oneshot::Sender<()>,
}

impl Relay {
    /// Connects to a server within this time; the server may send as much as `limit` permits.
    pub(crate) async fn open(endpoint: &Endpoint, within: Duration, limit: Limit) -> io::Result<Self> {
        let far = address::connect(endpoint.valid_host()?, endpoint.port, within).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let near = listener.local_addr()?;
        let (open, dropped) = oneshot::channel();
        let is_dismissed = Arc::new(AtomicBool::new(false));
        let dismissed = is_dismissed.clone();
        tokio::spawn(async move {
            // No other client gets in: one connection is accepted, within a short time.
            let Ok(Ok((near, _))) = timeout(within, listener.accept()).await else { return };
            drop(listener);
            let passing = pass(near, far, limit, &dismissed);
            tokio::pin!(passing);
            tokio::select! {
                () = &mut passing => {}
                _ = dropped => {
                    let _ = timeout(FAREWELL, passing).await;
                }
            }
        });
        Ok(Self { near, is_dismissed, _open: open })
    }

    /// Whether the server has closed the connection without an answer.
    pub(crate) fn is_dismissed(&self) -> bool {
        self.is_dismissed.load(Ordering::Relaxed)
    }

    /// The address of the near end.
    pub(crate) fn near(&self) -> SocketAddr {
        self.near
    }
}

/// Relays bytes in both directions until one end closes.
async fn pass(near: TcpStream, far: TcpStream, limit: Limit, is_dismissed: &AtomicBool) {
    // If the kernel refuses, the relay is only slower.
    let _ = near.set_nodelay(true);
    let (mut near_said, mut near_hears) = near.into_split();
    let (mut far_said, mut far_hears) = far.into_split();
    let hearing = async {
        // It leaves the bytes for the copy.
        if !matches!(far_said.peek(&mut [0]).await, Ok(length) if length > 0) {
            is_dismissed.store(true, Ordering::Relaxed);
            return Ok(());
        }
        match limit {
            Limit::Total(limit) => copy(&mut far_said.take(limit), &mut near_hears).await.map(drop),
            Limit::Window(window) => copy_through(&window, &mut far_said, &mut near_hears).await,
        }
    };
    tokio::select! {
        _ = copy(&mut near_said, &mut far_hears) => {}
        _ = hearing => {}
    }
}

/// Copies what there is room for, until the server closes.
async fn copy_through(window: &Window, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = window.room().await.min(PIECE);
        let length = from.read(&mut piece[..length]).await?;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&piece[..length]).await?;
        window.take(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// A relay with this limit, its near end, and the server's end.
    async fn relay(limit: impl Into<Limit>) -> (Relay, TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let relay = Relay::open(&Endpoint { host: "127.0.0.1".to_owned(), port }, SOON, limit.into()).await.unwrap();
        let near = TcpStream::connect(relay.near()).await.unwrap();
        (relay, near, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn bytes_are_relayed_in_both_directions() {
        let (_relay, mut near, mut far) = relay(5_u64).await;
        near.write_all(b"hello").await.unwrap();
        far.write_all(b"world").await.unwrap();
        let mut heard = [0; 5];
        far.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
        near.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"world");
    }

    #[tokio::test]
    async fn server_that_exceeds_its_limit_is_cut_off() {
        let (_relay, mut near, mut far) = relay(3_u64).await;
        far.write_all(b"world").await.unwrap();
        let mut heard = Vec::new();
        near.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"wor");
    }

    #[tokio::test]
    async fn server_that_has_filled_the_window_waits() {
        let window = Window::new(3);
        let (_relay, mut near, mut far) = relay(window.clone()).await;
        far.write_all(b"hello world").await.unwrap();
        let mut heard = [0; 3];
        for (gives_back, expected) in [(5, b"hel"), (3, b"lo "), (0, b"wor")] {
            near.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, expected);
            window.used_up().await;
            assert!(timeout(Duration::from_millis(50), near.read_u8()).await.is_err());
            window.give_back(gives_back);
        }
        assert!(window.is_used_up());
        window.give_back(1);
        assert_eq!(near.read_u8().await.unwrap(), b'l');
    }

    #[tokio::test]
    async fn connection_ends_when_the_relay_is_dropped() {
        let (relay, mut near, _far) = relay(u64::MAX).await;
        drop(relay);
        let mut heard = Vec::new();
        assert_eq!(timeout(SOON, near.read_to_end(&mut heard)).await.unwrap().unwrap(), 0);
    }
}
