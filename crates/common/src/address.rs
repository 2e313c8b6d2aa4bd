//! Hosts that users name, and connections to them, with the same rules for every protocol.
//!
//! # Security
//!
//! A user who may write a Secret chooses where a controller connects to. So a host must be a plain name or address, and
//! addresses that cannot belong to a tenant's server are refused after the name is resolved, when the connection is made: the
//! machine's own (link-local, with the cloud's metadata service), shared ones (unspecified, multicast, broadcast), and, where
//! the controller runs in a pod, its own loopback. Everything else is as reachable as from any pod: restrict it by a
//! `NetworkPolicy` of the controllers' namespace.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::OnceLock,
    time::Duration,
};

use tokio::net::{TcpStream, lookup_host};

use crate::binding::authority;

/// The longest DNS name, and the longest label of one.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;
/// Metadata services of clouds outside of the link-local range.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254)),
];
/// The remedy for a malformed host.
const FORM: &str = "give a DNS name or an IP address, without scheme, port or path";

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Endpoint {
    /// The host as it is connected to, if it is one.
    pub(crate) fn valid_host(&self) -> io::Result<&str> {
        host(&self.host).map_err(|wrong| io::Error::new(io::ErrorKind::InvalidInput, format!("the host {wrong}")))
    }
}

impl fmt::Display for Endpoint {
    /// As in a URI: an IPv6 address has brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&authority(&self.host, self.port))
    }
}

/// A host name or address without the brackets of an IPv6 address; or the error, phrased to follow the name of its key.
pub fn host(text: &str) -> Result<&str, String> {
    let text = text.trim();
    let host = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let refused = |ip: IpAddr| refusal(ip).map(|why| format!("is {why}; give the address of a server"));
    if host.contains(':') {
        let ip: Ipv6Addr = host.parse().map_err(|_| format!("is not an IPv6 address; {FORM}"))?;
        return refused(ip.into()).map_or(Ok(host), Err);
    }
    if host.is_empty() || host.len() > LONGEST_NAME {
        return Err(format!("is empty or too long to be a host; {FORM}"));
    }
    if let Some(wrong) = host.chars().find(|c| !(c.is_ascii_alphanumeric() || "-._".contains(*c))) {
        return Err(format!("contains {wrong:?}, which a host cannot contain; {FORM}"));
    }
    let labels: Vec<&str> = host.strip_suffix('.').unwrap_or(host).split('.').collect();
    if labels.iter().any(|label| label.is_empty() || label.len() > LONGEST_LABEL || label.starts_with('-')) {
        return Err(format!("is not a host; {FORM}"));
    }
    // Parsers of URLs take `0x7f.1` and `2130706433` for addresses, too.
    let is_number = |label: &str| {
        let digits = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
        digits.map_or(!label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit()), |digits| {
            digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    if labels.last().is_some_and(|last| is_number(last)) {
        let ip: Ipv4Addr = host.parse().map_err(|_| format!("is not an IPv4 address; {FORM}"))?;
        return refused(ip.into()).map_or(Ok(host), Err);
    }
    Ok(host)
}

/// The address of IPv4 that a translator on the way makes of an address of IPv6: NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056)
/// and the deprecated form that is compatible with IPv4 (RFC 4291).
fn translated(ip: IpAddr) -> IpAddr {
    let ip = ip.to_canonical();
    let IpAddr::V6(v6) = ip else { return ip };
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] | [0x2002, high, low, ..] => {
            v4(high, low)
        }
        [0, 0, 0, 0, 0, 0, high, low] if high > 0 => v4(high, low),
        _ => ip,
    }
}

/// The reason why an address is refused, as a noun; `None` if it is allowed.
pub fn refusal(ip: IpAddr) -> Option<&'static str> {
    let ip = translated(ip);
    let is_link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    if is_link_local || METADATA.contains(&ip) {
        Some("a link-local address or the cloud's metadata service")
    } else if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
        Some("not the address of a single machine")
    } else if ip.is_loopback() && is_in_pod() {
        Some("the controller's own loopback")
    } else {
        None
    }
}

/// A controller that is run by hand may use servers on its own machine.
fn is_in_pod() -> bool {
    static IN_POD: OnceLock<bool> = OnceLock::new();
    *IN_POD.get_or_init(|| std::env::var_os("KUBERNETES_SERVICE_HOST").is_some())
}

/// The allowed addresses of a host.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
    let refused = found.iter().find_map(|address| refusal(address.ip()));
    let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| refusal(address.ip()).is_none()).collect();
    match refused {
        Some(why) if allowed.is_empty() => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("the host is {why}: connections to it are refused"),
        )),
        None if allowed.is_empty() => Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address")),
        _ => Ok(allowed),
    }
}

/// Connects to the first address of a host that accepts the connection, within this time.
pub async fn connect(host: &str, port: u16, within: Duration) -> io::Result<TcpStream> {
    let connecting = async {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in resolve(host, port).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => return stream.set_nodelay(true).map(|()| stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    };
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {} s", within.as_secs()));
    tokio::time::timeout(within, connecting).await.unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_accepted() {
        for name in ["db", "db.default.svc", "a-1.example.com.", "_srv.example.com", "10.0.0.1", "fd00::1", "3com.net"]
        {
            assert_eq!(host(name), Ok(name));
        }
        assert_eq!(host(" [fd00::1]\n"), Ok("fd00::1"));
        assert_eq!(host("127.0.0.1"), Ok("127.0.0.1"), "outside of a pod");
    }

    #[test]
    fn url_characters_in_a_host_are_refused() {
        for text in [
            "",
            " ",
            "a b",
            "a@b",
            "a/b",
            "a?b",
            "a#b",
            "a:80",
            "http://a",
            "a\nb",
            "a\0",
            "a\tb",
            "..",
            ".a",
            "a..b",
            "-a",
            "%61",
            "ü",
            "a\\b",
            "[::1",
            "::1%eth0",
            "0x7f.1",
            "2130706433",
            "1.2.3",
            "127.1",
            "999.1.1.1",
        ] {
            assert!(host(text).is_err(), "{text:?}");
        }
        assert!(host(&"a".repeat(64)).is_err() && host(&"a.".repeat(127)).is_err());
    }

    #[test]
    fn non_server_addresses_are_refused() {
        for ip in [
            "169.254.169.254",
            "fe80::1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "64:ff9b::100.100.100.200",
            "fd00:ec2::254",
            "fd20:ce::254",
            "100.100.100.200",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ] {
            assert!(refusal(ip.parse().unwrap()).is_some(), "{ip}");
            assert!(host(ip).is_err(), "{ip}");
        }
        for ip in ["10.0.0.1", "192.168.1.1", "fd00::1", "1.1.1.1", "64:ff9b::10.0.0.1", "2002:a00:1::1", "2001:db8::1"]
        {
            assert_eq!(refusal(ip.parse().unwrap()), None, "{ip}");
        }
    }

    #[tokio::test]
    async fn name_of_a_refused_address_is_not_connected_to() {
        let failure = connect("169.254.169.254", 80, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(failure.kind(), io::ErrorKind::PermissionDenied);
    }
}
