//! The first bytes of a protocol: the least that shows that its server answers.
//!
//! A connection alone shows nothing where a mesh is: its proxies accept connections for servers that do not run, or that refuse
//! the client, and close them only afterwards. So a greeting is sent that every server of the protocol answers without a login.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The HTTP/2 preface, and a frame of settings that has none.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The type of a frame of settings, and where a frame has its type.
const SETTINGS: (usize, u8) = (3, 4);
/// A request about the server, not about a resource: it passes no limit of requests.
const HTTP: &[u8] = b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// The question whether the server has TLS.
const POSTGRESQL: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];
/// The header of AMQP 0-9-1.
const AMQP: &[u8] = b"AMQP\0\0\x09\x01";

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// PostgreSQL answers whether it has TLS.
    Postgresql,
    /// A broker answers with its properties, or with the version that it speaks.
    Amqp,
    /// HTTP/2, such as that of gRPC: a server answers with its settings.
    Http2,
    /// HTTP/1: a server answers with any status.
    Http,
}

impl Greeting {
    /// Greets the server at the other end, and reads the beginning of its answer.
    ///
    /// # Errors
    ///
    /// The server closed the connection, or speaks another protocol. Nothing ends it after some time.
    pub async fn exchange(self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
        let (greeting, length) = match self {
            Self::Postgresql => (POSTGRESQL, 1),
            Self::Amqp => (AMQP, 1),
            Self::Http2 => (HTTP2, SETTINGS.0 + 1),
            Self::Http => (HTTP, b"HTTP/1".len()),
        };
        stream.write_all(greeting).await?;
        stream.flush().await?;
        let mut answer = [0; 8];
        let answer = &mut answer[..length];
        stream.read_exact(answer).await.map_err(explained)?;
        let is_known = match self {
            Self::Postgresql => b"SNE".contains(&answer[0]),
            // A frame of a method, or a header with another version.
            Self::Amqp => b"\x01A".contains(&answer[0]),
            Self::Http2 => answer[SETTINGS.0] == SETTINGS.1,
            Self::Http => answer.starts_with(b"HTTP/1"),
        };
        if is_known { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "it speaks another protocol")) }
    }
}

fn explained(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return io::Error::new(error.kind(), "the connection was accepted and closed");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outcome with a server that answers this, and what the server was sent.
    async fn greet(greeting: Greeting, answer: &[u8]) -> (io::Result<()>, Vec<u8>) {
        let (mut near, mut far) = tokio::io::duplex(256);
        let answering = async {
            let mut sent = vec![0; 256];
            let length = far.read(&mut sent).await.unwrap();
            far.write_all(answer).await.unwrap();
            drop(far);
            sent.truncate(length);
            sent
        };
        tokio::join!(greeting.exchange(&mut near), answering)
    }

    #[tokio::test]
    async fn server_of_the_protocol_is_recognised() {
        for (greeting, answer) in [
            (Greeting::Postgresql, &b"N"[..]),
            (Greeting::Postgresql, b"S"),
            (Greeting::Amqp, b"\x01\0\0"),
            (Greeting::Amqp, b"AMQP\0\x01\0\0"),
            (Greeting::Http2, b"\0\0\x06\x04\0"),
            (Greeting::Http, b"HTTP/1.1 405 Method Not Allowed\r\n"),
        ] {
            let (outcome, sent) = greet(greeting, answer).await;
            assert!(outcome.is_ok() && !sent.is_empty(), "{greeting:?}: {outcome:?}");
        }
    }

    #[tokio::test]
    async fn accepted_connection_alone_is_no_answer() {
        for greeting in [Greeting::Postgresql, Greeting::Amqp, Greeting::Http2, Greeting::Http] {
            let (outcome, _) = greet(greeting, b"").await;
            assert_eq!(outcome.unwrap_err().to_string(), "the connection was accepted and closed", "{greeting:?}");
            let (outcome, _) = greet(greeting, b"HELLO, world").await;
            assert_eq!(outcome.unwrap_err().to_string(), "it speaks another protocol", "{greeting:?}");
        }
    }
}
