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
    /// Only the components of this namespace (default: all namespaces).
    #[arg(long)]
    namespace: Option<String>,
}

/// Prints the tree of components. Fails when one is not Ready, with the causes and their remedies.
pub fn status(arguments: &Status) -> Result<()> {
    let context = arguments.cluster.context.as_deref();
    if context.is_none() {
        node_answers()?;
    }
    let kubectl = Kubectl::for_context(context)?;
    let snapshot = Steps::quiet("status", |step| {
        let kinds = kubectl.command(step).args(["api-resources", "--output=name", CATEGORY]).read()?;
        let kinds: Vec<String> = kinds.lines().map(str::to_owned).collect();
        Snapshot::take(step, &kubectl, &kinds, arguments.namespace.as_deref())
    })?;
    if snapshot.is_empty() {
        bail!("stack not installed: the cluster has neither controllers nor objects of it; run `cargo xtask up`");
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
    Err(anyhow!("{first}{}", rest.collect::<String>()).context("stack not Ready"))
}

fn node_answers() -> Result<()> {
    let cluster = Cluster::node()?;
    if !cluster.kubeconfig().is_file() {
        bail!(
            "local node missing: {} has none; run `cargo xtask up`, or name a cluster with --context",
            cluster.state.display()
        );
    }
    let address = SocketAddr::from((cluster.address, cluster.api_port));
    if TcpStream::connect_timeout(&address, ANSWERS_WITHIN).is_err() {
        bail!("local node not running: nothing answers at {address}; run `cargo xtask up`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn ready_stack_is_a_success() {
        assert!(judge(&fixture::all_ready()).is_ok());
    }

    #[test]
    fn stalled_stack_names_the_cause_and_the_remedy() {
        let error = judge(&fixture::database_stalled()).unwrap_err();
        assert_eq!(error.to_string(), "stack not Ready");
        let cause = error.root_cause().to_string();
        assert!(cause.starts_with("PostgresDatabase default/temporal: NoStorageClass: there is no"), "{cause}");
        assert!(cause.contains("name a class"), "{cause}");
    }
}
