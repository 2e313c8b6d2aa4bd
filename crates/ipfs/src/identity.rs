//! The identity of a peer: two ed25519 keys, Kubo's and IPFS Cluster's, made once and kept as data. Peer IDs follow from them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret;
use libp2p_identity::Keypair;
use temporal_stack_common::{binding, manifest::Draw};

/// The key of Kubo's private key.
const KUBO: &str = "kubo-private-key";
/// The key of IPFS Cluster's private key.
const CLUSTER: &str = "cluster-private-key";
/// The random values of an identity.
pub(crate) const DRAWN: [Draw; 2] = [Draw::Bytes(KUBO, private_key), Draw::Bytes(CLUSTER, private_key)];

/// The identity of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The ordinal of its pod.
    pub(crate) ordinal: i32,
    /// Kubo's key.
    pub(crate) kubo: Key,
    /// IPFS Cluster's key.
    pub(crate) cluster: Key,
}

impl Identity {
    /// Reads the identity of the peer with this ordinal; `Err` is the key that is not a libp2p private key.
    pub(crate) fn read(ordinal: i32, secret: &Secret) -> Result<Self, &'static str> {
        let read = |key| binding::text(secret, key).and_then(Key::parse).ok_or(key);
        Ok(Self { ordinal, kubo: read(KUBO)?, cluster: read(CLUSTER)? })
    }
}

/// A private key and its peer ID. `Debug` shows no key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// The peer ID, `12D3KooW…`.
    pub(crate) id: String,
    /// The key as Kubo and IPFS Cluster write it: base64 of its protobuf.
    pub(crate) private: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.id)
    }
}

impl Key {
    fn parse(private: &str) -> Option<Self> {
        let pair = Keypair::from_protobuf_encoding(&STANDARD.decode(private.trim()).ok()?).ok()?;
        Some(Self { id: pair.public().to_peer_id().to_base58(), private: private.trim().to_owned() })
    }
}

/// A private key as Kubo and IPFS Cluster write it, of 32 random bytes.
fn private_key(random: &[u8; 32]) -> String {
    let mut seed = *random;
    // Any 32 bytes are a key. If that ever changes, the empty key is refused when it is read.
    let pair = Keypair::ed25519_from_bytes(&mut seed).and_then(|pair| pair.to_protobuf_encoding());
    pair.map(|encoded| STANDARD.encode(encoded)).unwrap_or_default()
}

/// The key of 32 equal bytes.
#[cfg(test)]
pub(crate) fn key_of_seed(seed: u8) -> Key {
    Key::parse(&private_key(&[seed; 32])).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_encoded_as_the_products_encode_it() {
        let private = private_key(&[7; 32]);
        assert_eq!((private.len(), &private[..5]), (92, "CAESQ"));
        let key = Key::parse(&private).unwrap();
        assert!(key.id.starts_with("12D3KooW"), "{}", key.id);
        assert_eq!(Key::parse(&private_key(&[8; 32])).map(|other| other.id == key.id), Some(false));
    }

    #[test]
    fn debug_shows_no_key() {
        let key = Key::parse(&private_key(&[7; 32])).unwrap();
        assert!(!format!("{key:?}").contains("CAES"));
    }
}
