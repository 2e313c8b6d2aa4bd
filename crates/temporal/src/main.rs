//! The controller of `Temporal`, as a process.

use clap::Parser;
use temporal_stack_common::process;
use temporal_stack_temporal::Defaults;

const VERSION: &str = temporal_stack_common::version!();

/// Keeps the `Temporal` objects of a cluster: waits for what they refer to, migrates the tables, runs the API, the queue workers
/// and the key server, and asks all of them before it calls them Ready.
#[derive(Debug, Parser)]
#[command(version = VERSION)]
struct Arguments {
    #[command(flatten)]
    process: process::Args,
    #[command(flatten)]
    defaults: Defaults,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    process::install_crypto();
    let Arguments { process, defaults } = Arguments::parse();
    temporal_stack_temporal::run(env!("CARGO_BIN_NAME"), VERSION, process, defaults).await?;
    Ok(())
}
