//! kubectl, pointed at one of the local clusters.

use std::path::PathBuf;

use crate::cluster::Cluster;
use crate::control_plane::Programs;
use crate::step::{LoggedCommand, Step};

/// kubectl with a kubeconfig.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// kubectl as the administrator of a local cluster.
    pub fn new(cluster: &Cluster, programs: &Programs) -> Self {
        Self { program: programs.kubernetes.join("kubectl"), kubeconfig: cluster.kubeconfig() }
    }

    /// A kubectl command.
    pub fn command(&self, step: &Step) -> LoggedCommand {
        step.command(&self.program).arg("--kubeconfig").arg(&self.kubeconfig)
    }
}
