//! Addresses as go-multiaddr v0.2.0 knows them: a protocol that came later is none.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::cid;

/// Whether an address can be parsed, or what cannot.
pub(crate) fn parse(text: &str) -> Result<(), String> {
    let trimmed = text.trim_end_matches('/');
    let Some(parts) = trimmed.strip_prefix('/') else {
        let why = if trimmed.is_empty() { "empty multiaddr" } else { "must begin with /" };
        return Err(format!("failed to parse multiaddr {text:?}: {why}"));
    };
    let mut parts = parts.split('/');
    while let Some(protocol) = parts.next() {
        let is_valid: fn(&str) -> bool = match protocol {
            "p2p-circuit" | "utp" | "udt" | "quic" | "http" | "https" | "p2p-webrtc-direct" | "ws" => continue,
            // All the rest is its path.
            "unix" => return Ok(()),
            "ip4" => |value| value.parse::<Ipv4Addr>().is_ok(),
            "ip6" => |value| value.parse::<Ipv6Addr>().is_ok(),
            "tcp" | "udp" | "dccp" | "sctp" => |value| value.parse::<u16>().is_ok(),
            "p2p" | "ipfs" => |value| cid::decode_peer(value).is_ok(),
            "dns" | "dns4" | "dns6" | "dnsaddr" | "ip6zone" | "onion" | "onion3" | "garlic64" | "garlic32" => {
                |value| !value.is_empty()
            }
            _ => return Err(format!("failed to parse multiaddr {text:?}: unknown protocol {protocol}")),
        };
        let value =
            parts.next().ok_or_else(|| format!("failed to parse multiaddr {text:?}: unexpected end of multiaddr"))?;
        if !is_valid(value) {
            return Err(format!("failed to parse multiaddr {text:?}: invalid value {value:?} for protocol {protocol}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWP5NMh7GHgNLdYMSRYQ77nDQRvMewcnKqhibWWHGzjgaK";

    #[test]
    fn addresses_of_2020_are_accepted() {
        for text in [
            "/ip4/10.0.0.1/tcp/4001",
            "/ip6/::1/tcp/4001",
            "/dns4/pod-0.svc/tcp/9096",
            "/dns/pod/udp/4001/quic",
            "/ip4/10.0.0.1/tcp/4001/ws",
            "/unix/run/ipfs.sock",
            &format!("/ip4/10.0.0.1/tcp/4001/p2p/{PEER}"),
            &format!("/ip4/10.0.0.1/tcp/4001/p2p/{PEER}/p2p-circuit"),
        ] {
            assert_eq!(parse(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn later_or_invalid_addresses_are_refused() {
        for text in [
            "/ip4/10.0.0.1/udp/4001/quic-v1",
            "/ip4/10.0.0.1/udp/4001/quic-v1/webtransport/certhash/uEiD",
            "/ip4/10.0.0.1/udp/4001/webrtc-direct",
            "/dns4/pod/tcp/443/tls/ws",
            "/dns4/pod/tcp/443/tls/sni/pod/ws",
            "/ip4/10.0.0.1/tcp",
            "/ip4/10.0.0.1/tcp/99999",
            "10.0.0.1:4001",
            "/",
            "",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
