//! The two programs that are behind the bridge.

use serde_json::{Value, json};

/// Which program a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Kubo, through its RPC.
    Kubo,
    /// IPFS Cluster, through its REST API.
    Cluster,
}

impl Product {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kubo => "Kubo",
            Self::Cluster => "IPFS Cluster",
        }
    }

    /// What metrics and the log call it; `--` before it is the option that says where it is.
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
