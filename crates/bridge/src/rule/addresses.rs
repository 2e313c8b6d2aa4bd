//! C2: addresses that a go-multiaddr of 2020 does not know.
//!
//! | request | answer now | the client decodes | translation |
//! |---|---|---|---|
//! | `GET /peers` | `addresses`, `cluster_peers_addresses` and `ipfs.addresses` with `/quic-v1`, `/webtransport`, `/webrtc-direct`, `/tls/ws` | `[]Multiaddr` of go-multiaddr 0.2, which panics at any of these | all three are `[]` |
//!
//! Temporal reads none of the three.

use serde_json::{Value, json};

/// Empties the addresses of a peer.
pub(super) fn empty(peer: &mut Value) {
    for at in ["/addresses", "/cluster_peers_addresses", "/ipfs/addresses"] {
        if let Some(addresses) = peer.pointer_mut(at) {
            *addresses = json!([]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_emptied_and_other_fields_kept() {
        let mut peer = json!({
            "id": "12D3KooWA",
            "addresses": ["/ip4/10.0.0.1/udp/9096/quic-v1/p2p/12D3KooWA"],
            "cluster_peers": ["12D3KooWA", "12D3KooWB"],
            "cluster_peers_addresses": ["/ip4/10.0.0.2/tcp/9096/p2p/12D3KooWB"],
            "ipfs": {"id": "12D3KooWC", "addresses": ["/ip4/10.0.0.1/udp/4001/webrtc-direct"], "error": ""},
        });
        empty(&mut peer);
        let expected = json!({
            "id": "12D3KooWA",
            "addresses": [],
            "cluster_peers": ["12D3KooWA", "12D3KooWB"],
            "cluster_peers_addresses": [],
            "ipfs": {"id": "12D3KooWC", "addresses": [], "error": ""},
        });
        assert_eq!(peer, expected);
    }

    #[test]
    fn unreachable_peer_is_unchanged() {
        let mut peer = json!({"id": "12D3KooWA", "addresses": null, "error": "failed to dial", "ipfs": {"error": ""}});
        empty(&mut peer);
        assert_eq!(peer["addresses"], json!([]));
        assert_eq!(peer["ipfs"], json!({"error": ""}));
    }
}
