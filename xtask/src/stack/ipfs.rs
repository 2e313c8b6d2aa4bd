//! The IPFS cluster as the demo uses it: the pins of a file, and the file.

use anyhow::{Result, bail};
use reqwest::blocking::Client;
use serde_json::Value;
use temporal_stack_common::failure::printable;

use super::access::Reached;
use super::http::{answer, below, client, file};

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

/// The status of a pin, by peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// How many peers have it.
    pub pinned: usize,
    /// The other peers, with the status that they report.
    pub others: Vec<String>,
}

impl Peers {
    /// A client of this address.
    pub fn new(at: &Reached) -> Result<Self> {
        let (client, base) = client(at, None)?;
        Ok(Self { client, base })
    }

    /// The status of a pin.
    pub fn pin(&self, cid: &str) -> Result<Pin> {
        let (status, answer) = answer(self.client.get(below(&self.base, &["pins", cid])?))?;
        if !status.is_success() {
            bail!("IPFS Cluster refused the request: {status}: {}", printable(&answer.to_string()));
        }
        Ok(Pin::parse(&answer))
    }
}

impl Gateway {
    /// A client of this address.
    pub fn new(at: &Reached) -> Result<Self> {
        let (client, base) = client(at, None)?;
        Ok(Self { client, base })
    }

    /// A file, read from the gateway.
    pub fn read(&self, cid: &str) -> Result<Vec<u8>> {
        let (status, content) = file(self.client.get(below(&self.base, &["ipfs", cid])?))?;
        if !status.is_success() {
            bail!("gateway refused the request: {status}");
        }
        Ok(content)
    }
}

impl Pin {
    fn parse(answer: &Value) -> Self {
        let peers = || answer["peer_map"].as_object().into_iter().flatten();
        let is_pinned = |peer: &Value| peer["status"] == "pinned";
        let other = |(id, peer): (&String, &Value)| {
            let name = peer["peername"].as_str().unwrap_or(id);
            let status = peer["status"].as_str().unwrap_or("not reporting");
            (!is_pinned(peer)).then(|| printable(&format!("{name} is {status}")))
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
    fn pin_counts_where_its_peer_reports_it() {
        let answer = json!({"cid": "bafk", "peer_map": {
            "12D1": {"peername": "cluster-0", "status": "pinned"},
            "12D2": {"peername": "cluster-1", "status": "pinning"},
        }});
        assert_eq!(Pin::parse(&answer), Pin { pinned: 1, others: vec!["cluster-1 is pinning".to_owned()] });
    }
}
