//! The project's own tasks: `cargo xtask <command>`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{images, node, step};

/// The project's own tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Builds container images, from Debian packages and the programs of this workspace.
    Images(images::Arguments),
    /// The local Kubernetes: a node of this machine, or a control plane alone.
    #[command(subcommand)]
    Node(node::Command),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Images(arguments) => images::run(&arguments),
        Command::Node(command) => node::run(&command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            step::report(&error);
            ExitCode::FAILURE
        }
    }
}
