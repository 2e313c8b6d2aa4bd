//! Connections to RabbitMQ over AMQP; with the feature `amqp`.

use std::{io, time::Duration};

use lapin::{Connection, ConnectionProperties, uri::AMQPUri};
use tokio::time::timeout;

use crate::{address::Endpoint, relay::Relay};

pub use crate::relay::{Limit, Window};

/// The longest frame, in bytes: RabbitMQ's own default. The library reserves 32 of the length that the broker announces, which
/// may be four gigabytes.
const FRAME: u32 = 128 << 10;
/// The interval of heartbeats, in seconds.
const HEARTBEAT: u16 = 20;

/// Why no connection was opened.
#[derive(Debug)]
pub enum Failure {
    /// No server answers at the address.
    Unreachable(io::Error),
    /// The connection was accepted, and closed without an answer: see [`crate::mesh`].
    Closed,
    /// The broker takes too long.
    Slow,
    /// The broker refuses.
    Refused(lapin::Error),
}

/// A connection to a broker. It ends soon after it is dropped.
pub struct Open {
    /// The connection.
    pub connection: Connection,
    /// Dropped last: the library closes the connection over it.
    _relay: Relay,
}

/// Parses a URI. The parser's own message is not passed on: it may quote the URI with the password.
pub fn parse(uri: &str) -> Option<AMQPUri> {
    let mut parsed: AMQPUri = uri.parse().ok()?;
    if let Some(host) = ipv6_host(uri) {
        host.clone_into(&mut parsed.authority.host);
    }
    Some(parsed)
}

/// Opens a connection, over which the broker may send as much as the limit permits. The network and the broker have this time
/// each.
pub async fn open(mut uri: AMQPUri, within: Duration, limit: impl Into<Limit>) -> Result<Open, Failure> {
    let authority = &mut uri.authority;
    let endpoint = Endpoint { host: authority.host.clone(), port: authority.port };
    let relay = Relay::open(&endpoint, within, limit.into()).await.map_err(Failure::Unreachable)?;
    (authority.host, authority.port) = (relay.near().ip().to_string(), relay.near().port());
    (uri.query.frame_max, uri.query.heartbeat) = (Some(FRAME), Some(HEARTBEAT));
    let properties = ConnectionProperties::default().with_connection_name("temporal-stack".into());
    #[expect(clippy::disallowed_methods, reason = "the relay ends it, and frames have a limit")]
    let connecting = Connection::connect_uri(uri, properties);
    let refused = |error| if relay.is_dismissed() { Failure::Closed } else { Failure::Refused(error) };
    let connection = timeout(within, connecting).await.map_err(|_| Failure::Slow)?.map_err(refused)?;
    Ok(Open { connection, _relay: relay })
}

/// The host of a URI if it is an IPv6 address, without brackets; `None` if the host is anything else. The parser treats such an
/// address as an absent host, and substitutes `localhost`.
fn ipv6_host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (host, _) = host.strip_prefix('[')?.split_once(']')?;
    Some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_host_is_not_localhost() {
        assert_eq!(parse("amqp://u:p@[fd00::1]:5672/a").unwrap().authority.host, "fd00::1");
        assert_eq!(ipv6_host("amqp://u:p@[fd00::1]:5672/a@[::1]"), Some("fd00::1"));
        assert_eq!(ipv6_host("amqp://[::1]"), Some("::1"));
        assert_eq!(ipv6_host("amqp://u:p@broker:5672/[::1]"), None);
    }
}
