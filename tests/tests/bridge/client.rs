//! What Temporal's clients decode, as strictly as Go does: a field of another type is an error, null and absence are nothing,
//! what is not known is ignored.

#![expect(clippy::struct_field_names, reason = "they are the names in the JSON")]

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};

/// Decodes an answer, as `json.Unmarshal` does.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).with_context(|| String::from_utf8_lossy(body).into_owned())
}

/// `cid.Cid`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Cid {
    #[serde(rename = "/")]
    pub(crate) target: String,
}

/// `api.ID` of IPFS Cluster 0.12.
#[derive(Debug, Deserialize)]
pub(crate) struct Id {
    pub(crate) id: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) addresses: Vec<Multiaddr>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) cluster_peers: Vec<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) cluster_peers_addresses: Vec<Multiaddr>,
    pub(crate) version: String,
    pub(crate) error: String,
    pub(crate) ipfs: IpfsId,
    pub(crate) peername: String,
}

/// `api.IPFSID`.
#[derive(Debug, Deserialize)]
pub(crate) struct IpfsId {
    #[serde(default)]
    pub(crate) id: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) addresses: Vec<Multiaddr>,
    pub(crate) error: String,
}

/// `api.Pin`, with its options.
#[derive(Debug, Deserialize)]
pub(crate) struct Pin {
    pub(crate) cid: Cid,
    #[serde(rename = "type")]
    pub(crate) kind: u64,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) allocations: Vec<String>,
    pub(crate) max_depth: i64,
    pub(crate) reference: Option<Cid>,
    pub(crate) replication_factor_min: i64,
    pub(crate) replication_factor_max: i64,
    pub(crate) name: String,
    pub(crate) shard_size: u64,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) user_allocations: Vec<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) pin_update: Option<Cid>,
}

/// `api.GlobalPinInfo`.
#[derive(Debug, Deserialize)]
pub(crate) struct GlobalPinInfo {
    pub(crate) cid: Cid,
    pub(crate) peer_map: BTreeMap<String, PinInfo>,
}

/// `api.PinInfo`.
#[derive(Debug, Deserialize)]
pub(crate) struct PinInfo {
    pub(crate) cid: Cid,
    pub(crate) peer: String,
    pub(crate) peername: String,
    pub(crate) status: String,
    pub(crate) timestamp: String,
    pub(crate) error: String,
}

/// `api.Error`.
#[derive(Debug, Deserialize)]
pub(crate) struct ClusterError {
    pub(crate) code: u16,
    pub(crate) message: String,
}

/// `ObjectStats` of go-ipfs-api.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ObjectStats {
    pub(crate) hash: String,
    pub(crate) block_size: i64,
    pub(crate) cumulative_size: i64,
    pub(crate) data_size: i64,
    pub(crate) links_size: i64,
    pub(crate) num_links: i64,
}

/// `Error` of go-ipfs-api.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct KuboError {
    pub(crate) message: String,
    pub(crate) code: i64,
}

/// A `Multiaddr` of go-multiaddr 0.2.0, which knows fewer protocols than today's.
#[derive(Debug)]
pub(crate) struct Multiaddr;

impl<'de> Deserialize<'de> for Multiaddr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut parts = text.split('/');
        if parts.next() != Some("") {
            return Err(D::Error::custom(format!("{text} must begin with /")));
        }
        while let Some(protocol) = parts.next() {
            match protocol {
                "ip4" | "ip6" | "dns" | "dns4" | "dns6" | "dnsaddr" | "tcp" | "udp" | "p2p" | "ipfs" => {
                    parts.next().ok_or_else(|| D::Error::custom(format!("{text} ends with {protocol}")))?;
                }
                "quic" | "ws" | "wss" | "http" | "https" | "p2p-circuit" => {}
                // The rest is its path.
                "unix" => return Ok(Self),
                _ => return Err(D::Error::custom(format!("no protocol with name {protocol} in {text}"))),
            }
        }
        Ok(Self)
    }
}

fn or_nothing<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
