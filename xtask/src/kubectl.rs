//! kubectl, pointed at one cluster.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::cluster::Cluster;
use crate::control_plane::Programs;
use crate::step::{LoggedCommand, Step};
use crate::{machine, place};

/// How long the API server may take to answer one request. kubectl itself waits for ever.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

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
    pub fn for_context(context: Option<&str>) -> Result<Self> {
        let built = Some(place::cache()?.join("bin/kubectl")).filter(|program| program.is_file());
        let program = machine::find("kubectl").or(built);
        let program =
            program.context(
            "kubectl not found: it is neither in PATH nor built; install it, or run `cargo xtask node up`, which builds it",
        )?;
        let cluster = match context {
            Some(context) => vec!["--context".into(), context.into()],
            None => administrator(&Cluster::node()?),
        };
        Ok(Self { program, cluster })
    }

    /// kubectl with a kubeconfig.
    pub fn with_kubeconfig(kubeconfig: &Path) -> Result<Self> {
        Ok(Self { cluster: vec!["--kubeconfig".into(), kubeconfig.into()], ..Self::for_context(None)? })
    }

    /// A kubectl command.
    pub fn command(&self, step: &Step) -> LoggedCommand {
        self.within(step, ANSWERS_WITHIN)
    }

    /// A kubectl subcommand that waits, but no longer than this. Its own requests may last as long.
    pub fn waiting(&self, step: &Step, subcommand: &[&str], patience: Duration) -> LoggedCommand {
        let timeout = format!("--timeout={}s", patience.as_secs());
        self.within(step, patience + ANSWERS_WITHIN).args(subcommand).arg(timeout)
    }

    fn within(&self, step: &Step, time: Duration) -> LoggedCommand {
        let timeout = format!("--request-timeout={}s", time.as_secs());
        step.command(&self.program).args(&self.cluster).arg(timeout)
    }

    /// A kubectl process that runs beside this one.
    pub fn process(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.cluster);
        command
    }

    /// The folder to add to `PATH` for printed commands; `None` if kubectl is in `PATH`.
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
