//! The project's own tasks: `cargo xtask <command>`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{bench, codegen, deploy, images, node, stack, step, test};

/// The project's own tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures a controller on an API server alone.
    Bench(bench::Arguments),
    /// Writes the manifests and tables that follow from the types.
    Codegen(codegen::Arguments),
    /// Brings controllers into a cluster.
    Deploy(deploy::Arguments),
    /// Takes the stack down; its data stay unless told otherwise.
    Down(stack::Down),
    /// Builds container images, from Debian packages and the programs of this workspace.
    Images(images::Arguments),
    /// The local Kubernetes: a node of this machine, or a control plane alone.
    #[command(subcommand)]
    Node(node::Command),
    /// Prints the tree of components; fails when one is not Ready, and says why and what to do.
    Status(stack::Status),
    /// Runs all tests: without a cluster, on an API server alone, on the local node.
    Test(test::Arguments),
    /// Brings up the whole stack, on a local node or on any cluster, and ends when all of it is Ready.
    Up(stack::Up),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Codegen(arguments) => codegen::run(&arguments),
        Command::Deploy(arguments) => deploy::run(&arguments),
        Command::Down(arguments) => stack::down(&arguments),
        Command::Images(arguments) => images::run(&arguments),
        Command::Node(command) => node::run(&command),
        Command::Status(arguments) => stack::status(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Up(arguments) => stack::up(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            step::report(&error);
            ExitCode::FAILURE
        }
    }
}
