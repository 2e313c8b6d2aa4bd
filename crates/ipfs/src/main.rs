//! The controller of `IpfsCluster`, as a process.

use clap::{Parser, Subcommand};
use temporal_stack_common::process;
use temporal_stack_ipfs::{Defaults, transfer};

const VERSION: &str = temporal_stack_common::version!();

/// Keeps the `IpfsCluster` objects of a cluster: makes peers of Kubo and IPFS Cluster, lets them join and leave without losing a
/// pin, and reads something back before it calls them Ready.
#[derive(Debug, Parser)]
#[command(version = VERSION, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    process: process::Args,
    #[command(flatten)]
    defaults: Defaults,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes the pinset of a cluster to a file.
    Export(transfer::Args),
    /// Pins what such a file lists.
    Import(transfer::Args),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    process::install_crypto();
    let Arguments { command, process, defaults } = Arguments::parse();
    match command {
        Some(Command::Export(arguments)) => drop(transfer::export(&arguments).await?),
        Some(Command::Import(arguments)) => drop(transfer::import(&arguments).await?),
        None => temporal_stack_ipfs::run(env!("CARGO_BIN_NAME"), VERSION, process, defaults).await?,
    }
    Ok(())
}
