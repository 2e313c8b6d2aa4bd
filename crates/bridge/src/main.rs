//! The bridge, as a process.

use clap::{Parser, Subcommand};
use temporal_stack_bridge::{Options, Targets};

const VERSION: &str = temporal_stack_common::version!();

/// Lets Temporal of 2020 speak with today's Kubo and IPFS Cluster: takes its calls on this machine, translates those
/// that have changed since, and passes on all others.
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
    /// Ends when all of these answer: for an init container before a program that does not wait by itself.
    Wait(Targets),
}

// One thread: it is there for one pod, and every call waits for somebody else.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse() {
        Arguments { command: Some(Command::Wait(targets)), .. } => temporal_stack_bridge::wait(targets).await?,
        Arguments { options: Some(options), .. } => temporal_stack_bridge::run(VERSION, options).await?,
        Arguments { .. } => anyhow::bail!("say where Kubo and IPFS Cluster are: --kubo and --cluster"),
    }
    Ok(())
}
