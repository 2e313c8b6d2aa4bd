//! As much of PostgreSQL as somebody sees who asks whether it answers: every login is accepted, every statement gives one row with `1`.

use std::{io, ops::Deref};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::visitors::{Visited, Visitor};

/// The type of a four-byte number.
const INT4: i32 = 23;
/// The request for TLS, which is answered with a no.
const TLS: i32 = 80_877_103;
/// The longest message that is read.
const LONGEST: usize = 1 << 16;

/// The running fake; it ends when this is dropped.
pub struct Postgres(Visited);

impl Postgres {
    /// Starts it on a free port of this machine.
    pub async fn start() -> Result<Self> {
        Ok(Self(Visited::start(serve).await?))
    }
}

impl Deref for Postgres {
    type Target = Visited;

    fn deref(&self) -> &Visited {
        &self.0
    }
}

async fn serve(mut connection: TcpStream, visitor: Visitor) -> io::Result<()> {
    loop {
        let body = body(&mut connection).await?;
        if body.get(..4) != Some(&TLS.to_be_bytes()) {
            visitor.identify(&login(&body).unwrap_or_default());
            break;
        }
        connection.write_all(b"N").await?;
    }
    let version = message(b'S', b"server_version\x0017.0\0");
    let encoding = message(b'S', b"client_encoding\0UTF8\0");
    let welcome = [message(b'R', &0_i32.to_be_bytes()), version, encoding, ready()].concat();
    connection.write_all(&welcome).await?;
    loop {
        let kind = connection.read_u8().await?;
        let body = body(&mut connection).await?;
        let answer = match kind {
            b'P' => message(b'1', b""),
            b'B' => message(b'2', b""),
            b'D' if body.first() == Some(&b'S') => [message(b't', &0_i16.to_be_bytes()), columns()].concat(),
            b'D' => columns(),
            b'E' => [row(), message(b'C', b"SELECT 1\0")].concat(),
            b'Q' => [columns(), row(), message(b'C', b"SELECT 1\0"), ready()].concat(),
            b'C' => message(b'3', b""),
            b'S' => ready(),
            b'X' => return Ok(()),
            _ => Vec::new(),
        };
        connection.write_all(&answer).await?;
    }
}

/// The user in the first message of a session: a version, then names and values, each with a zero behind it.
fn login(body: &[u8]) -> Option<String> {
    let mut words = body.get(4..)?.split(|byte| *byte == 0);
    words.find(|word| *word == b"user")?;
    Some(String::from_utf8_lossy(words.next()?).into_owned())
}

/// What a message contains, behind its length.
async fn body(connection: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = usize::try_from(connection.read_i32().await?).unwrap_or_default();
    let mut body = vec![0; length.saturating_sub(4).min(LONGEST)];
    connection.read_exact(&mut body).await?;
    Ok(body)
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).unwrap_or_default();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

fn columns() -> Vec<u8> {
    let place = [0_i32.to_be_bytes().to_vec(), 0_i16.to_be_bytes().to_vec()].concat();
    let kind = [INT4.to_be_bytes().to_vec(), 4_i16.to_be_bytes().to_vec(), (-1_i32).to_be_bytes().to_vec()].concat();
    let count = 1_i16.to_be_bytes();
    message(b'T', &[&count[..], b"one\0", &place, &kind, &1_i16.to_be_bytes()].concat())
}

fn row() -> Vec<u8> {
    message(b'D', &[&1_i16.to_be_bytes()[..], &4_i32.to_be_bytes(), &1_i32.to_be_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use tokio_postgres::{Config, NoTls};

    use super::*;

    #[tokio::test]
    async fn client_accepts_the_fake_server() {
        let fake = Postgres::start().await.unwrap();
        let mut config = Config::new();
        config.host("127.0.0.1").port(fake.address().port()).user("u").password("p");
        let (client, connection) = config.connect(NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let row = client.query_one("SELECT 1", &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 1);
        drop(client);
        connection.await.unwrap().unwrap();
        assert_eq!(fake.asked(), 1);
        assert!(fake.others_than("u").await.is_empty());
        assert_eq!(fake.others_than("victim").await, ["u"]);
    }
}
