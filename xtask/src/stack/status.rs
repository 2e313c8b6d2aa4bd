//! `cargo xtask status`.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use k8s_openapi::jiff::Timestamp;

use super::snapshot::Snapshot;
use super::{cause, tree};
use crate::cluster::Cluster;
use crate::deploy::Where;
use crate::kubectl::Kubectl;
use crate::step::Steps;

/// The category of all kinds of the stack.
const CATEGORY: &str = "--categories=temporal-stack";
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// The arguments of `cargo xtask status`.
#[derive(Debug, clap::Args)]
pub struct Status {
    #[command(flatten)]
    cluster: Where,
    /// Only the components of this namespace; those of all, when absent.
    #[arg(long)]
    namespace: Option<String>,
}

/// Prints the tree of components. Fails when one is not Ready, and says which one is the cause and what to do.
pub fn status(arguments: &Status) -> Result<()> {
    let context = arguments.cluster.context.as_deref();
    if context.is_none() {
        node_answers()?;
    }
    let kubectl = Kubectl::of(context)?;
    let snapshot = Steps::quiet("status", |step| {
        let kinds = kubectl.command(step).args(["api-resources", "--output=name", CATEGORY]).read()?;
        let kinds: Vec<String> = kinds.lines().map(str::to_owned).collect();
        Snapshot::take(step, &kubectl, &kinds, arguments.namespace.as_deref())
    })?;
    if snapshot.is_empty() {
        bail!("nothing of the stack is installed; `cargo xtask up` brings it up");
    }
    println!("{}", tree::text(&snapshot, Timestamp::now()).trim_end());
    judge(&snapshot)
}

fn judge(snapshot: &Snapshot) -> Result<()> {
    let causes = cause::causes(snapshot);
    let Some((first, rest)) = causes.split_first() else {
        return Ok(());
    };
    let rest = rest.iter().map(|cause| format!("\n  and: {cause}"));
    Err(anyhow!("{first}{}", rest.collect::<String>()).context("not everything is Ready"))
}

fn node_answers() -> Result<()> {
    let cluster = Cluster::node()?;
    if !cluster.kubeconfig().is_file() {
        bail!("there is no local node in {}; `cargo xtask up` makes one", cluster.state.display());
    }
    let address = SocketAddr::from((cluster.address, cluster.api_port));
    if TcpStream::connect_timeout(&address, ANSWERS_WITHIN).is_err() {
        bail!("the local node does not run; `cargo xtask up` starts it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn a_stack_that_is_ready_is_a_success() {
        assert!(judge(&fixture::all_ready()).is_ok());
    }

    #[test]
    fn a_stack_that_is_not_names_the_cause_and_the_remedy() {
        let error = judge(&fixture::database_stalled()).unwrap_err();
        assert_eq!(error.to_string(), "not everything is Ready");
        let cause = error.root_cause().to_string();
        assert!(cause.starts_with("PostgresDatabase default/temporal: NoStorageClass: there is no"), "{cause}");
        assert!(cause.contains("name a class"), "{cause}");
    }
}
