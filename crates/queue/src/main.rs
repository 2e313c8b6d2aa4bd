//! The controller of `MessageQueue`, as a process.

use clap::Parser;
use temporal_stack_common::process;
use temporal_stack_queue::Defaults;

const VERSION: &str = temporal_stack_common::version!();

/// Keeps the `MessageQueue` objects of a cluster: makes brokers, virtual hosts and logins, and sends a message through them
/// before it calls them Ready.
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
    temporal_stack_queue::run(env!("CARGO_BIN_NAME"), VERSION, process, defaults).await?;
    Ok(())
}
