//! Tasks of this project: `cargo xtask <command>`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{bench, codegen, deploy, images, node, stack, step, test};

/// Tasks of this project: build, deploy, test and run the stack.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure a controller on an API server alone.
    Bench(bench::Arguments),
    /// Write the manifests and tables that are generated from the types.
    Codegen(codegen::Arguments),
    /// Deploy controllers to a cluster.
    Deploy(deploy::Arguments),
    /// Stop the stack and keep its data, unless `--delete-data` is given.
    Down(stack::Down),
    /// Build container images from Debian packages and the programs of this workspace.
    Images(images::Arguments),
    /// Manage the local Kubernetes: a node on this machine, or a control plane alone.
    #[command(subcommand)]
    Node(node::Command),
    /// Print the tree of components; exit with 1 when one is not Ready, with the cause and the remedy.
    Status(stack::Status),
    /// Run all tests: without a cluster, on an API server alone, on the local node.
    Test(test::Arguments),
    /// Bring up the whole stack, on the local node or on another cluster, and wait until it is Ready.
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
