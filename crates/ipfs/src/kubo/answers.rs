//! What Kubo answers, as far as it is read, and a request that the crate has without its option.

use ipfs_api_backend_hyper::request::ApiRequest;
use serde::{Deserialize, Serialize};

/// `repo stat`.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct AskRepository {
    /// Without counting blocks, which takes minutes where there are many.
    pub(super) size_only: bool,
}

impl ApiRequest for AskRepository {
    const PATH: &'static str = "/repo/stat";
}

/// Who a Kubo is.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Id {
    /// Its id.
    #[serde(rename = "ID")]
    pub(crate) id: String,
    /// Its program and version, as `kubo/0.42.0/…`.
    #[serde(rename = "AgentVersion", default)]
    pub(crate) agent_version: String,
}

/// What a Kubo holds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Repository {
    /// Bytes.
    #[serde(rename = "RepoSize")]
    pub(crate) size: u64,
    /// Bytes at which garbage is collected, if it is collected at all.
    #[serde(rename = "StorageMax", default)]
    pub(crate) maximum: u64,
}

/// What was added.
#[derive(Deserialize)]
pub(super) struct Added {
    /// Its CID.
    #[serde(rename = "Hash")]
    pub(super) hash: String,
}

/// What became of a block that was to be removed.
#[derive(Deserialize)]
pub(super) struct Removed {
    #[serde(rename = "Error", default)]
    pub(super) error: Option<String>,
}

/// What a refusal says.
#[derive(Deserialize)]
pub(super) struct Complaint {
    #[serde(rename = "Message")]
    pub(super) message: String,
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
        let mut ids: Vec<_> = self.peers.unwrap_or_default().into_iter().map(|neighbour| neighbour.peer).collect();
        ids.sort();
        ids.dedup();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubo_0_42_says_is_understood() {
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
}
