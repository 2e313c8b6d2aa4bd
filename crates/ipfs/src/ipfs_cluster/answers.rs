//! The answers of IPFS Cluster: the fields that are read. Empty lists and maps may be `null`.

use std::collections::BTreeMap;

use k8s_openapi::jiff::{Timestamp, fmt::temporal::Pieces};
use serde::{Deserialize, Deserializer};

use crate::brief::{self, brief, few};

/// A peer about itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The peer's id.
    #[serde(deserialize_with = "brief")]
    pub(crate) id: String,
    /// The version of IPFS Cluster.
    #[serde(default, deserialize_with = "brief")]
    pub(crate) version: String,
    /// Peers can communicate if they have the same.
    #[serde(default, deserialize_with = "brief")]
    pub(crate) rpc_protocol_version: String,
    /// The peers that it has heard from recently, itself among them.
    #[serde(default, deserialize_with = "few")]
    pub(crate) cluster_peers: Vec<String>,
}

/// A pin. Options that IPFS Cluster does not let clients set are left out.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) struct Pin {
    /// Its CID.
    #[serde(deserialize_with = "text_or_link")]
    pub(crate) cid: String,
    /// The user's name for it.
    #[serde(default)]
    pub(crate) name: String,
    /// How many peers must hold it; -1: all, 0: as many as IPFS Cluster is configured to.
    #[serde(rename = "replication_factor_min", default)]
    pub(crate) min: i64,
    /// How many peers should hold it; -1: all, 0: as many as IPFS Cluster is configured to.
    #[serde(rename = "replication_factor_max", default)]
    pub(crate) max: i64,
    /// Whether linked content is included: `recursive` or `direct`.
    #[serde(default)]
    pub(crate) mode: String,
    /// `pin`, which is the default, or a part of sharded content: `meta-pin`, `clusterdag-pin`, `shard-pin`.
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    /// The peers that should hold it; none: all.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) allocations: Vec<String>,
    /// When it expires.
    #[serde(default, deserialize_with = "time")]
    pub(crate) expire_at: Option<Timestamp>,
    /// The user's notes, and this controller's.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
    /// Where it can be fetched from.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) origins: Vec<String>,
    /// The size of its shards.
    #[serde(default)]
    pub(crate) shard_size: u64,
    /// When its options were last set.
    #[serde(default, deserialize_with = "time")]
    pub(crate) timestamp: Option<Timestamp>,
}

impl Pin {
    /// Whether it is a normal pin, not a part of sharded content: only such pins can be pinned again.
    pub(crate) fn is_data(&self) -> bool {
        matches!(self.kind.as_str(), "" | "pin")
    }

    /// How much memory it takes, in bytes, with what the nodes of maps and the ends of allocations may take in addition.
    pub(crate) fn size(&self) -> usize {
        const ELEMENT: usize = 64;
        const ENTRY: usize = 256;
        let texts = [&self.cid, &self.name, &self.mode, &self.kind].map(String::len).iter().sum::<usize>();
        let lists: usize = self.allocations.iter().chain(&self.origins).map(|text| text.len() + ELEMENT).sum();
        let notes: usize = self.metadata.iter().map(|(key, value)| key.len() + value.len() + ENTRY).sum();
        size_of::<Self>() + texts + lists + notes
    }

    /// Whether it has expired. Peers forget it within minutes, and until then refuse to change it.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expire_at.is_some_and(|end| end <= now)
    }
}

/// A metric of one peer about another.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Metric {
    /// The other peer.
    #[serde(deserialize_with = "brief")]
    pub(crate) peer: String,
    /// Whether it is recent.
    #[serde(default)]
    pub(crate) valid: bool,
}

/// The reports of peers about a pin.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct PinStatus {
    /// Its CID.
    #[serde(deserialize_with = "text_or_link")]
    pub(crate) cid: String,
    /// The report of each peer, by its id.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) peer_map: BTreeMap<String, PeerStatus>,
}

/// The report of one peer about a pin.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct PeerStatus {
    /// `pinned`, `pinning`, `remote`, `pin_error`, …
    #[serde(default)]
    pub(crate) status: String,
    /// Its error.
    #[serde(default)]
    pub(crate) error: String,
    /// How often it was tried.
    #[serde(default)]
    pub(crate) attempt_count: u32,
    /// Since when it has this status.
    #[serde(default, deserialize_with = "time")]
    pub(crate) timestamp: Option<Timestamp>,
}

impl PeerStatus {
    /// Whether the peer has all of it.
    pub(crate) fn is_pinned(&self) -> bool {
        self.status == "pinned"
    }
}

/// The last year that a time can have, here as in Go's JSON.
const LAST_YEAR: i16 = 9999;

fn null_is_empty<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A CID is a string; before IPFS Cluster 1.0 it was an IPLD link.
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
    match Cid::deserialize(deserializer)? {
        Cid::Text(text) | Cid::Link { text } => brief::cid(text),
    }
}

/// Go writes an absent time as the year 1, or 1970. The last two days of the year 9999, which stand for "never", are beyond the
/// largest timestamp, and count as it.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let time: Timestamp = match text.parse() {
        Ok(time) => time,
        Err(_) if Pieces::parse(&text).is_ok_and(|pieces| pieces.date().year() == LAST_YEAR) => Timestamp::MAX,
        Err(error) => return Err(serde::de::Error::custom(error)),
    };
    Ok(Some(time).filter(|time| *time > Timestamp::UNIX_EPOCH))
}
