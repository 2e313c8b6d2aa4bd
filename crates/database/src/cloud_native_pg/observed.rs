//! What is known of CloudNativePG. Plain data.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use temporal_stack_common::world::Admission;

use super::kinds::Cluster;

/// A cluster that CloudNativePG runs.
pub(crate) struct Observed {
    /// Whether the API server serves the kind, in the version that the controller speaks.
    pub(crate) is_served: bool,
    /// The versions of CloudNativePG's group that it serves otherwise.
    pub(crate) versions: Vec<String>,
    /// The cluster, if it exists.
    pub(crate) cluster: Option<Cluster>,
    /// For how long the controller has known this generation of it.
    pub(crate) known_for: Duration,
    /// The programs of operators that have written its status during the last minutes, one entry for each change.
    pub(crate) operators: Vec<String>,
    /// Whether the operator's webhook answers.
    pub(crate) admission: Admission,
    /// The time of the pass.
    pub(crate) now: Timestamp,
}

impl Default for Observed {
    fn default() -> Self {
        Self {
            is_served: true,
            versions: Vec::new(),
            cluster: None,
            known_for: Duration::ZERO,
            operators: Vec::new(),
            admission: Admission::Unknown,
            now: Timestamp::UNIX_EPOCH,
        }
    }
}
