//! Who a peer is: two ed25519 keys, Kubo's and IPFS Cluster's, made once and kept as data. Their peer IDs follow from them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use libp2p_identity::Keypair;
use temporal_stack_common::{
    api::IpfsCluster, binding, cache::Children, component::Progress, condition::reason, manifest::Draw,
};

use crate::names::{self, MOST_PEERS};

/// Label of identities: the ordinal of the peer's pod.
pub(crate) const PEER: &str = "temporal-stack.dev/peer";
/// The key of Kubo's private key.
const KUBO: &str = "kubo-private-key";
/// The key of IPFS Cluster's private key.
const CLUSTER: &str = "cluster-private-key";
/// What the driver draws for an identity.
pub(crate) const DRAWN: [Draw; 2] = [Draw::Bytes(KUBO, private_key), Draw::Bytes(CLUSTER, private_key)];

/// Who a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The ordinal of its pod.
    pub(crate) ordinal: i32,
    /// Kubo's key.
    pub(crate) kubo: Key,
    /// IPFS Cluster's key.
    pub(crate) cluster: Key,
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
    // Any 32 bytes are a key; where that should ever change, an empty one is refused when it is read.
    let pair = Keypair::ed25519_from_bytes(&mut seed).and_then(|pair| pair.to_protobuf_encoding());
    pair.map(|encoded| STANDARD.encode(encoded)).unwrap_or_default()
}

/// The identities that have been made, by ordinal, and what is wrong with one that cannot be read. A copy under another name is none.
pub(crate) fn row(object: &IpfsCluster, children: &Children) -> (Vec<Identity>, Option<Progress>) {
    let mut row = Vec::new();
    let mut wrong = None;
    for secret in children.all::<Secret>() {
        let ordinal = (0..MOST_PEERS).find(|ordinal| secret.name_any() == names::identity(object, *ordinal));
        let Some(ordinal) = ordinal else { continue };
        match (key(&secret, KUBO), key(&secret, CLUSTER)) {
            (Ok(kubo), Ok(cluster)) => row.push(Identity { ordinal, kubo, cluster }),
            (Err(unreadable), _) | (_, Err(unreadable)) => wrong = wrong.or(Some(unreadable)),
        }
    }
    row.sort_by_key(|identity| identity.ordinal);
    (row, wrong)
}

fn key(secret: &Secret, key: &str) -> Result<Key, Progress> {
    binding::text(secret, key).and_then(Key::parse).ok_or_else(|| Progress::Stalled {
        reason: reason::SECRET_INCOMPLETE,
        message: format!(
            "Secret/{}: the key {key} is no private key of libp2p; restore the Secret, for the peer is known by it. To give the peer a new identity, delete the Secret and the peer's volume claim",
            secret.name_any()
        ),
    })
}

/// The key of 32 equal bytes.
#[cfg(test)]
pub(crate) fn of_seed(seed: u8) -> Key {
    Key::parse(&private_key(&[seed; 32])).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_as_the_products_write_it() {
        let private = private_key(&[7; 32]);
        assert_eq!((private.len(), &private[..5]), (92, "CAESQ"));
        let key = Key::parse(&private).unwrap();
        assert!(key.id.starts_with("12D3KooW"), "{}", key.id);
        assert_eq!(Key::parse(&private_key(&[8; 32])).map(|other| other.id == key.id), Some(false));
    }

    #[test]
    fn a_copy_under_another_name_is_no_identity() {
        use temporal_stack_common::{
            api::label,
            cache::{Arrived, Cache, Instance},
        };
        let key = STANDARD.encode(private_key(&[7; 32]));
        let cache = Cache::default();
        for name in ["copy", "temporal-ipfscluster-identity-1", "temporal-ipfscluster-identity-2000000000"] {
            let secret = serde_json::json!({
                "metadata": {
                    "name": name, "namespace": "default", "uid": name, "resourceVersion": "1",
                    "labels": {label::INSTANCE: "temporal", PEER: "2000000000"},
                },
                "data": {KUBO: key, CLUSTER: key},
            });
            cache.put("Secret", Arrived::new(secret).unwrap());
        }
        let instance = Instance { namespace: "default".to_owned(), name: "temporal".to_owned() };
        let (row, wrong) = row(&crate::fixture::of_size(1), &cache.children(&instance, "0"));
        assert_eq!((row.iter().map(|identity| identity.ordinal).collect::<Vec<_>>(), wrong), (vec![1], None));
    }

    #[test]
    fn debug_shows_no_key() {
        let key = Key::parse(&private_key(&[7; 32])).unwrap();
        assert!(!format!("{key:?}").contains("CAES"));
    }
}
