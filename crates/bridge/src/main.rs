//! The bridge, as a process.

use clap::{Parser, Subcommand};
use temporal_stack_bridge::{Options, Probed, Targets};

const VERSION: &str = temporal_stack_common::version!();

/// Lets Temporal of 2020 use today's Kubo and IPFS Cluster: accepts its calls on this machine, translates those whose API
/// has changed since, and passes on all others.
#[derive(Debug, Parser)]
#[command(version = VERSION, subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    options: Option<Options>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Wait until all targets answer: for an init container before a program that does not wait for its dependencies.
    Wait(Targets),
    /// Answer the kubelet's probes for a program in the same pod that does not speak HTTP/1: for a sidecar.
    Probe(Probed),
}

// One thread: it serves one pod, and calls mostly wait for the upstream.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse() {
        Arguments { command: Some(Command::Wait(targets)), .. } => temporal_stack_bridge::wait(targets).await?,
        Arguments { command: Some(Command::Probe(options)), .. } => temporal_stack_bridge::probe(options).await?,
        Arguments { options: Some(options), .. } => temporal_stack_bridge::run(VERSION, options).await?,
        Arguments { .. } => anyhow::bail!("say where Kubo and IPFS Cluster are: --kubo and --cluster"),
    }
    Ok(())
}
