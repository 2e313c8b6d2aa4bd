//! What IPFS Cluster answers, as far as it is read. Lists and maps that are empty may be `null`.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use temporal_stack_common::failure::words;

/// Who a peer is.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The peer's id.
    pub(crate) id: String,
    /// Its name, which is the pod's.
    #[serde(default)]
    pub(crate) peername: String,
    /// The version of IPFS Cluster.
    #[serde(default)]
    pub(crate) version: String,
    /// Peers understand each other if they have the same.
    #[serde(default)]
    pub(crate) rpc_protocol_version: String,
    /// The peers that it has heard of lately, itself among them.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) cluster_peers: Vec<String>,
    /// What is wrong with it.
    #[serde(default)]
    pub(crate) error: String,
    /// Its Kubo.
    #[serde(default)]
    pub(crate) ipfs: Ipfs,
}

/// The Kubo of a peer.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) struct Ipfs {
    /// The id of Kubo, which is not the peer's; empty if Kubo does not answer.
    #[serde(default)]
    pub(crate) id: String,
    /// Where it listens.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) addresses: Vec<String>,
    /// Why Kubo does not answer.
    #[serde(default)]
    pub(crate) error: String,
}

/// What is to be kept, and by whom. What IPFS Cluster does not let one say anew is left out.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) struct Pin {
    /// What.
    #[serde(deserialize_with = "text_or_link")]
    pub(crate) cid: String,
    /// The user's name for it.
    #[serde(default)]
    pub(crate) name: String,
    /// How many peers must hold it; -1: all, 0: as many as IPFS Cluster is configured to.
    #[serde(rename = "replication_factor_min", default)]
    pub(crate) min: i64,
    /// How many peers are to hold it; -1: all, 0: as many as IPFS Cluster is configured to.
    #[serde(rename = "replication_factor_max", default)]
    pub(crate) max: i64,
    /// Whether with all that it links to: `recursive` or `direct`.
    #[serde(default)]
    pub(crate) mode: String,
    /// `pin`, which it is if nothing is said, or a part of what was added in shards: `meta-pin`, `clusterdag-pin`, `shard-pin`.
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    /// The peers that are to hold it; none: all.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) allocations: Vec<String>,
    /// When it is to be forgotten.
    #[serde(default, deserialize_with = "time")]
    pub(crate) expire_at: Option<Timestamp>,
    /// The user's notes, and this controller's.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
    /// Where to get it.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) origins: Vec<String>,
    /// Of what is added in shards.
    #[serde(default)]
    pub(crate) shard_size: u64,
    /// When its options were said last.
    #[serde(default, deserialize_with = "time")]
    pub(crate) timestamp: Option<Timestamp>,
}

impl Pin {
    /// Whether it is a whole pin, not a part of one that was added in shards: only such can be pinned anew.
    pub(crate) fn is_data(&self) -> bool {
        matches!(self.kind.as_str(), "" | "pin")
    }

    /// Whether its time is over. Peers forget it within minutes, and until then refuse to be told anything about it.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expire_at.is_some_and(|end| end <= now)
    }
}

/// What a peer has heard of another.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Metric {
    /// The other peer.
    pub(crate) peer: String,
    /// Whether it was heard lately.
    #[serde(default)]
    pub(crate) valid: bool,
}

/// What peers say of a pin.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct PinStatus {
    /// What.
    #[serde(deserialize_with = "text_or_link")]
    pub(crate) cid: String,
    /// Who says it, by peer id, and what.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) peer_map: BTreeMap<String, Short>,
}

/// What one peer says of a pin.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Short {
    /// `pinned`, `pinning`, `remote`, `pin_error`, …
    #[serde(default)]
    pub(crate) status: String,
    /// What went wrong.
    #[serde(default)]
    pub(crate) error: String,
    /// How often it was tried.
    #[serde(default)]
    pub(crate) attempt_count: u32,
    /// Since when it is so.
    #[serde(default, deserialize_with = "time")]
    pub(crate) timestamp: Option<Timestamp>,
}

impl Short {
    /// Whether the peer has all of it.
    pub(crate) fn is_pinned(&self) -> bool {
        self.status == "pinned"
    }
}

/// What a refusal says.
pub(super) fn complaint(text: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Complaint {
        message: String,
    }
    let text = String::from_utf8_lossy(text);
    words(&serde_json::from_str(&text).map_or(text.into_owned(), |Complaint { message }| message))
}

fn null_is_empty<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A CID is a text, and was a link of IPLD before IPFS Cluster 1.0.
fn text_or_link<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Cid {
        Text(String),
        Link {
            #[serde(rename = "/")]
            text: String,
        },
    }
    Ok(match Cid::deserialize(deserializer)? {
        Cid::Text(text) | Cid::Link { text } => text,
    })
}

/// Go writes no time as one: that of the year 1, or of 1970.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let time: Timestamp = text.parse().map_err(serde::de::Error::custom)?;
    Ok(Some(time).filter(|time| *time > Timestamp::UNIX_EPOCH))
}
