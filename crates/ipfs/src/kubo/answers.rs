//! The answers of Kubo: the fields that are read; and a request that the crate has without its option.

use ipfs_api_backend_hyper::request::ApiRequest;
use serde::{Deserialize, Deserializer, Serialize};

use crate::brief::{brief, cid};

/// The most connections that are kept, and the longest id of one, in bytes: those of Kubo have 46 or 52.
const MOST_CONNECTIONS: usize = 10_000;
const LONGEST_ID: usize = 64;

/// `repo stat`.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct AskRepository {
    /// Without counting blocks, which takes minutes if they are many.
    pub(super) size_only: bool,
}

impl ApiRequest for AskRepository {
    const PATH: &'static str = "/repo/stat";
}

/// A Kubo about itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Id {
    /// Its id.
    #[serde(rename = "ID", deserialize_with = "brief")]
    pub(crate) id: String,
    /// Its program and version, as `kubo/0.42.0/…`.
    #[serde(rename = "AgentVersion", default, deserialize_with = "brief")]
    pub(crate) agent_version: String,
}

/// The repository of a Kubo.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Repository {
    /// Bytes.
    #[serde(rename = "RepoSize")]
    pub(crate) size: u64,
    /// Bytes at which garbage is collected, if it is collected at all.
    #[serde(rename = "StorageMax", default)]
    pub(crate) maximum: u64,
}

/// The result of adding content.
#[derive(Deserialize)]
pub(super) struct Added {
    /// Its CID.
    #[serde(rename = "Hash", deserialize_with = "short_cid")]
    pub(super) hash: String,
}

fn short_cid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    cid(String::deserialize(deserializer)?)
}

/// The result of removing a block.
#[derive(Deserialize)]
pub(super) struct Removed {
    #[serde(rename = "Error", default)]
    pub(super) error: Option<String>,
}

/// The connections of a Kubo; `null` if there are none.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Swarm {
    #[serde(default)]
    peers: Option<Vec<Neighbour>>,
}

/// The other end of a connection.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Neighbour {
    peer: String,
}

impl Swarm {
    /// Each other end once.
    pub(super) fn into_ids(self) -> Vec<String> {
        let ids = self.peers.unwrap_or_default().into_iter().map(|neighbour| neighbour.peer);
        let mut ids: Vec<_> = ids.filter(|id| id.len() <= LONGEST_ID).collect();
        ids.sort();
        ids.dedup();
        ids.truncate(MOST_CONNECTIONS);
        ids.shrink_to_fit();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_kubo_0_42_are_understood() {
        let id =
            "{\"ID\":\"K\",\"PublicKey\":\"C\",\"Addresses\":null,\"AgentVersion\":\"kubo/0.42.0\",\"Protocols\":null}";
        assert_eq!(serde_json::from_str::<Id>(id).unwrap().id, "K");
        let repository =
            "{\"RepoSize\":20176,\"StorageMax\":10000000000,\"NumObjects\":0,\"RepoPath\":\"\",\"Version\":\"\"}";
        let repository: Repository = serde_json::from_str(repository).unwrap();
        assert_eq!(repository, Repository { size: 20176, maximum: 10_000_000_000 });
        let swarm: Swarm = serde_json::from_str("{\"Peers\":null}").unwrap();
        assert!(swarm.into_ids().is_empty());
        let swarm = "{\"Peers\":[{\"Addr\":\"/ip4/127.0.7.3/tcp/4001\",\"Peer\":\"B\",\"Identify\":{\"ID\":\"\"}},{\"Peer\":\"A\"},\
            {\"Peer\":\"B\"}]}";
        let swarm: Swarm = serde_json::from_str(swarm).unwrap();
        assert_eq!(swarm.into_ids(), ["A", "B"]);
    }

    #[test]
    fn cid_of_any_length_is_refused() {
        let added = |cid: &str| serde_json::from_value::<Added>(serde_json::json!({ "Hash": cid }));
        assert_eq!(added("Qm").unwrap().hash, "Qm");
        assert!(added(&"Q".repeat(4 << 20)).err().unwrap().to_string().len() < 100);
    }

    #[test]
    fn connections_are_bounded() {
        let neighbour = |peer: String| Neighbour { peer };
        let mut peers: Vec<_> = (0..20_000).map(|number| neighbour(number.to_string())).collect();
        peers.push(neighbour("0".repeat(65)));
        let ids = Swarm { peers: Some(peers) }.into_ids();
        assert!(ids.len() == MOST_CONNECTIONS && ids.iter().all(|id| id.len() <= LONGEST_ID));
    }
}
