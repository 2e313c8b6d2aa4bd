//! The two programs behind the bridge.

use serde_json::{Value, json};

/// The program that a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Kubo, through its RPC.
    Kubo,
    /// IPFS Cluster, through its REST API.
    Cluster,
}

impl Product {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kubo => "Kubo",
            Self::Cluster => "IPFS Cluster",
        }
    }

    /// Its label in metrics and the log; with `--`, the option with its address.
    pub fn label(self) -> &'static str {
        match self {
            Self::Kubo => "kubo",
            Self::Cluster => "cluster",
        }
    }

    /// An error as its clients decode one.
    pub(crate) fn error(self, status: u16, message: &str) -> Value {
        match self {
            Self::Kubo => json!({"Message": message, "Code": 0, "Type": "error"}),
            Self::Cluster => json!({"code": status, "message": message}),
        }
    }
}
