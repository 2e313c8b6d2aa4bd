//! A server that misbehaves, whatever is asked and in whatever protocol.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{interval, timeout},
};

use super::FOREIGN;
use crate::HANG;

/// The most that a server sends that never ends of itself.
const ENDLESS: u64 = 1 << 28;
/// Between two bytes of a drip.
const DRIP: Duration = Duration::from_millis(100);
/// What is sent at once where much is sent.
const PIECE: usize = 1 << 16;

/// How a server misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// It sends every HTTP request on to another address, method and body included.
    Redirect(SocketAddr),
    /// It begins an answer, and sends a byte of it now and then.
    Drip,
    /// An answer, as JSON, that does not end.
    EndlessAnswer,
    /// A head that does not end.
    EndlessHead,
    /// A message of PostgreSQL that says that it has two gigabytes, and sends on.
    EndlessMessage,
    /// Bytes without meaning.
    Garbage,
    /// JSON with lists in the place of texts, and texts in the place of numbers.
    WrongTypes,
    /// JSON in a thousand brackets.
    Deep,
    /// It closes the connection when it has been asked.
    Closed,
    /// It takes connections, and never says a word.
    Silent,
}

impl Harm {
    /// All of them.
    pub fn all(victim: SocketAddr) -> Vec<Self> {
        vec![
            Self::Redirect(victim),
            Self::Drip,
            Self::EndlessAnswer,
            Self::EndlessHead,
            Self::EndlessMessage,
            Self::Garbage,
            Self::WrongTypes,
            Self::Deep,
            Self::Closed,
            Self::Silent,
        ]
    }
}

/// The running server; it ends when this is dropped.
pub struct Server {
    address: SocketAddr,
    asked: watch::Receiver<u64>,
    largest: Arc<AtomicU64>,
    _serving: JoinSet<()>,
}

impl Server {
    /// Starts it on a free port of this machine.
    pub async fn start(harm: Harm, seed: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (count, asked) = watch::channel(0);
        let largest: Arc<AtomicU64> = Arc::default();
        let taken = largest.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut connection, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                let taken = taken.clone();
                open.spawn(async move {
                    // An error is a client that has had enough.
                    let _ = answer(&mut connection, harm, seed, &taken).await;
                });
            }
        });
        Ok(Self { address, asked, largest, _serving: serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The most bytes that anybody took of one answer, those in the buffers of the kernel included.
    pub fn largest(&self) -> u64 {
        self.largest.load(Ordering::Relaxed)
    }

    /// Waits until there were so many connections.
    pub async fn until_asked(&self, count: u64) -> Result<()> {
        let mut asked = self.asked.clone();
        match timeout(HANG, asked.wait_for(|asked| *asked >= count)).await {
            Ok(asked) => asked.map(drop).context("the server has ended"),
            Err(_) => bail!("{} of {count} connections to {} came within {HANG:?}", *self.asked.borrow(), self.address),
        }
    }
}

async fn answer(connection: &mut TcpStream, harm: Harm, seed: u64, largest: &AtomicU64) -> io::Result<()> {
    let mut asked = vec![0; PIECE];
    let length = connection.read(&mut asked).await?;
    let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
    match harm {
        Harm::Redirect(victim) => {
            let path = asked.split(' ').nth(1).unwrap_or("/");
            let mark = if path.contains('?') { '&' } else { '?' };
            let location = format!("Location: http://{victim}{path}{mark}{FOREIGN}");
            let head = format!("HTTP/1.1 307 Temporary Redirect\r\n{location}\r\nContent-Length: 0\r\n\r\n");
            connection.write_all(head.as_bytes()).await
        }
        Harm::Drip => {
            connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n").await?;
            let mut turns = interval(DRIP);
            loop {
                turns.tick().await;
                connection.write_all(b" ").await?;
            }
        }
        Harm::EndlessAnswer => {
            connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"id\":\"").await?;
            endless(connection, b'a', largest).await
        }
        Harm::EndlessHead => {
            connection.write_all(b"HTTP/1.1 200 OK\r\nX-Long: ").await?;
            endless(connection, b'a', largest).await
        }
        Harm::EndlessMessage => {
            connection.write_all(&[&b"R"[..], &i32::MAX.to_be_bytes(), &3_i32.to_be_bytes()].concat()).await?;
            endless(connection, 0, largest).await
        }
        Harm::Garbage => {
            let mut garbage = vec![0; PIECE];
            StdRng::seed_from_u64(seed).fill_bytes(&mut garbage);
            connection.write_all(&garbage).await
        }
        Harm::WrongTypes => {
            let body = r#"{"id":[{}],"ID":7,"Hash":[],"Name":{},"Size":true,"cid":{"/":3},"peer_map":["x"],"cluster_peers":"y","Version":null}"#;
            connection.write_all(whole(body).as_bytes()).await
        }
        Harm::Deep => {
            let body = format!("{}{}", "[".repeat(PIECE / 2), "]".repeat(PIECE / 2));
            connection.write_all(whole(&body).as_bytes()).await
        }
        Harm::Closed => Ok(()),
        Harm::Silent => {
            // Until the client closes its end.
            let mut rest = [0; 1024];
            while connection.read(&mut rest).await? > 0 {}
            Ok(())
        }
    }
}

fn whole(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

async fn endless(connection: &mut TcpStream, byte: u8, largest: &AtomicU64) -> io::Result<()> {
    let piece = vec![byte; PIECE];
    let mut sent = 0;
    while sent < ENDLESS {
        connection.write_all(&piece).await?;
        sent += piece.len() as u64;
        largest.fetch_max(sent, Ordering::Relaxed);
    }
    Ok(())
}
