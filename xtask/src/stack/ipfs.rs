//! What the demo asks of the IPFS cluster: who has pinned a file, and the file itself.

use anyhow::{Result, bail};
use reqwest::blocking::Client;
use serde_json::Value;

use super::access::Reached;
use super::http::{answer, client};

/// IPFS Cluster's REST API.
#[derive(Debug)]
pub struct Peers {
    client: Client,
    base: String,
}

/// The gateway.
#[derive(Debug)]
pub struct Gateway {
    client: Client,
    base: String,
}

/// How a pin is, by peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// How many peers have it.
    pub pinned: usize,
    /// Those that have not, with what they say instead.
    pub others: Vec<String>,
}

impl Peers {
    /// What answers there.
    pub fn new(at: &Reached) -> Result<Self> {
        let (client, base) = client(at, None)?;
        Ok(Self { client, base })
    }

    /// How IPFS Cluster says that a pin is.
    pub fn pin(&self, cid: &str) -> Result<Pin> {
        let (status, answer) = answer(self.client.get(format!("{}/pins/{cid}", self.base)))?;
        if !status.is_success() {
            bail!("IPFS Cluster answers {status}: {answer}");
        }
        Ok(Pin::of(&answer))
    }
}

impl Gateway {
    /// What answers there.
    pub fn new(at: &Reached) -> Result<Self> {
        let (client, base) = client(at, None)?;
        Ok(Self { client, base })
    }

    /// A file as the gateway has it.
    pub fn read(&self, cid: &str) -> Result<Vec<u8>> {
        let answer = self.client.get(format!("{}/ipfs/{cid}", self.base)).send()?;
        let status = answer.status();
        if !status.is_success() {
            bail!("the gateway answers {status}");
        }
        Ok(answer.bytes()?.to_vec())
    }
}

impl Pin {
    fn of(answer: &Value) -> Self {
        let peers = || answer["peer_map"].as_object().into_iter().flatten();
        let is_pinned = |peer: &Value| peer["status"] == "pinned";
        let other = |(id, peer): (&String, &Value)| {
            let name = peer["peername"].as_str().unwrap_or(id);
            (!is_pinned(peer)).then(|| format!("{name} is {}", peer["status"].as_str().unwrap_or("silent")))
        };
        Self {
            pinned: peers().filter(|(_, peer)| is_pinned(peer)).count(),
            others: peers().filter_map(other).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pin_counts_where_its_peer_says_pinned() {
        let answer = json!({"cid": "bafk", "peer_map": {
            "12D1": {"peername": "cluster-0", "status": "pinned"},
            "12D2": {"peername": "cluster-1", "status": "pinning"},
        }});
        assert_eq!(Pin::of(&answer), Pin { pinned: 1, others: vec!["cluster-1 is pinning".to_owned()] });
    }
}
