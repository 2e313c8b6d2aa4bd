//! The controller of `PostgresDatabase`, as a process.

use clap::Parser;
use temporal_stack_common::process;
use temporal_stack_database::Defaults;

const VERSION: &str = temporal_stack_common::version!();

/// Keeps the `PostgresDatabase` objects of a cluster: makes servers, databases and logins, and uses them before it calls them
/// Ready.
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
    temporal_stack_database::run(env!("CARGO_BIN_NAME"), VERSION, process, defaults).await?;
    Ok(())
}
