//! kubectl, pointed at one cluster.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cluster::Cluster;
use crate::control_plane::Programs;
use crate::step::{LoggedCommand, Step};
use crate::{machine, place};

/// kubectl with the cluster that it is pointed at.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    cluster: Vec<OsString>,
}

impl Kubectl {
    /// kubectl as the administrator of a local cluster.
    pub fn new(cluster: &Cluster, programs: &Programs) -> Self {
        Self { program: programs.kubernetes.join("kubectl"), cluster: administrator(cluster) }
    }

    /// kubectl with a context of the user's own kubeconfig, or as the administrator of the local node.
    pub fn of(context: Option<&str>) -> Result<Self> {
        let built = Some(place::cache()?.join("bin/kubectl")).filter(|program| program.is_file());
        let program = machine::find("kubectl").or(built);
        let program =
            program.context("kubectl is not installed; install it, or run `cargo xtask node up`, which builds one")?;
        let cluster = match context {
            Some(context) => vec!["--context".into(), context.into()],
            None => administrator(&Cluster::node()?),
        };
        Ok(Self { program, cluster })
    }

    /// kubectl with a kubeconfig.
    pub fn with_kubeconfig(kubeconfig: &Path) -> Result<Self> {
        Ok(Self { cluster: vec!["--kubeconfig".into(), kubeconfig.into()], ..Self::of(None)? })
    }

    /// A kubectl command.
    pub fn command(&self, step: &Step) -> LoggedCommand {
        step.command(&self.program).args(&self.cluster)
    }

    /// A kubectl process that goes on beside this one.
    pub fn process(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.cluster);
        command
    }

    /// The folder to add to `PATH` for commands that are shown to be typed; nothing where kubectl is in it.
    pub fn folder(&self) -> Option<&Path> {
        if machine::find("kubectl").is_some() { None } else { self.program.parent() }
    }

    /// Applies manifests, taking over fields that others have set.
    pub fn apply(&self, step: &Step, manifests: impl Into<Vec<u8>>) -> Result<String> {
        let apply = self.command(step).args(["apply", "--server-side", "--force-conflicts", "--field-manager=xtask"]);
        apply.arg("--filename=-").input(manifests).read()
    }
}

fn administrator(cluster: &Cluster) -> Vec<OsString> {
    vec!["--kubeconfig".into(), cluster.kubeconfig().into()]
}
